"""Reads the senders' topics: every record of a partition in order, its offset committed when it is done.

A partition whose record meets a fault of the platform waits and tries that record again, while the others go on. When
Kafka is lost, everything begins again with a new client: what was handled and not committed is handled again, without
effect.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, TypeVar

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from opentelemetry.trace import Tracer

from services.chassis.error_names import error_name
from services.chassis.kafka_access import KafkaAccess
from services.chassis.messaging import TRACEPARENT, close, header, open_consumer, process
from services.chassis.telemetry.logging import get_logger
from services.intake.messages import metrics
from services.intake.messages.domain import GROUP, Origin, Received
from services.intake.messages.service import Messages
from services.intake.retries import wait_after

MESSAGE_ID = "message-id"
PIECE_RECORDS = 50
"""Records of a partition that are handled before their offset is committed."""
POLL_SECONDS = 0.5
RECONNECT_SECONDS = 5.0
CHECK_SECONDS = 10.0
"""How often it is looked whether Kafka answers, and which topics are there; and for how long an answer may take."""
LONGEST_WAIT = timedelta(minutes=1)
"""The longest pause before a record is tried again: everything behind it waits, too."""
TOPICS_AT_ONCE = 4
"""Topics whose records are written at the same time: requests need connections to the lake as well."""

T = TypeVar("T")

_log = get_logger(__name__)


class RecordSource(Protocol):
    """What is needed of a consumer; aiokafka's is one."""

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> Mapping[TopicPartition, Sequence[ConsumerRecord]]:
        """Return what is at hand, or wait for it for at most `timeout_ms` milliseconds."""
        ...

    async def position(self, partition: TopicPartition) -> int:
        """Return the offset that is read next."""
        ...

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Read on from `offset`; what was fetched before is discarded."""
        ...

    def assignment(self) -> AbstractSet[TopicPartition]:
        """Return the partitions that are assigned."""
        ...

    def highwater(self, partition: TopicPartition) -> int | None:
        """Return the offset behind the last record, as of the last fetch."""
        ...

    def subscribe(self, topics: Sequence[str]) -> None:
        """Have partitions of these topics assigned."""
        ...

    async def topics(self) -> AbstractSet[str]:
        """Ask Kafka which topics there are."""
        ...

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit the offsets that are to be read next."""
        ...


@dataclass(frozen=True, slots=True)
class _Wait:
    """A record that is to be tried again."""

    offset: int
    attempts: int
    until: float


@dataclass(frozen=True, slots=True)
class Timing:
    """How long this waits for what, in seconds; `wait_after` is told the failed attempts at a record."""

    poll: float = POLL_SECONDS
    reconnect: float = RECONNECT_SECONDS
    check: float = CHECK_SECONDS
    wait_after: Callable[[int], timedelta] = lambda attempts: min(wait_after(attempts), LONGEST_WAIT)


class MessageConsumer:
    """Reads, for as long as the process runs; others of the same group read the other partitions."""

    def __init__(
        self,
        messages: Messages,
        origins: Mapping[str, Origin],
        connect: Callable[[], Awaitable[RecordSource]],
        tracer: Tracer,
        *,
        disconnect: Callable[[RecordSource], Awaitable[None]] = close,
        timing: Timing | None = None,
    ) -> None:
        """Create a consumer; `keep` must follow.

        Args:
            messages: handles the records.
            origins: of the topics to read, by their names.
            connect: gives a started client that is a member of the group, without topics.
            tracer: of the spans in which records are handled.
            disconnect: stops such a client.
            timing: see there.
        """
        self._messages = messages
        self._origins = origins
        self._connect = connect
        self._tracer = tracer
        self._disconnect = disconnect
        self._timing = timing or Timing()
        self._slots = asyncio.Semaphore(TOPICS_AT_ONCE)
        self._waits: dict[TopicPartition, _Wait] = {}
        self._next: dict[TopicPartition, int] = {}
        self._subscribed: frozenset[str] = frozenset()
        self._missing: frozenset[str] = frozenset()
        self._is_connected: bool | None = None
        self._check_at = 0.0

    async def keep(self) -> None:
        """Read again and again, also after Kafka was lost; runs until it is cancelled."""
        while True:
            source: RecordSource | None = None
            try:
                source = await self._connect()
                self._waits, self._next = {}, {}
                self._subscribed, self._check_at = frozenset(), 0.0
                while True:
                    await self._turn(source)
            except asyncio.CancelledError:
                task = asyncio.current_task()
                # A client whose broker is gone can end with the cancellation of one of its own tasks.
                if task is None or task.cancelling():
                    raise
                self._lost("CancelledError")
            except (KafkaError, OSError, TimeoutError) as error:
                self._lost(type(error).__name__)
            except Exception as error:  # noqa: BLE001 - nobody awaits this task: it must log what ends it, and go on
                _log.error("records cannot be read", error=error_name(error))
                self._lost(type(error).__name__)
            finally:
                if source is not None:
                    await self._disconnect(source)
            await asyncio.sleep(self._timing.reconnect)

    async def _turn(self, source: RecordSource) -> None:
        """Handle what is at hand, a piece of every partition that does not wait."""
        if time.monotonic() >= self._check_at:
            await self._check(source)
            self._check_at = time.monotonic() + self._timing.check
        assigned = source.assignment()
        self._waits = {place: wait for place, wait in self._waits.items() if place in assigned}
        self._next = {place: offset for place, offset in self._next.items() if place in assigned}
        now = time.monotonic()
        ready = [
            place for place in sorted(assigned) if place not in self._waits or self._waits[place].until <= now
        ]
        if not ready:
            await asyncio.sleep(self._timing.poll)
            return
        try:
            polled = await self._poll(source, ready)
            done = await self._handle_all(polled)
            await self._settle(source, polled, done)
            self._measure(source)
        except IllegalStateError:
            # A partition was taken away meanwhile: whoever has it now begins behind the last commit.
            _log.info("partitions were assigned again")

    async def _check(self, source: RecordSource) -> None:
        """See that Kafka answers, and read what is there of the topics."""
        present = await self._answer(source.topics())
        if self._is_connected is not True:
            _log.info("records of Kafka are read")
            self._is_connected = True
        metrics.CONNECTED.labels(GROUP).set(1)
        missing = frozenset(self._origins.keys() - present)
        if missing - self._missing:
            _log.error("topics are missing, or may not be read", topics=", ".join(sorted(missing)))
        self._missing = missing
        metrics.MISSING_TOPICS.labels(GROUP).set(len(missing))
        wanted = frozenset(self._origins.keys() - missing)
        if wanted and wanted != self._subscribed:
            source.subscribe(sorted(wanted))
            self._subscribed = wanted

    def _lost(self, reason: str) -> None:
        if self._is_connected is not False:
            _log.warning("Kafka cannot be reached; records wait there", reason=reason)
        self._is_connected = False
        metrics.CONNECTED.labels(GROUP).set(0)

    async def _poll(
        self, source: RecordSource, ready: Sequence[TopicPartition]
    ) -> dict[TopicPartition, list[Received]]:
        """A piece of what is at hand of each partition, so that none keeps the others waiting."""
        polled: dict[TopicPartition, list[Received]] = {}
        for place in ready:
            start = self._next[place] = await self._answer(source.position(place))
            try:
                found = await source.getmany(place, timeout_ms=0, max_records=PIECE_RECORDS)
            except UnicodeDecodeError:
                # What was decoded is lost with the error: it is read again.
                source.seek(place, start)
                polled[place] = await self._poll_singly(source, place)
            else:
                polled.update({place: self._received(records) for place, records in found.items()})
        if not polled:
            try:
                found = await source.getmany(
                    *ready, timeout_ms=round(self._timing.poll * 1000), max_records=1
                )
            except UnicodeDecodeError:
                return {}
            polled.update({place: self._received(records) for place, records in found.items()})
        return polled

    async def _poll_singly(self, source: RecordSource, place: TopicPartition) -> list[Received]:
        """A piece of a partition with a record that the client cannot decode: it says nothing of where that is."""
        found: list[Received] = []
        for _ in range(PIECE_RECORDS):
            try:
                one = await source.getmany(place, timeout_ms=round(self._timing.poll * 1000), max_records=1)
            except UnicodeDecodeError:
                offset = await source.position(place)
                source.seek(place, offset + 1)
                origin = self._origins[place.topic]
                found.append(Received(origin, place.topic, place.partition, offset, readable=False))
                continue
            if not one:
                break
            found += self._received(one[place])
        return found

    def _received(self, records: Iterable[ConsumerRecord]) -> list[Received]:
        return [
            Received(
                self._origins[one.topic],
                one.topic,
                one.partition,
                one.offset,
                one.key,
                one.value,
                header(one, MESSAGE_ID),
                header(one, TRACEPARENT),
            )
            for one in records
        ]

    async def _handle_all(
        self, polled: Mapping[TopicPartition, Sequence[Received]]
    ) -> dict[TopicPartition, int]:
        """How many records of each partition are done; where it is not all, the next one has to wait."""
        topics: dict[str, list[TopicPartition]] = defaultdict(list)
        for place in polled:
            topics[place.topic].append(place)
        done: dict[TopicPartition, int] = {}

        async def handle(places: Sequence[TopicPartition]) -> None:
            # One after another: of one sender and kind rows are written one transaction at a time anyway.
            async with self._slots:
                for place in places:
                    done[place] = await self._handle(polled[place])

        async with asyncio.TaskGroup() as tasks:
            for places in topics.values():
                tasks.create_task(handle(places))
        return done

    async def _handle(self, records: Sequence[Received]) -> int:
        for number, record in enumerate(records):
            try:
                async with process(_span_of(record), tracer=self._tracer, group=GROUP):
                    await self._messages.handle(record)
            except Exception as error:  # noqa: BLE001 - a fault of the platform, or one of ours: nothing is rejected
                _log.warning(
                    "a record waits",
                    topic=record.topic,
                    partition=record.partition,
                    offset=record.offset,
                    reason=error_name(error),
                )
                return number
        return len(records)

    async def _settle(
        self,
        source: RecordSource,
        polled: Mapping[TopicPartition, Sequence[Received]],
        done: Mapping[TopicPartition, int],
    ) -> None:
        """Commit what is done, and have what is not read again later."""
        offsets = {place: polled[place][number - 1].offset + 1 for place, number in done.items() if number}
        self._next.update(offsets)
        for place in offsets:
            self._waits.pop(place, None)
        for place, number in done.items():
            if number < len(polled[place]):
                offset, before = polled[place][number].offset, self._waits.get(place)
                attempts = before.attempts + 1 if before and before.offset == offset else 1
                until = time.monotonic() + self._timing.wait_after(attempts).total_seconds()
                self._waits[place] = _Wait(offset, attempts, until)
                source.seek(place, offset)
        if offsets:
            try:
                await self._answer(source.commit(offsets))
            except CommitFailedError:
                # Another process has the partitions now, and handles these records again, without effect.
                _log.warning("offsets were not committed: the group was rebalanced", partitions=len(offsets))

    def _measure(self, source: RecordSource) -> None:
        metrics.WAITING.labels(GROUP).set(len(self._waits))
        behind = dict.fromkeys(self._origins, 0)
        for place, offset in self._next.items():
            behind[place.topic] += max(0, (source.highwater(place) or 0) - offset)
        for topic, records in behind.items():
            metrics.LAG.labels(topic).set(records)

    async def _answer(self, asked: Awaitable[T]) -> T:
        """What Kafka answers; without its broker some requests of the client never end."""
        async with asyncio.timeout(self._timing.check):
            return await asked


def _span_of(record: Received) -> ConsumerRecord:
    """The record as far as the span of its handling shows it."""
    headers = [] if record.traceparent is None else [(TRACEPARENT, record.traceparent.encode())]
    place = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
    return ConsumerRecord(
        **place,
        timestamp=0,
        timestamp_type=0,
        key=None,
        value=None,
        checksum=None,
        serialized_key_size=-1,
        serialized_value_size=-1,
        headers=headers,
    )


def open_source(kafka: KafkaAccess) -> Callable[[], Awaitable[AIOKafkaConsumer]]:
    """How a `MessageConsumer` connects to a cluster."""

    async def connect() -> AIOKafkaConsumer:
        return await open_consumer(kafka, GROUP, "intake")

    return connect
