"""The consumer of records over a Kafka in memory: the order, what waits, and what comes back after an outage."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, cast

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaConnectionError
from opentelemetry.trace import NoOpTracer

from services.chassis.web.problems import Unavailable
from services.intake.imports.domain import ImportKind
from services.intake.imports.writing import Outcome
from services.intake.messages.consumer import MessageConsumer, Timing
from services.intake.messages.domain import Origin, Received, topic_of
from services.intake.messages.service import Messages
from tests.unit.intake.test_messages import ORIGIN, SENDER, TOPIC, World, payment

UNDECODABLE = object()


class FakeKafka:
    """Topics in memory, whose group is one consumer; committed offsets outlive it."""

    def __init__(self, *topics: str, partitions: int = 1) -> None:
        self.logs: dict[TopicPartition, list[Any]] = {
            TopicPartition(topic, number): [] for topic in topics for number in range(partitions)
        }
        self.committed: dict[TopicPartition, int] = defaultdict(int)
        self.down = False
        self.connects = 0

    def send(self, place: TopicPartition, value: Any, key: str | None = None) -> None:
        self.logs[place].append((value, key))

    async def connect(self) -> FakeSource:
        self.connects += 1
        if self.down:
            raise KafkaConnectionError
        return FakeSource(self)

    def is_done(self) -> bool:
        return all(self.committed[place] == len(log) for place, log in self.logs.items())


class FakeSource:
    """A consumer of FakeKafka."""

    def __init__(self, kafka: FakeKafka) -> None:
        self.kafka = kafka
        self.positions: dict[TopicPartition, int] = {}

    async def topics(self) -> set[str]:
        if self.kafka.down:
            raise KafkaConnectionError
        return {place.topic for place in self.kafka.logs}

    def subscribe(self, topics: Sequence[str]) -> None:
        self.positions = {
            place: self.kafka.committed[place] for place in self.kafka.logs if place.topic in topics
        }

    def assignment(self) -> set[TopicPartition]:
        return set(self.positions)

    async def position(self, place: TopicPartition) -> int:
        return self.positions[place]

    def seek(self, place: TopicPartition, offset: int) -> None:
        self.positions[place] = offset

    def highwater(self, place: TopicPartition) -> int:
        return len(self.kafka.logs[place])

    async def getmany(
        self, *places: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> Mapping[TopicPartition, Sequence[ConsumerRecord]]:
        for place in places:
            found = []
            for value, key in self.kafka.logs[place][self.positions[place] :][:max_records]:
                if value is UNDECODABLE:
                    if found and max_records == 1:
                        break
                    raise UnicodeDecodeError("utf-8", b"", 0, 1, "")
                found.append(_consumed(place, self.positions[place], value, key))
                self.positions[place] += 1
            if found:
                return {place: found}
        await asyncio.sleep(0.001 if timeout_ms else 0)
        return {}

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        self.kafka.committed.update(offsets)


def _consumed(place: TopicPartition, offset: int, value: bytes, key: str | None) -> ConsumerRecord:
    sizes = {"checksum": None, "serialized_key_size": 0, "serialized_value_size": 0}
    return ConsumerRecord(
        place.topic,
        place.partition,
        offset,
        timestamp=0,
        timestamp_type=0,
        key=None if key is None else key.encode(),
        value=value,
        headers=[],
        **sizes,
    )


class Handler:
    """Instead of Messages: what was handled, in its order; `faults` are raised at an offset, each once."""

    def __init__(self, faults: Mapping[tuple[str, int, int], int] | None = None) -> None:
        self.faults = dict(faults or {})
        self.handled: dict[tuple[str, int], list[int]] = defaultdict(list)
        self.order: list[tuple[str, int, int]] = []

    async def handle(self, one: Received) -> Outcome:
        place = (one.topic, one.partition, one.offset)
        if self.faults.get(place, 0):
            self.faults[place] -= 1
            raise Unavailable
        self.handled[one.topic, one.partition].append(one.offset)
        self.order.append(place)
        return Outcome.MADE


async def consume(kafka: FakeKafka, handler: Any, origins: Mapping[str, Origin], until: Any) -> None:
    async def disconnect(_: Any) -> None:
        return

    consumer = MessageConsumer(
        cast("Messages", handler),
        origins,
        cast("Any", kafka.connect),
        NoOpTracer(),
        disconnect=disconnect,
        timing=Timing(0.001, 0.001, 0.005, lambda attempts: timedelta(milliseconds=5 * attempts)),
    )
    running = asyncio.create_task(consumer.keep())
    try:
        async with asyncio.timeout(10):
            while not until():
                assert not running.done()
                await asyncio.sleep(0.001)
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


OTHER = Origin(SENDER, ImportKind.APPLICATIONS)
ORIGINS = {TOPIC: ORIGIN, topic_of(OTHER): OTHER}


async def test_records_of_a_partition_are_handled_in_order_and_committed() -> None:
    kafka, handler = FakeKafka(*ORIGINS, partitions=3), Handler()
    for place in kafka.logs:
        for number in range(120):
            kafka.send(place, payment(), f"{number}")
    await consume(kafka, handler, ORIGINS, kafka.is_done)
    assert handler.handled == {(place.topic, place.partition): list(range(120)) for place in kafka.logs}


async def test_a_partition_waits_and_is_tried_again_while_the_others_go_on() -> None:
    kafka = FakeKafka(*ORIGINS, partitions=2)
    handler = Handler({(TOPIC, 0, 2): 3})
    for place in kafka.logs:
        for number in range(5):
            kafka.send(place, payment(), f"{number}")
    await consume(kafka, handler, ORIGINS, kafka.is_done)
    assert handler.handled == {(place.topic, place.partition): list(range(5)) for place in kafka.logs}
    # The last of the partition that waited come after all others.
    assert handler.order[-3:] == [(TOPIC, 0, offset) for offset in (2, 3, 4)]


async def test_nothing_behind_a_record_that_waits_is_committed() -> None:
    kafka, place = FakeKafka(TOPIC), TopicPartition(TOPIC, 0)
    handler = Handler({(TOPIC, 0, 1): 1_000_000})
    for number in range(3):
        kafka.send(place, payment(), f"{number}")
    failing = handler.faults
    await consume(kafka, handler, {TOPIC: ORIGIN}, lambda: failing[TOPIC, 0, 1] < 999_997)
    assert kafka.committed[place] == 1
    assert handler.handled[TOPIC, 0] == [0]


async def test_a_record_that_the_client_cannot_decode_holds_nobody_up() -> None:
    kafka, place = FakeKafka(TOPIC), TopicPartition(TOPIC, 0)
    world = World()
    for number in range(4):
        kafka.send(place, payment(), f"{number}")
        kafka.send(place, UNDECODABLE)
    await consume(kafka, world.messages, {TOPIC: ORIGIN}, kafka.is_done)
    assert world.writer.written.keys() == {"0", "1", "2", "3"}
    assert sorted(world.rejected.kept) == [(TOPIC, 0, offset) for offset in (1, 3, 5, 7)]
    assert {one.payload for one in world.rejected.kept.values()} == {None}


async def test_records_wait_while_kafka_is_down_and_are_read_afterwards() -> None:
    kafka, place, handler = FakeKafka(TOPIC), TopicPartition(TOPIC, 0), Handler()
    kafka.down = True

    def returned() -> bool:
        if kafka.connects == 3 and kafka.down:
            kafka.down = False
            kafka.send(place, payment(), "1")
        return kafka.connects > 3 and kafka.is_done()

    await consume(kafka, handler, {TOPIC: ORIGIN}, returned)
    assert handler.handled[TOPIC, 0] == [0]


async def test_a_topic_that_appears_later_is_read_then() -> None:
    kafka, handler = FakeKafka(TOPIC), Handler()
    late = TopicPartition(topic_of(OTHER), 0)
    kafka.send(TopicPartition(TOPIC, 0), payment(), "1")

    def both() -> bool:
        if kafka.is_done() and late not in kafka.logs:
            kafka.logs[late] = [(payment(), "1")]
        return late in kafka.logs and kafka.is_done()

    await consume(kafka, handler, ORIGINS, both)
    assert handler.handled == {(TOPIC, 0): [0], (late.topic, 0): [0]}


async def test_a_client_that_ends_with_a_cancellation_of_its_own_is_replaced() -> None:
    kafka, handler = FakeKafka(TOPIC), Handler()
    connect = kafka.connect

    async def first_cancelled() -> FakeSource:
        source = await connect()
        if kafka.connects == 1:
            raise asyncio.CancelledError
        return source

    kafka.connect = first_cancelled  # type: ignore[method-assign]
    kafka.send(TopicPartition(TOPIC, 0), payment(), "1")
    await consume(kafka, handler, {TOPIC: ORIGIN}, kafka.is_done)
    assert kafka.connects == 2
