"""Port: the replica, its offsets and its quarantine, as the sink uses them. `PostgreSQLReplica` is the real one."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from aiokafka import ConsumerRecord, TopicPartition

from services.lake.journal.model import CapturedTable
from services.replicator.records import Event
from services.replicator.replica.tables import Standing
from services.replicator.sink.offsets import Progress
from services.replicator.sink.writer import Refused, TableWriter
from services.replicator.store import StoppedTable

Groups = Mapping[str, Sequence[Event]]
"""What to write: by fingerprint, at most one event of each key."""
Writers = Mapping[str, TableWriter]


class ReplicaTransaction(Protocol):
    """An open transaction; `claim` comes first."""

    async def claim(self, progress: Mapping[TopicPartition, Progress]) -> None:
        """Lock the offsets of these partitions and write how far they will be.

        Raises:
            FenceRaised: another sink has taken one of them.
        """
        ...

    async def write(self, writers: Writers, groups: Groups) -> None:
        """Write everything, or raise one of `writer.AT_FAULT` when a row is at fault."""
        ...

    async def write_carefully(self, writers: Writers, groups: Groups) -> Sequence[Refused]:
        """Write everything but the events that the replica refuses; return those."""
        ...

    async def quarantine(self, record: ConsumerRecord, reason: str) -> None:
        """Keep a record that is not applied; the same record twice is kept once."""
        ...

    async def heal(self, applied: Collection[Event]) -> None:
        """Close the entries of the quarantine that one of these later changes has replaced."""
        ...

    async def count_quarantined(self) -> int:
        """Return how many entries of the quarantine are open."""
        ...


class ReplicaStore(Protocol):
    """One session with the application database.

    Every method may raise OSError or asyncpg.PostgresError. After that the session is good for `terminate` alone, and
    whether the last commit arrived is known to the offsets only.
    """

    async def take_over(self, place: TopicPartition) -> Progress:
        """Raise the fence of a partition, so that its former owner's batches fail; return where to go on."""
        ...

    async def relay_epoch(self) -> int:
        """Return the epoch that the newest relay began with."""
        ...

    async def follow(self, definitions: Mapping[str, CapturedTable]) -> Standing:
        """Alter the replica's tables as far as nothing is lost; `definitions` by fingerprint, oldest first."""
        ...

    async def stop_tables(self, stops: Collection[StoppedTable]) -> None:
        """List tables as stopped, unless they are stopped for another kind of reason already."""
        ...

    async def clear_schema_stops(self, but: Collection[str]) -> None:
        """Remove the tables from that list that were stopped by a sink, except those in `but`."""
        ...

    async def stopped_tables(self) -> Mapping[str, StoppedTable]:
        """Return every stopped table by its name."""
        ...

    async def count_quarantined(self) -> int:
        """Return how many entries of the quarantine are open."""
        ...

    async def write_at_once(
        self, progress: Mapping[TopicPartition, Progress], writers: Writers, groups: Groups
    ) -> None:
        """Claim and write at most one group in one round trip and one transaction.

        Raises:
            FenceRaised: another sink has taken one of the partitions.
        """
        ...

    def transaction(self) -> AbstractAsyncContextManager[ReplicaTransaction]:
        """Open a transaction; it commits at the end of the block, unless the block raises."""
        ...

    def terminate(self) -> None:
        """End the session at once; an open transaction is rolled back."""
        ...
