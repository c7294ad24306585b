import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import sqlalchemy as sa
from aiokafka import AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaError

from services.chassis.database import ApplicationDatabase
from services.chassis.kafka_access import KafkaAccess
from services.chassis.messaging import (
    TopicMismatch,
    consume,
    ensure_topics,
    header,
    open_consumer,
    open_producer,
    send,
)
from services.chassis.testing import SpanRecorder, span_recorder
from tests.conftest import Database


@pytest.fixture
def recorder() -> SpanRecorder:
    recorder = span_recorder()
    recorder.clear()
    return recorder


@pytest.fixture
async def topic(kafka: KafkaAccess) -> str:
    name = f"test.{uuid.uuid4().hex}"
    await ensure_topics(kafka, {name: 3})
    return name


@pytest.fixture
async def producer(kafka: KafkaAccess) -> AsyncIterator[AIOKafkaProducer]:
    producer = await open_producer(kafka, "test")
    yield producer
    await producer.stop()


async def _consumed(
    kafka: KafkaAccess, topic: str, group: str, count: int, *, fail_at: int | None = None
) -> list[bytes]:
    """What a consumer of `group` is handed until it had `count` messages, or fails at one."""
    consumer = await open_consumer(kafka, group, "test", [topic])
    stop, values = asyncio.Event(), list[bytes]()

    async def handle(record: ConsumerRecord) -> None:
        values.append(record.value)
        if len(values) == fail_at:
            raise ValueError("cannot go on")
        if len(values) == count:
            stop.set()

    try:
        async with asyncio.timeout(60):
            await consume(consumer, handle, concurrency=5, stop=stop, group=group)
    finally:
        await consumer.stop()
    return values


async def test_topics_are_made_once_and_their_partitions_are_checked(kafka: KafkaAccess, topic: str) -> None:
    await ensure_topics(kafka, {topic: 3})

    with pytest.raises(TopicMismatch, match="has 3 partitions, 4 are expected"):
        await ensure_topics(kafka, {topic: 4})


async def test_the_trace_goes_through_the_broker(
    kafka: KafkaAccess, topic: str, producer: AIOKafkaProducer, recorder: SpanRecorder
) -> None:
    with recorder.telemetry.tracer.start_as_current_span("request"):
        await send(producer, topic, b"k", b"v", [("kind", b"test")])
    consumer = await open_consumer(kafka, topic, "test", [topic])
    stop, headers = asyncio.Event(), dict[str, str | None]()

    async def handle(record: ConsumerRecord) -> None:
        headers.update({name: header(record, name) for name in ("kind", "absent")})
        stop.set()

    async with asyncio.timeout(60):
        await consume(consumer, handle, concurrency=1, stop=stop, group=topic)
    await consumer.stop()

    (request,), (sent,) = recorder.named("request"), recorder.named(f"send {topic}")
    (processed,), polls = recorder.named(f"process {topic}"), recorder.named(f"poll {topic}")
    assert request.context
    assert sent.context
    assert sent.parent
    assert processed.parent
    assert processed.context
    assert sent.parent.span_id == request.context.span_id
    assert processed.parent.span_id == sent.context.span_id
    assert processed.context.trace_id == request.context.trace_id
    assert [link.context for link in processed.links] == [polls[0].context]
    assert (sent.kind.name, processed.kind.name) == ("PRODUCER", "CONSUMER")
    assert headers == {"kind": "test", "absent": None}


async def test_what_was_handled_is_not_delivered_again(
    kafka: KafkaAccess, topic: str, producer: AIOKafkaProducer
) -> None:
    for n in range(30):
        await send(producer, topic, str(n % 7).encode(), str(n).encode())
    first = await _consumed(kafka, topic, "again", 30)
    await send(producer, topic, b"k", b"last")

    assert sorted(map(int, first)) == list(range(30))
    assert await _consumed(kafka, topic, "again", 1) == [b"last"]


async def test_after_a_failure_everything_not_committed_is_delivered_again(
    kafka: KafkaAccess, topic: str, producer: AIOKafkaProducer
) -> None:
    for n in range(10):
        await send(producer, topic, b"one", str(n).encode())

    with pytest.raises(ExceptionGroup):
        await _consumed(kafka, topic, "failing", 10, fail_at=3)
    delivered = await _consumed(kafka, topic, "failing", 10)

    assert delivered[-1] == b"9"
    assert delivered == [str(n).encode() for n in range(10 - len(delivered), 10)]
    assert b"2" in delivered


async def test_a_failed_send_is_an_error_on_its_span(
    kafka: KafkaAccess, producer: AIOKafkaProducer, recorder: SpanRecorder
) -> None:
    name = f"test.{uuid.uuid4().hex}"
    await ensure_topics(kafka, {name: 1}, configs={"max.message.bytes": "1000"})

    with pytest.raises(KafkaError):
        await send(producer, name, b"k", uuid.uuid4().bytes * 100_000)

    (span,) = recorder.named(f"send {name}")
    assert span.attributes
    assert span.status.status_code.name == "ERROR"
    assert "error.type" in span.attributes


async def test_an_assigned_consumer_seeks_where_it_is_told(
    kafka: KafkaAccess, topic: str, producer: AIOKafkaProducer
) -> None:
    sent = [await send(producer, topic, b"same", str(n).encode()) for n in range(5)]
    partition = TopicPartition(topic, sent[0].partition)
    consumer = await open_consumer(kafka, None, "test")
    consumer.assign([partition])
    consumer.seek(partition, sent[3].offset)

    record = await asyncio.wait_for(consumer.getone(), 30)
    await consumer.stop()

    assert record.value == b"3"


@pytest.mark.parametrize(
    "opening",
    [
        lambda kafka: open_producer(kafka, "test"),
        lambda kafka: open_consumer(kafka, "group", "test", ["topic"]),
    ],
    ids=["producer", "consumer"],
)
async def test_without_a_broker_opening_fails_and_leaves_nothing_behind(
    unused_tcp_port: int, opening: Callable[[KafkaAccess], Awaitable[object]]
) -> None:
    tasks = len(asyncio.all_tasks())

    with pytest.raises(KafkaConnectionError):
        await opening(KafkaAccess(f"127.0.0.1:{unused_tcp_port}"))

    assert len(asyncio.all_tasks()) == tasks


async def test_fifty_concurrent_handlers_write_under_their_own_message(
    kafka: KafkaAccess, topic: str, producer: AIOKafkaProducer, recorder: SpanRecorder, application: Database
) -> None:
    async with application.connect() as owner:
        await owner.execute("CREATE TABLE public.handled (value text)")
    database = ApplicationDatabase.open(application.url(), service="test", pool_size=50)
    barrier, stop, handled = asyncio.Barrier(50), asyncio.Event(), list[bytes]()
    for number in range(50):
        with recorder.telemetry.tracer.start_as_current_span(f"request {number}"):
            await send(producer, topic, f"k{number}".encode(), str(number).encode())

    async def handle(message: ConsumerRecord) -> None:
        async with database.transaction() as tx:
            # All fifty are inside their transactions at once before any writes.
            await barrier.wait()
            await tx.execute(
                sa.text("INSERT INTO public.handled VALUES (:value)"), {"value": message.value.decode()}
            )
        handled.append(message.value)
        if len(handled) == 50:
            stop.set()

    # Read from the beginning in one poll: fifty at once is what is tested.
    consumer = await open_consumer(kafka, f"fifty-{topic}", "test", [topic])
    try:
        async with asyncio.timeout(60):
            await consume(consumer, handle, concurrency=50, stop=stop, group="fifty")
    finally:
        await consumer.stop()
        await database.dispose()

    processed = {span.context.span_id: span for span in recorder.named(f"process {topic}") if span.context}
    written = recorder.named("transaction application")
    assert len(processed) == len(written) == 50
    parents = [span.parent.span_id for span in written if span.parent]
    assert sorted(parents) == sorted(processed)
    requests = {
        span.context.trace_id for span in recorder.spans if span.name.startswith("request ") and span.context
    }
    assert {span.context.trace_id for span in written if span.context} == requests
