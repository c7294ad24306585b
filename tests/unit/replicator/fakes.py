"""In-memory versions of what relay and sink talk to. What is shared by two processes is an object of its own."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaConnectionError

from services.lake.journal.model import START, CapturedColumn, CapturedTable, ColumnType, Position
from services.lake.journal.reader import Change
from services.replicator.errors import LeaseLost
from services.replicator.ports import Failpoint
from services.replicator.records import (
    HEARTBEAT,
    NO_TABLE,
    TRACEPARENT,
    Event,
    Headers,
    Source,
    change_header,
    parse,
)
from services.replicator.relay.held import Held
from services.replicator.relay.lease import Cursor
from tests.unit.replicator.records import JOURNAL

PREFIX = "lake."
CAPTURED_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).replace(tzinfo=None)
FINGERPRINT = "0123456789abcdef"
LARGEST = 1_000_000


class Crash(Exception):
    """The process dies here: nothing that follows happens."""


def crash_at(name: str, passes: int = 1) -> Failpoint:
    """A failpoint that crashes at the point `name`, at the given pass of it."""
    left = {name: passes}

    def failpoint(point: str) -> None:
        if point in left:
            left[point] -= 1
            if not left[point]:
                raise Crash(point)

    return failpoint


class FakeClock:
    """Seconds that only a test moves."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


# --- Kafka ----------------------------------------------------------------------------------------------------------


class Broker:
    """Topics: the records of each partition, in order."""

    def __init__(self) -> None:
        self.logs: defaultdict[TopicPartition, list[ConsumerRecord[Any, Any]]] = defaultdict(list)

    def deliver(self, place: TopicPartition, records: Collection[Mapping[str, Any]]) -> None:
        """Append records; their offsets follow those that are there."""
        log = self.logs[place]
        for fields in records:
            value = fields["value"]
            log.append(
                ConsumerRecord(
                    topic=place.topic,
                    partition=place.partition,
                    offset=len(log),
                    timestamp=fields["timestamp"],
                    timestamp_type=0,
                    key=fields["key"],
                    value=value,
                    checksum=None,
                    serialized_key_size=-1 if fields["key"] is None else len(fields["key"]),
                    serialized_value_size=-1 if value is None else len(value),
                    headers=tuple(fields["headers"]),
                )
            )

    def events(self, table: str, partition: int = 0) -> list[Event]:
        """What one partition holds, parsed."""
        return [parse(record) for record in self.logs[TopicPartition(PREFIX + table, partition)]]


class InMemoryBatch:
    """Takes at most `capacity` records."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.records: list[dict[str, Any]] = []
        self.closed = False

    def append(
        self, *, timestamp: int | None, key: bytes | None, value: bytes | None, headers: Headers
    ) -> object | None:
        assert not self.closed, "a closed batch takes nothing"
        if len(self.records) == self.capacity:
            return None
        self.records.append({"timestamp": timestamp, "key": key, "value": value, "headers": headers})
        return object()

    def close(self) -> None:
        self.closed = True


class InMemoryProducer:
    """Delivers to a broker. `failing` places refuse, those of `silent` never acknowledge what they received."""

    def __init__(self, broker: Broker, *, batch_records: int = 1000) -> None:
        self.broker = broker
        self.batch_records = batch_records
        self.failing: set[TopicPartition] = set()
        self.silent: set[TopicPartition] = set()
        self.held_acks: list[asyncio.Future[object]] = []
        self.hold_acks = False
        self.answers: bool | Exception = True
        self.asked = 0

    @property
    def client(self) -> InMemoryProducer:
        return self

    async def force_metadata_update(self) -> bool:
        self.asked += 1
        if isinstance(self.answers, Exception):
            raise self.answers
        return self.answers

    def create_batch(self) -> InMemoryBatch:
        return InMemoryBatch(self.batch_records)

    async def send_batch(self, batch: Any, topic: str, *, partition: int) -> asyncio.Future[object]:
        assert batch.closed
        place = TopicPartition(topic, partition)
        ack: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        if place in self.failing:
            ack.set_exception(KafkaConnectionError(f"{topic}/{partition} refuses"))
            return ack
        self.broker.deliver(place, batch.records)
        if self.hold_acks:
            self.held_acks.append(ack)
        elif place not in self.silent:
            ack.set_result(object())
        return ack


# --- the journal ----------------------------------------------------------------------------------------------------


def change(
    number: int,
    *,
    table: str = "credit.party",
    operation: str = "u",
    key: str = '["k"]',
    image: str | None = "{}",
    traceparent: str | None = "none",
) -> Change:
    """The change at position `number`."""
    image = None if operation == "d" else image
    return Change(number, 0, table, operation, key, image, FINGERPRINT, "actor", traceparent, CAPTURED_AT)


class InMemoryJournal:
    """Changes in order. `when_empty` is called by each read that finds nothing more."""

    def __init__(self, changes: Sequence[Change] = ()) -> None:
        self.changes = list(changes)
        self.id = JOURNAL
        self.purged_through = START
        self.known: dict[str, CapturedTable] = {}
        self.when_empty: Callable[[], None] = lambda: None
        self.oldest_writer = 0.0
        self.reads: list[Position] = []
        self.fails: Exception | None = None

    @asynccontextmanager
    async def stream(self) -> AsyncIterator[InMemoryJournal]:
        yield self

    async def read(self, after: Position, limit: int) -> list[Change]:
        await asyncio.sleep(0)
        if self.fails is not None:
            raise self.fails
        self.reads.append(after)
        found = [each for each in self.changes if each.position > after][:limit]
        if not found:
            self.when_empty()
        return found

    async def incarnation(self) -> UUID:
        return self.id

    async def purged(self) -> Position:
        return self.purged_through

    async def captured_at(self, position: Position) -> datetime | None:
        return next((each.captured_at for each in self.changes if each.position == position), None)

    async def read_between(self, after: Position, through: Position, limit: int) -> list[Change]:
        return [each for each in self.changes if after < each.position <= through][:limit]

    async def is_superseded(self, table: str, key: str, position: Position) -> bool:
        return any(
            (each.table, each.key) == (table, key) and each.position > position for each in self.changes
        )

    async def oldest_writer_seconds(self) -> float:
        return self.oldest_writer

    async def definitions(self) -> dict[str, CapturedTable]:
        if self.fails is not None:
            raise self.fails
        return dict(self.known)


# --- the lease ------------------------------------------------------------------------------------------------------


@dataclass
class RelayRow:
    """The row of `replication.relay` and the relay's part of `replication.stopped_table`."""

    epoch: int = 0
    cursor: Cursor = field(default_factory=lambda: Cursor(None, START, None))
    stopped: dict[str, str] = field(default_factory=dict)
    released: bool = False
    saves: int = 0
    renewals: list[float] = field(default_factory=list)


class InMemoryLease:
    """A relay's hold on a row; it ends when another relay takes the row."""

    def __init__(self, row: RelayRow) -> None:
        self.row = row
        row.epoch += 1
        row.released = False
        self.epoch = row.epoch

    async def save(self, cursor: Cursor) -> None:
        self._check()
        self.row.saves += 1
        self.row.stopped |= cursor.stopping
        held = {table: Held.from_json(each.as_json()) for table, each in cursor.held.items()}
        self.row.cursor = replace(cursor, sent=dict(cursor.sent), held=held, stopping={})

    async def renew(self, silent_seconds: float) -> None:
        self._check()
        self.row.renewals.append(silent_seconds)

    async def stopped(self) -> set[str]:
        return set(self.row.stopped)

    async def release(self) -> None:
        self.row.released = self.row.epoch == self.epoch

    def _check(self) -> None:
        if self.row.epoch != self.epoch:
            raise LeaseLost("another relay has the row")


def utc(moment: datetime) -> datetime:
    """The same moment, with its zone."""
    return moment.replace(tzinfo=UTC)


# --- the sink's side of Kafka ---------------------------------------------------------------------------------------


def sent(
    position: int,
    previous: int,
    *,
    operation: str = "u",
    key: str | None = '["1"]',
    value: str | None = '{"id":1,"name":"x"}',
    epoch: int = 1,
    incarnation: UUID = JOURNAL,
    fingerprint: str | None = None,
    timestamp: int = 1_700_000_000_000,
    traceparent: str | None = None,
) -> dict[str, Any]:
    """A record of table `PARTY_TABLE` as a relay sends it, for `Broker.deliver`."""
    fingerprint = fingerprint or (NO_TABLE if operation == HEARTBEAT else PARTY_TABLE.fingerprint)
    source = str(Source(epoch, incarnation, fingerprint))
    headers = [change_header(operation, str(Position(position)), str(Position(previous)), source)]
    if traceparent:
        headers.append((TRACEPARENT, traceparent.encode()))
    return {
        "timestamp": timestamp,
        "key": None if key is None or operation == HEARTBEAT else key.encode(),
        "value": None if value is None or operation in {HEARTBEAT, "d"} else value.encode(),
        "headers": headers,
    }


PARTY_TABLE = CapturedTable(
    "credit",
    "party",
    (CapturedColumn("id", ColumnType.INTEGER, nullable=False), CapturedColumn("name", ColumnType.TEXT, True)),
    ("id",),
)


class InMemorySource:
    """A consumer to which a test assigns partitions. `when_idle` is called by each poll that finds nothing."""

    def __init__(self, broker: Broker, assigned: Collection[TopicPartition]) -> None:
        self.broker = broker
        self.assigned = set(assigned)
        self.topics = {place.topic for place in assigned}
        self.next: defaultdict[TopicPartition, int] = defaultdict(int)
        self.paused: set[TopicPartition] = set()
        self.undecodable: set[tuple[TopicPartition, int]] = set()
        self.committed: dict[TopicPartition, int] = {}
        self.commits: Callable[[], Awaitable[None]] | None = None
        self.when_idle: Callable[[], None] = lambda: None
        self.before_poll: Callable[[], None] = lambda: None

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> dict[TopicPartition, list[ConsumerRecord[Any, Any]]]:
        del timeout_ms
        await asyncio.sleep(0)
        self.before_poll()
        polled = {}
        for place in sorted(partitions or self.assigned):
            if place in self.paused or place not in self.assigned:
                continue
            begin = self.next[place]
            records = self.broker.logs[place][begin:][:max_records]
            if any((place, record.offset) in self.undecodable for record in records):
                raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "a header's name")
            if records:
                polled[place] = records
                self.next[place] = records[-1].offset + 1
        if not polled:
            self.when_idle()
        return polled

    async def position(self, partition: TopicPartition) -> int:
        return self.next[partition]

    def seek(self, partition: TopicPartition, offset: int) -> None:
        assert partition in self.assigned, "a client cannot seek what it does not have"
        self.next[partition] = offset

    def highwater(self, partition: TopicPartition) -> int | None:
        return len(self.broker.logs[partition])

    def assignment(self) -> set[TopicPartition]:
        return set(self.assigned)

    def subscription(self) -> set[str]:
        return set(self.topics)

    def pause(self, *partitions: TopicPartition) -> None:
        self.paused.update(partitions)

    def resume(self, *partitions: TopicPartition) -> None:
        self.paused.difference_update(partitions)

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        if self.commits is not None:
            await self.commits()
        self.committed |= offsets
