"""The replica in PostgreSQL, by one asyncpg connection."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager

import asyncpg
from aiokafka import ConsumerRecord, TopicPartition

from services.lake.journal.model import CapturedTable
from services.replicator import store
from services.replicator.records import Event
from services.replicator.replica.tables import Standing, follow
from services.replicator.sink import offsets, quarantine, writer
from services.replicator.sink.offsets import Progress
from services.replicator.sink.ports import Groups, Writers
from services.replicator.store import StopKind, StoppedTable


class PostgreSQLTransaction:
    """An open transaction of a connection."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        """`connection`: inside a transaction."""
        self._connection = connection

    async def claim(self, progress: Mapping[TopicPartition, Progress]) -> None:
        """Lock the offsets of these partitions and write how far they will be.

        Raises:
            FenceRaised: another sink has taken one of them.
        """
        with offsets.fenced():
            await self._connection.execute(f"SELECT {offsets.CLAIM}", *offsets.claim_arguments(progress))

    async def write(self, writers: Writers, groups: Groups) -> None:
        """Write everything, or raise one of `writer.AT_FAULT` when a row is at fault."""
        await writer.write(self._connection, writers, groups)

    async def write_carefully(self, writers: Writers, groups: Groups) -> Sequence[writer.Refused]:
        """Write everything but the events that the replica refuses; return those."""
        return await writer.write_carefully(self._connection, writers, groups)

    async def quarantine(self, record: ConsumerRecord, reason: str) -> None:
        """Keep a record that is not applied; the same record twice is kept once."""
        await quarantine.keep(self._connection, record, reason)

    async def heal(self, applied: Collection[Event]) -> None:
        """Close the entries of the quarantine that one of these later changes has replaced."""
        await quarantine.heal(self._connection, applied)

    async def count_quarantined(self) -> int:
        """Return how many entries of the quarantine are open."""
        return await quarantine.count_open(self._connection)


class PostgreSQLReplica:
    """A session with the application database; `ReplicaStore` says what each method does."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        """`connection`: with the login `sink`, as `connect` opens it; this session ends it."""
        self._connection = connection

    async def take_over(self, place: TopicPartition) -> Progress:
        """Raise the fence of a partition; return where to go on."""
        return await offsets.take_over(self._connection, place)

    async def relay_epoch(self) -> int:
        """Return the epoch that the newest relay began with."""
        return await offsets.relay_epoch(self._connection)

    async def follow(self, definitions: Mapping[str, CapturedTable]) -> Standing:
        """Alter the replica's tables as far as nothing is lost."""
        return await follow(self._connection, definitions)

    async def stop_tables(self, stops: Collection[StoppedTable]) -> None:
        """List tables as stopped, unless they are stopped for another kind of reason already."""
        await store.stop_tables(self._connection, stops, replace=False)

    async def clear_schema_stops(self, but: Collection[str]) -> None:
        """Remove the tables from that list that were stopped by a sink, except those in `but`."""
        await store.clear_stops(self._connection, StopKind.SCHEMA, but=but)

    async def stopped_tables(self) -> Mapping[str, StoppedTable]:
        """Return every stopped table by its name."""
        return await store.stopped_tables(self._connection)

    async def count_quarantined(self) -> int:
        """Return how many entries of the quarantine are open."""
        return await quarantine.count_open(self._connection)

    async def write_at_once(
        self, progress: Mapping[TopicPartition, Progress], writers: Writers, groups: Groups
    ) -> None:
        """Claim and write at most one group in one round trip.

        Raises:
            FenceRaised: another sink has taken one of the partitions.
        """
        claim = offsets.claim_arguments(progress)
        with offsets.fenced():
            if not groups:
                await self._connection.execute(f"SELECT {offsets.CLAIM}", *claim)
            for fingerprint, events in groups.items():
                statement = writers[fingerprint].statement(events)
                await self._connection.execute(statement.claiming, *claim, *statement.bodies)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[PostgreSQLTransaction]:
        """Open a transaction; it commits at the end of the block, unless the block raises."""
        async with self._connection.transaction():
            yield PostgreSQLTransaction(self._connection)

    def terminate(self) -> None:
        """End the session at once; an open transaction is rolled back."""
        self._connection.terminate()
