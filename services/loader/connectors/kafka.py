"""Topics: windows of offsets, closed at each partition's end as of now."""

import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from services.chassis.kafka_access import KafkaAccess
from services.loader.connectors.interface import Chunk, Dataset, Mark, Window
from services.loader.connectors.lines import Lines, parsed
from services.loader.errors import SourceChanged, SourceUnreachable
from services.loader.flows.model import KafkaFlow, Target

READ_SECONDS = 30.0
"""A broker that returns no record of a window for this many seconds counts as not answering."""
READ_RECORDS = 5_000


class KafkaConnector:
    """Reads every record once; a record without a value is a delete.

    A key is a JSON object of the key columns, or, where there is one key column, any text. Positions are (offset,
    partition): records of one key are in one partition, so theirs rise.
    """

    compares = complete = False
    may_be_empty = True

    def __init__(self, flow: KafkaFlow) -> None:
        """Where the brokers are is read from the environment when first asked."""
        self._flow = flow
        variable = flow.source.bootstrap_variable
        self._bootstrap = os.environ.get(variable, "")
        # Beside it: SECURITY_PROTOCOL, USERNAME, PASSWORD or PASSWORD_FILE, CA_FILE.
        self._prefix = variable.removesuffix("BOOTSTRAP")
        self._targets = {target.source: target for target in flow.targets}
        self._lines = {target.source: Lines(flow, target, "kafka") for target in flow.targets}

    def dataset(self, target: Target) -> Dataset:
        """Name the topic."""
        return Dataset(f"kafka://{self._bootstrap.split(',')[0]}", target.source)

    async def next_window(self, mark: Mark, most_rows: int) -> Window | None:
        """Close a window at the partitions' ends, or where all of them together make `most_rows`."""
        async with self._consumer() as consumer:
            begin, end = await self._bounds(consumer, mark)
        left, more = most_rows, False
        closed = dict(begin)
        for partition, offset in sorted(end.items()):
            taken = min(left, offset - begin[partition])
            closed[partition] = begin[partition] + taken
            left -= taken
            more = more or closed[partition] < offset
        if closed == begin:
            return None
        return Window(_text(begin), _text(closed), more=more)

    async def read(self, window: Window) -> AsyncIterator[Chunk]:
        """Read partition by partition, each up to the window's end."""
        begin, end = _offsets(window.position_from), _offsets(window.position_to)
        async with self._consumer() as consumer:
            wanted = [TopicPartition(*_split(name)) for name in sorted(end) if begin.get(name, 0) < end[name]]
            consumer.assign(wanted)
            for partition in wanted:
                first = (await consumer.beginning_offsets([partition]))[partition]
                if first > begin.get(_name(partition), 0):
                    raise self._lost(partition, begin.get(_name(partition), 0), first)
                consumer.seek(partition, begin.get(_name(partition), 0))
            # One after the other: the checksum of a batch is over its rows in order, and a replay must find the same.
            for partition in wanted:
                async for records in self._records(consumer, partition, end[_name(partition)]):
                    yield {self._targets[partition.topic].table: [self._line(record) for record in records]}

    async def _records(
        self, consumer: AIOKafkaConsumer, partition: TopicPartition, end: int
    ) -> AsyncIterator[list[ConsumerRecord[bytes | None, bytes | None]]]:
        """Read one partition from where the consumer stands to `end`."""
        # Transactions leave offsets without a record, so it is the place that tells, not the last record.
        while (before := await consumer.position(partition)) < end:
            polled = await consumer.getmany(
                partition, timeout_ms=int(READ_SECONDS * 1000), max_records=READ_RECORDS
            )
            records = [record for record in polled.get(partition, []) if record.offset < end]
            if records:
                yield records
            elif await consumer.position(partition) == before:
                raise SourceUnreachable(
                    f"flow {self._flow.name}: nothing of {_name(partition)} came for {READ_SECONDS:.0f} s, and its "
                    f"window is not at its end; are the brokers at {self._bootstrap} up?"
                )

    def _line(self, record: ConsumerRecord[bytes | None, bytes | None]) -> bytes:
        target, lines = self._targets[record.topic], self._lines[record.topic]
        place = f"partition {record.partition}, offset {record.offset}"
        headers = dict(record.headers)
        traceparent = headers.get("traceparent")
        common: dict[str, Any] = {
            "major": record.offset,
            "minor": record.partition,
            "place": place,
            "traceparent": traceparent.decode("ascii", "ignore")[:55] if traceparent else None,
            "captured_at": datetime.fromtimestamp(record.timestamp / 1000, UTC),
        }
        try:
            if record.value is None:
                return lines.delete(_key(record.key, target), **common)
            values = _object(record.value)
        except ValueError as error:
            raise SourceChanged(
                f"flow {self._flow.name}: {record.topic}, {place} cannot be read: {error}. Nothing of this window was "
                "loaded: correct the producer, or move the topic's retention past the record"
            ) from None
        others = {
            name: value.decode(errors="replace") for name, value in record.headers if name != "traceparent"
        }
        if others:
            values["_headers"] = orjson.dumps(others, option=orjson.OPT_SORT_KEYS).decode()
        return lines.row(values, operation="r", **common)

    async def waiting(self, mark: Mark) -> Mapping[str, int | None]:
        """Count the offsets behind the mark."""
        async with self._consumer() as consumer:
            begin, end = await self._bounds(consumer, mark)
        counts: dict[str, int | None] = {target.table: 0 for target in self._flow.targets}
        for name, offset in end.items():
            table = self._targets[_split(name)[0]].table
            counts[table] = (counts[table] or 0) + offset - begin[name]
        return counts

    async def loaded(self, position: str) -> None:
        """Do nothing: the watermark is the only memory."""

    async def close(self) -> None:
        """Do nothing: each reading has a connection of its own."""

    async def _bounds(self, consumer: AIOKafkaConsumer, mark: Mark) -> tuple[dict[str, int], dict[str, int]]:
        partitions = await self._partitions()
        first = await consumer.beginning_offsets(partitions)
        last = await consumer.end_offsets(partitions)
        known = _offsets(mark.position)
        begin, end = {}, {}
        for partition in partitions:
            name = _name(partition)
            begin[name], end[name] = known.get(name, first[partition]), last[partition]
            if begin[name] < first[partition] or begin[name] > end[name]:
                raise self._lost(partition, begin[name], first[partition])
        return begin, end

    def _access(self) -> KafkaAccess:
        try:
            return KafkaAccess.from_environment(os.environ, self._prefix)
        except ValueError as error:
            raise SourceUnreachable(f"flow {self._flow.name}: {error}") from None

    async def _partitions(self) -> list[TopicPartition]:
        admin = AIOKafkaAdminClient(**self._access().client(), client_id="loader")
        try:
            await admin.start()
            described = await admin.describe_topics(list(self._targets))
        finally:
            await admin.close()
        found: list[TopicPartition] = []
        for topic in described:
            if not topic["partitions"]:
                raise SourceChanged(
                    f"flow {self._flow.name}: there is no topic {topic['topic']} at {self._bootstrap}; create it, or "
                    "correct targets[].source of the flow file"
                )
            found += [TopicPartition(topic["topic"], each["partition"]) for each in topic["partitions"]]
        return sorted(found)

    def _lost(self, partition: TopicPartition, wanted: int, first: int) -> SourceChanged:
        return SourceChanged(
            f"flow {self._flow.name}: {_name(partition)} no longer has offset {wanted} (it begins at {first}): records "
            "expired by its retention, or the topic was recreated. Load more often than records are kept; to continue "
            "without them, give the flow another name and new landing tables"
        )

    @asynccontextmanager
    async def _consumer(self) -> AsyncIterator[AIOKafkaConsumer]:
        if not self._bootstrap:
            raise SourceUnreachable(
                f"flow {self._flow.name}: {self._flow.source.bootstrap_variable} is not set; it names the brokers"
            )
        with self._reaching():
            # Of no group: a window is nobody else's, and the watermark the only memory.
            consumer = AIOKafkaConsumer(
                **self._access().client(),
                enable_auto_commit=False,
                isolation_level="read_committed",
                client_id="loader",
            )
            try:
                await consumer.start()
                yield consumer
            finally:
                await consumer.stop()

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except (KafkaError, OSError, TimeoutError) as error:
            raise SourceUnreachable(
                f"flow {self._flow.name}: Kafka at {self._bootstrap} does not answer ({type(error).__name__})"
            ) from error


def _key(key: bytes | None, target: Target) -> dict[str, Any]:
    if key is None:
        raise ValueError("it has neither key nor value")
    text = key.decode()
    if text.startswith("{"):
        return _object(key)
    if len(target.keys) != 1:
        raise ValueError(f"its key is no JSON object of {', '.join(target.keys)}")
    return {target.keys[0]: text}


def _object(text: bytes) -> dict[str, Any]:
    found = parsed(text)
    if not isinstance(found, dict):
        raise ValueError("it is no JSON object")  # noqa: TRY004 - a value of the source, not of a caller
    return found


def _name(partition: TopicPartition) -> str:
    return f"{partition.topic}/{partition.partition}"


def _split(name: str) -> tuple[str, int]:
    topic, _, number = name.rpartition("/")
    return topic, int(number)


def _text(offsets: Mapping[str, int]) -> str:
    return orjson.dumps(dict(offsets), option=orjson.OPT_SORT_KEYS).decode()


def _offsets(position: str | None) -> dict[str, int]:
    return {} if position is None else dict(orjson.loads(position))
