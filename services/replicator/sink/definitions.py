"""What a sink knows of its tables: how each definition is written, and which tables are stopped."""

import asyncio
from collections.abc import Mapping, Set

import asyncpg
from aiokafka import TopicPartition
from aiokafka.errors import UnknownTopicOrPartitionError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from services.chassis.error_names import error_name
from services.chassis.telemetry.logging import get_logger
from services.lake.journal.model import CapturedTable
from services.replicator import metrics
from services.replicator.ports import Definitions, RecordSource
from services.replicator.replica.tables import Standing
from services.replicator.sink.offsets import Progress
from services.replicator.sink.ports import ReplicaStore
from services.replicator.sink.writer import TableWriter
from services.replicator.store import (
    StopKind,
    StoppedTable,
    by_kind,
)
from services.replicator.topics import table_of, topic_of

# The replica is not as it was when its definitions were read: by another sink's hand, or a person's.
ALTERED = (
    asyncpg.UndefinedColumnError,
    asyncpg.UndefinedTableError,
    asyncpg.InvalidColumnReferenceError,
    asyncpg.DatatypeMismatchError,
)

_log = get_logger(__name__)


class Schema:
    """The definitions of the lake as the replica stands to them, and the partitions that wait for one."""

    def __init__(
        self, journal: Definitions, consumer: RecordSource, topic_prefix: str, *, watch_seconds: float = 1.0
    ) -> None:
        """Create a schema that knows nothing yet; `begin` or `learn` must follow.

        Args:
            journal: tells the definitions.
            consumer: is paused where a partition must wait.
            topic_prefix: stands before a table's name in its topic's.
            watch_seconds: between two looks for new definitions.
        """
        self._journal = journal
        self._watch_seconds = watch_seconds
        self._consumer = consumer
        self._topic_prefix = topic_prefix
        self._standing = Standing()
        self._reported: set[str] = set()
        # Tables whose capture is not to be trusted, and tables that the relay holds, as the relay says.
        self._closed: dict[str, StoppedTable] = {}
        self._unsent: dict[str, StoppedTable] = {}
        # Fingerprint of the definition that a partition waits for; "" when its whole table is closed.
        self._held: dict[TopicPartition, str] = {}
        self._loaded: Mapping[str, CapturedTable] = {}
        self._newest: Mapping[str, CapturedTable] = {}
        self.writers: Mapping[str, TableWriter] = {}

    @property
    def standing(self) -> Standing:
        """What the replica makes of each definition."""
        return self._standing

    @property
    def stopped(self) -> Mapping[str, StoppedTable]:
        """By fingerprint: images that must not be applied yet."""
        return self._standing.stopped

    @property
    def superseded(self) -> set[str]:
        """Fingerprints whose images are of a key that the table has no more."""
        return self._standing.superseded

    @property
    def tables(self) -> Mapping[str, str]:
        """Every stopped table, with its kind and reason."""
        stops = {stop.table: stop for stop in self.stopped.values()} | self._closed | self._unsent
        return {table: str(stop) for table, stop in stops.items()}

    @property
    def held(self) -> Set[TopicPartition]:
        """The paused partitions: nothing of them may be applied that was not selected before."""
        return self._held.keys()

    def knows(self, fingerprint: str) -> bool:
        """Whether a definition was there when they were last read."""
        return fingerprint in self.writers or fingerprint in self.stopped or fingerprint in self.superseded

    async def watch(self) -> None:
        """Look for new definitions for ever, so that a table without changes follows too.

        Beside the batches: they go on while the lake does not answer.
        """
        while True:
            await asyncio.sleep(self._watch_seconds)
            try:
                self._newest = await self._journal.definitions()
            except (OSError, DBAPIError, PoolTimeout) as error:
                _log.warning("the lake does not tell its definitions", error=error_name(error))

    async def begin(self, store: ReplicaStore) -> None:
        """Follow the definitions by a new session; the lake is asked only when none were ever read."""
        if self._newest:
            await self._follow(store)
        else:
            await self.learn(store)

    async def learn(self, store: ReplicaStore) -> None:
        """Read the definitions and follow them: a change came by one that is not known."""
        self._newest = await self._journal.definitions()
        await self._follow(store)

    async def _follow(self, store: ReplicaStore) -> None:
        """Let the replica follow the newest definitions, and log which tables stop."""
        definitions = self._newest
        standing = await store.follow(definitions)
        self.writers = {
            fingerprint: TableWriter(*definitions) for fingerprint, definitions in standing.writable.items()
        }
        for stop in {stop.table: stop for stop in standing.stopped.values()}.values():
            if stop not in self._standing.stopped.values():
                _log.error("a table stops", table=stop.table, reason=stop.reason, command=stop.command)
        self._standing, self._loaded = standing, definitions
        # Here alone, where all definitions were just read: another sink may know of one more.
        await store.clear_schema_stops([stop.table for stop in standing.stopped.values()])
        await self._refresh(store)

    async def _refresh(self, store: ReplicaStore) -> None:
        """Keep the list of stopped tables true, and adopt what the relay wrote there."""
        stops = {stop.table: stop for stop in self.stopped.values()}
        await store.stop_tables(stops.values())
        listed = await store.stopped_tables()
        self._closed = by_kind(listed, StopKind.CAPTURE)
        self._unsent = by_kind(listed, StopKind.RELAY)
        tables = set(self.tables)
        for table in self._reported - tables:
            metrics.TABLE_STOPPED.remove(table)
        for table in tables:
            metrics.TABLE_STOPPED.labels(table).set(1)
        self._reported = tables

    async def keep_up(self, store: ReplicaStore, owned: Mapping[TopicPartition, Progress]) -> None:
        """Pause the partitions of stopped tables, and resume those of tables that continue.

        `owned` says how far each partition was selected.

        Raises:
            aiokafka.errors.UnknownTopicOrPartitionError: a table is captured whose topic this sink does not read yet:
                it must begin again.
        """
        topics = {topic_of(self._topic_prefix, table.full_name) for table in self._newest.values()}
        if unread := topics - self._consumer.subscription():
            raise UnknownTopicOrPartitionError(f"captured since this sink began: {', '.join(sorted(unread))}")
        if self.stopped or list(self._newest) != list(self._loaded):
            await self._follow(store)
        else:
            await self._refresh(store)
        for place, progress in owned.items():
            if table_of(place.topic) in self._closed and place not in self._held:
                self.hold(place, "", progress.kafka_offset)
        for place, fingerprint in list(self._held.items()):
            if fingerprint not in self.stopped and table_of(place.topic) not in self._closed:
                self.let_go(place)

    def hold(self, place: TopicPartition, fingerprint: str, offset: int) -> None:
        """Read no further in a partition; what was read from `offset` on is read again when it goes on."""
        if place not in self._consumer.assignment():
            return
        self._consumer.seek(place, offset)
        if place not in self._held:
            self._consumer.pause(place)
            self._held[place] = fingerprint
            _log.error(
                "a partition waits",
                place=f"{place.topic}/{place.partition}@{offset}",
                reason=self.tables.get(table_of(place.topic)),
            )

    def let_go(self, place: TopicPartition) -> None:
        """Read on in a partition, if it was held."""
        if self._held.pop(place, None) is not None and place in self._consumer.assignment():
            self._consumer.resume(place)
