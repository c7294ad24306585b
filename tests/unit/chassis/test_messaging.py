import asyncio
from collections import defaultdict
from collections.abc import Mapping

import pytest
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import CommitFailedError
from prometheus_client import REGISTRY

from services.chassis.messaging import consume, process
from services.chassis.testing import SpanRecorder

PARENT = "00-{trace:032x}-{span:016x}-01"


def record(offset: int, key: bytes | None = None, partition: int = 0, **headers: str) -> ConsumerRecord:
    return ConsumerRecord(
        topic="orders",
        partition=partition,
        offset=offset,
        timestamp=0,
        timestamp_type=0,
        key=key,
        value=b"{}",
        checksum=None,
        serialized_key_size=0,
        serialized_value_size=2,
        headers=tuple((name, value.encode()) for name, value in headers.items()),
    )


class Consumer:
    """The port of a consumer: hands out what it was given, then asks to stop."""

    def __init__(self, *records: ConsumerRecord, fenced: bool = False) -> None:
        self.stop = asyncio.Event()
        self.committed: dict[TopicPartition, int] = {}
        self._fenced = fenced
        self._batches: dict[TopicPartition, list[ConsumerRecord]] = defaultdict(list)
        for one in records:
            self._batches[TopicPartition(one.topic, one.partition)].append(one)

    async def getmany(
        self, *, timeout_ms: int, max_records: int
    ) -> Mapping[TopicPartition, list[ConsumerRecord]]:
        assert timeout_ms > 0
        assert max_records > 0
        self.stop.set()
        return self._batches

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        if self._fenced:
            raise CommitFailedError
        self.committed.update(offsets)


async def test_fifty_concurrent_messages_keep_their_own_traces(recorder: SpanRecorder) -> None:
    consumer = Consumer(
        *(record(n, f"k{n}".encode(), traceparent=PARENT.format(trace=n + 1, span=n + 1)) for n in range(50))
    )
    barrier = asyncio.Barrier(50)

    async def handle(message: ConsumerRecord) -> None:
        # All fifty are inside their handlers at once before any goes on.
        await barrier.wait()
        with recorder.telemetry.tracer.start_as_current_span("INSERT") as span:
            span.set_attribute("offset", message.offset)
            await asyncio.sleep(0)

    await consume(consumer, handle, concurrency=50, stop=consumer.stop, group="g")

    (poll,) = recorder.named("poll orders")
    processed = {span.context.span_id: span for span in recorder.named("process orders") if span.context}
    inserts = recorder.named("INSERT")
    assert len(processed) == len(inserts) == 50
    for insert in inserts:
        assert insert.parent is not None
        assert insert.attributes is not None
        mine = processed[insert.parent.span_id]
        assert mine.attributes is not None
        assert mine.parent is not None
        assert mine.attributes["messaging.kafka.offset"] == insert.attributes["offset"]
        offset = insert.attributes["offset"]
        assert isinstance(offset, int)
        assert mine.parent.trace_id == offset + 1
        assert [link.context for link in mine.links] == [poll.context]
        assert mine.kind.name == "CONSUMER"
        assert mine.end_time is not None
        assert insert.end_time is not None
        assert mine.end_time >= insert.end_time


async def test_messages_of_one_key_are_handled_in_order_and_keys_side_by_side() -> None:
    consumer = Consumer(*(record(n, b"a" if n % 2 else b"b") for n in range(10)))
    order: dict[bytes, list[int]] = defaultdict(list)
    active = most = 0

    async def handle(message: ConsumerRecord) -> None:
        nonlocal active, most
        active += 1
        most = max(most, active)
        await asyncio.sleep(0.001 * (10 - message.offset))
        order[message.key].append(message.offset)
        active -= 1

    await consume(consumer, handle, concurrency=8, stop=consumer.stop)

    assert order == {b"b": [0, 2, 4, 6, 8], b"a": [1, 3, 5, 7, 9]}
    assert most == 2


async def test_no_more_than_the_concurrency_at_once() -> None:
    consumer = Consumer(*(record(n, str(n).encode()) for n in range(30)))
    active = most = 0

    async def handle(_: ConsumerRecord) -> None:
        nonlocal active, most
        active += 1
        most = max(most, active)
        await asyncio.sleep(0)
        active -= 1

    await consume(consumer, handle, concurrency=4, stop=consumer.stop)

    assert most == 4


async def test_offsets_are_committed_after_every_message_was_handled() -> None:
    consumer = Consumer(record(5), record(6), record(9, partition=1))

    async def handle(_: ConsumerRecord) -> None:
        assert consumer.committed == {}

    await consume(consumer, handle, concurrency=4, stop=consumer.stop)

    assert consumer.committed == {TopicPartition("orders", 0): 7, TopicPartition("orders", 1): 10}


async def test_a_failing_handler_commits_nothing_and_is_seen(recorder: SpanRecorder) -> None:
    consumer = Consumer(record(1, b"good"), record(2, b"bad"))

    async def handle(message: ConsumerRecord) -> None:
        if message.key == b"bad":
            raise ValueError("cannot be handled")

    with pytest.raises(ExceptionGroup):
        await consume(consumer, handle, concurrency=4, stop=consumer.stop)

    failed = [span for span in recorder.named("process orders") if span.status.status_code.name == "ERROR"]
    assert consumer.committed == {}
    assert len(failed) == 1
    assert failed[0].attributes is not None
    assert failed[0].attributes["error.type"] == "ValueError"


async def test_losing_the_partitions_meanwhile_is_no_failure() -> None:
    consumer = Consumer(record(1), fenced=True)
    handled: list[int] = []

    async def handle(message: ConsumerRecord) -> None:
        handled.append(message.offset)

    await consume(consumer, handle, concurrency=1, stop=consumer.stop)

    assert handled == [1]


async def test_processing_is_counted_and_timed(recorder: SpanRecorder) -> None:
    labels = {"messaging_destination_name": "orders", "messaging_consumer_group_name": "counting"}
    with pytest.raises(KeyError):
        async with process(record(1), tracer=recorder.telemetry.tracer, group="counting"):
            raise KeyError("missing")

    assert REGISTRY.get_sample_value("messaging_client_consumed_messages_total", labels) == 1
    assert (
        REGISTRY.get_sample_value(
            "messaging_process_duration_seconds_count", {**labels, "error_type": "KeyError"}
        )
        == 1
    )


async def test_an_unsampled_message_makes_no_span(recorder: SpanRecorder) -> None:
    unsampled = record(1, traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")

    async with process(unsampled, tracer=recorder.telemetry.tracer, group="g") as span:
        assert not span.is_recording()

    assert recorder.spans == ()
