"""Kafka for every service; the names of the unstable messaging conventions live here only."""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    CommitFailedError,
    NodeNotReadyError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.structs import RecordMetadata
from opentelemetry import trace
from opentelemetry.trace import Link, SpanKind, Status, StatusCode, Tracer

from services.chassis.kafka_access import KafkaAccess
from services.chassis.telemetry.logging import get_logger
from services.chassis.telemetry.metrics import MESSAGE_PROCESS_DURATION, MESSAGES_CONSUMED, MESSAGES_SENT
from services.chassis.telemetry.spans import current_traceparent, exemplar, parent_from

TRACEPARENT = "traceparent"
SYSTEM = "messaging.system"
DESTINATION = "messaging.destination.name"
PARTITION = "messaging.destination.partition.id"
OPERATION_NAME = "messaging.operation.name"
OPERATION_TYPE = "messaging.operation.type"
GROUP = "messaging.consumer.group.name"
OFFSET = "messaging.kafka.offset"
BATCH_COUNT = "messaging.batch.message_count"

LINGER_MILLIS = 5
BATCH_BYTES = 256 * 1024
FETCH_BYTES = 4 * 1024 * 1024
DESCRIBE_SECONDS = 10.0
_LARGEST = "max.message.bytes"
# For all partitions together; a consumer's memory is a few times this.
LARGEST_FETCH_BYTES = 16 * 1024 * 1024
POLL_MILLIS = 500
# Longer than a client needs to leave its group; if its broker stops meanwhile, the client may never finish.
CLOSE_SECONDS = 15.0
# One poll may return messages for this many rounds of the workers, so that slow keys do not leave workers idle.
POLL_FACTOR = 4

Header = tuple[str, bytes]
Handler = Callable[[ConsumerRecord], Awaitable[None]]

_log = get_logger(__name__)


class TopicMismatch(Exception):
    """A topic exists with a number of partitions that the program does not expect."""


async def open_producer(
    kafka: KafkaAccess, client_id: str, *, compression: str | None = "lz4"
) -> AIOKafkaProducer:
    """A started, idempotent producer whose sends are acknowledged by all replicas; the caller stops it.

    Raises aiokafka's KafkaConnectionError when no broker of it answers.
    """
    producer = AIOKafkaProducer(
        **kafka.client(),
        client_id=client_id,
        enable_idempotence=True,
        acks="all",
        compression_type=compression,
        linger_ms=LINGER_MILLIS,
        max_batch_size=BATCH_BYTES,
    )
    await _start(producer)
    return producer


async def open_consumer(
    kafka: KafkaAccess,
    group: str | None,
    client_id: str,
    topics: Sequence[str] = (),
    *,
    listener: ConsumerRebalanceListener | None = None,
    auto_offset_reset: str = "earliest",
    session_timeout_millis: int = 10_000,
    max_poll_interval_millis: int = 300_000,
    fetch_wait_millis: int = 500,
) -> AIOKafkaConsumer:
    """A started consumer without automatic commits; subscribed to `topics` unless there are none.

    Without a `group`, use `assign`. A broker without new messages answers a fetch after `fetch_wait_millis`.
    Reads committed messages only. The caller stops it. Raises aiokafka's KafkaConnectionError when no broker of
    it answers.
    """
    consumer = AIOKafkaConsumer(
        **kafka.client(),
        group_id=group,
        client_id=client_id,
        enable_auto_commit=False,
        auto_offset_reset=auto_offset_reset,
        isolation_level="read_committed",
        max_partition_fetch_bytes=FETCH_BYTES,
        fetch_max_bytes=LARGEST_FETCH_BYTES,
        fetch_max_wait_ms=fetch_wait_millis,
        session_timeout_ms=session_timeout_millis,
        heartbeat_interval_ms=session_timeout_millis // 3,
        max_poll_interval_ms=max_poll_interval_millis,
    )
    if topics:
        consumer.subscribe(topics=list(topics), listener=listener)
    await _start(consumer)
    return consumer


async def ensure_topics(
    kafka: KafkaAccess, topics: Mapping[str, int], *, configs: Mapping[str, str] | None = None
) -> dict[str, int]:
    """Create those of `topics` (name → partitions) that do not exist, with the broker's default of replicas.

    `configs` are topic settings such as `retention.ms`. Returns how many bytes a record batch of each topic may have.
    Raises TopicMismatch when one exists with another number of partitions: the order of keys would break.
    """
    admin = AIOKafkaAdminClient(**kafka.client())
    await admin.start()
    try:
        wanted = [
            NewTopic(name, num_partitions=count, replication_factor=1, topic_configs=dict(configs or {}))
            for name, count in topics.items()
        ]
        for topic in wanted:
            # The broker's default: -1 in the protocol, which aiokafka's constructor refuses.
            topic.replication_factor = -1
        try:
            response = await admin.create_topics(wanted)
        except AttributeError as missing:
            # What aiokafka raises while the cluster has no controller, as after a broker that stood still.
            raise NodeNotReadyError("Kafka has no controller at the moment.") from missing
        for name, code, *_ in response.topic_errors:
            error = for_code(code)
            if code and error is not TopicAlreadyExistsError:
                raise error(f"Topic {name} could not be created.")
        for found in await admin.describe_topics(list(topics)):
            name, partitions = found["topic"], len(found["partitions"])
            # The description of a new topic may still lack its partitions.
            if partitions and partitions != topics[name]:
                raise TopicMismatch(
                    f"Topic {name} has {partitions} partitions, {topics[name]} are expected. "
                    "Recreate it, or move its messages to a new topic."
                )
        return await _largest_batches(admin, topics)
    finally:
        await admin.close()


async def _largest_batches(admin: AIOKafkaAdminClient, topics: Iterable[str]) -> dict[str, int]:
    wanted = [ConfigResource(ConfigResourceType.TOPIC, name, {_LARGEST: None}) for name in topics]
    ends = time.monotonic() + DESCRIBE_SECONDS
    while True:
        try:
            return _sizes(await admin.describe_configs(wanted))
        except UnknownTopicOrPartitionError:
            # The topic is new: this broker may not know it yet.
            if time.monotonic() > ends:
                raise
        await asyncio.sleep(0.1)


def _sizes(responses: Iterable[Any]) -> dict[str, int]:
    largest: dict[str, int] = {}
    for response in responses:
        for code, message, _, name, configs in response.resources:
            if code:
                raise for_code(code)(f"Topic {name} could not be described: {message}")
            largest.update((name, int(value)) for config, value, *_ in configs if config == _LARGEST)
    return largest


async def send(
    producer: AIOKafkaProducer,
    topic: str,
    key: bytes | None,
    value: bytes | None,
    headers: Iterable[Header] = (),
) -> RecordMetadata:
    """Send one message and wait for its acknowledgement, inside a PRODUCER span.

    A `traceparent` header of the span is added. Raises aiokafka's KafkaError without an acknowledgement.
    """
    with _tracer().start_as_current_span(
        f"send {topic}",
        kind=SpanKind.PRODUCER,
        attributes={
            SYSTEM: "kafka",
            DESTINATION: topic,
            OPERATION_NAME: "send",
            OPERATION_TYPE: "send",
        },
    ) as span:
        try:
            context = (TRACEPARENT, (current_traceparent() or "").encode())
            metadata = await producer.send_and_wait(topic, value, key=key, headers=[*headers, context])
        except Exception as error:
            span.set_attribute("error.type", type(error).__name__)
            MESSAGES_SENT.labels(topic, type(error).__name__).inc(1, exemplar())
            raise
        span.set_attribute(PARTITION, str(metadata.partition))
        span.set_attribute(OFFSET, metadata.offset)
        MESSAGES_SENT.labels(topic, "").inc(1, exemplar())
        return metadata


@asynccontextmanager
async def process(record: ConsumerRecord, *, tracer: Tracer, group: str) -> AsyncGenerator[trace.Span]:
    """The CONSUMER span `process {topic}` around the handling of `record`; also counts and times it.

    Its parent is the message's `traceparent` header (a root without one), and it links to the span that is
    current on entry, the poll's. An exception inside is recorded and raised again.
    """
    poll = trace.get_current_span().get_span_context()
    started = perf_counter()
    error_type = ""
    with tracer.start_as_current_span(
        f"process {record.topic}",
        context=parent_from(header(record, TRACEPARENT)),
        kind=SpanKind.CONSUMER,
        links=[Link(poll)] if poll.is_valid else [],
        attributes={
            SYSTEM: "kafka",
            DESTINATION: record.topic,
            PARTITION: str(record.partition),
            OFFSET: record.offset,
            GROUP: group,
            OPERATION_NAME: "process",
            OPERATION_TYPE: "process",
        },
        set_status_on_exception=False,
    ) as span:
        MESSAGES_CONSUMED.labels(record.topic, group).inc(1, exemplar())
        try:
            yield span
        except Exception as error:
            error_type = type(error).__name__
            span.set_attribute("error.type", error_type)
            span.set_status(Status(StatusCode.ERROR))
            raise
        finally:
            MESSAGE_PROCESS_DURATION.labels(record.topic, group, error_type).observe(
                perf_counter() - started, exemplar()
            )


async def consume(
    consumer: AIOKafkaConsumer,
    handler: Handler,
    *,
    concurrency: int,
    stop: asyncio.Event,
    group: str = "",
) -> None:
    """Pass every message to `handler` until `stop` is set, then finish the polled messages and return.

    Up to `concurrency` messages are handled at once, those of one partition and key in order. Offsets are
    committed when all messages of a poll were handled, so that after a crash, or when `handler` raises
    (which ends this call with an ExceptionGroup), messages are delivered again: handlers are idempotent.
    """
    slots = asyncio.Semaphore(concurrency)
    tracer = _tracer()

    async def handle_in_order(records: Sequence[ConsumerRecord]) -> None:
        for record in records:
            async with slots, process(record, tracer=tracer, group=group):
                await handler(record)

    while not stop.is_set():
        polled: dict[TopicPartition, list[ConsumerRecord]] = await consumer.getmany(
            timeout_ms=POLL_MILLIS, max_records=concurrency * POLL_FACTOR
        )
        if not polled:
            continue
        with _poll_span(tracer, polled, group):
            async with asyncio.TaskGroup() as workers:
                for records in _by_key(polled):
                    workers.create_task(handle_in_order(records))
            await _commit(
                consumer, {partition: records[-1].offset + 1 for partition, records in polled.items()}
            )


def header(record: ConsumerRecord, name: str) -> str | None:
    """The text of the last header called `name`, or None."""
    values = [value for key, value in record.headers if key == name and value is not None]
    return values[-1].decode("utf-8", "replace") if values else None


def _by_key(polled: Mapping[TopicPartition, Sequence[ConsumerRecord]]) -> list[list[ConsumerRecord]]:
    chains: dict[tuple[TopicPartition, bytes | None], list[ConsumerRecord]] = defaultdict(list)
    for partition, records in polled.items():
        for record in records:
            chains[partition, record.key].append(record)
    return list(chains.values())


def _poll_span(tracer: Tracer, polled: Mapping[TopicPartition, Sequence[ConsumerRecord]], group: str) -> Any:
    topics = sorted({partition.topic for partition in polled})
    return tracer.start_as_current_span(
        f"poll {topics[0]}" if len(topics) == 1 else "poll",
        kind=SpanKind.CLIENT,
        attributes={
            SYSTEM: "kafka",
            OPERATION_NAME: "poll",
            OPERATION_TYPE: "receive",
            GROUP: group,
            BATCH_COUNT: sum(len(records) for records in polled.values()),
        },
    )


async def _commit(consumer: AIOKafkaConsumer, offsets: Mapping[TopicPartition, int]) -> None:
    try:
        await consumer.commit(dict(offsets))
    except CommitFailedError:
        # Another consumer has the partitions now, and handles these messages again.
        _log.warning("offsets were not committed: the group was rebalanced", partitions=len(offsets))


async def close(client: AIOKafkaConsumer | AIOKafkaProducer) -> None:
    """Stop a client, even when its broker is gone; errors are only logged, because no caller could handle them."""
    # In a separate task: when the broker is gone, a client may end with the cancellation of one of its own tasks, and
    # the caller would treat it as its own cancellation.
    stopping = asyncio.ensure_future(client.stop())
    await asyncio.wait([stopping], timeout=CLOSE_SECONDS)
    if not stopping.done():
        stopping.cancel()
        _log.warning("a Kafka client does not close; it is left behind", client=type(client).__name__)
    elif stopping.cancelled():
        _log.info("a Kafka client was closed half way", client=type(client).__name__)
    elif error := stopping.exception():
        _log.warning(
            "a Kafka client was not closed", client=type(client).__name__, error=type(error).__name__
        )


async def _start(client: Any) -> None:
    try:
        await client.start()
    except BaseException:
        # A client whose start failed still has open sockets and tasks.
        await close(client)
        raise


def _tracer() -> Tracer:
    return trace.get_tracer("creditmesh")
