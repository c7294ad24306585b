"""The partitions of the lake's topics as the relay writes them: one open record batch each."""

import asyncio
from collections.abc import Mapping

from aiokafka.errors import KafkaError, KafkaTimeoutError, UnknownTopicOrPartitionError

from services.chassis.telemetry.metrics import MESSAGES_SENT
from services.lake.journal.model import START, Position
from services.replicator.ports import RecordBatch, RecordProducer
from services.replicator.records import Headers, partition_of
from services.replicator.topics import RECORD_MARGIN_BYTES, topic_of

HELD = -1
"""No image is so small: what is held costs a change nothing but the comparison that it undergoes anyway."""


class Partition:
    """One partition: what was last sent to it, and the record batch that is being filled for it.

    `largest` is the size in bytes that an image may have, `HELD` while nothing may be sent.

    Records are encoded into the batch here and handed over whole: much less work a record than `send()`.
    """

    __slots__ = ("builder", "count", "largest", "number", "producer", "sent", "topic")

    def __init__(self, producer: RecordProducer, topic: str, number: int, sent: str, largest: int) -> None:
        self.producer = producer
        self.topic = topic
        self.number = number
        self.sent = sent
        self.largest = largest
        self.builder: RecordBatch | None = None
        self.count = 0

    def append(self, key: bytes | None, value: bytes | None, timestamp_ms: int, headers: Headers) -> bool:
        """Add a record to the open batch, or say that it is full."""
        builder = self.builder
        if builder is None:
            builder = self.builder = self.producer.create_batch()
        taken = builder.append(timestamp=timestamp_ms, key=key, value=value, headers=headers)
        if taken is None:
            return False
        self.count += 1
        return True


class Partitions:
    """All partitions of one relay."""

    def __init__(
        self, producer: RecordProducer, topic_prefix: str, count: int, *, ack_seconds: float
    ) -> None:
        """Create the partitions of no table; `begin` adds those of each table.

        Args:
            producer: sends their batches.
            topic_prefix: stands before a table's name in its topic's.
            count: partitions of each topic, at least 1.
            ack_seconds: an acknowledgement that takes longer counts as failed.
        """
        self._producer = producer
        self._ack_seconds = ack_seconds
        self._topic_prefix = topic_prefix
        self._count = count
        self._of: dict[str, list[Partition]] = {}
        self._largest: dict[str, int] = {}
        self._acks: list[asyncio.Future[object]] = []

    def begin(self, tables: Mapping[str, int], sent: Mapping[str, str]) -> None:
        """Know the partitions of `tables`, and what was last sent where: `topic/partition` to position.

        `tables` says how many bytes a record batch of each table's topic may have.
        """
        for table, most in tables.items():
            topic = topic_of(self._topic_prefix, table)
            self._largest[table] = most - RECORD_MARGIN_BYTES
            self._of[table] = [
                Partition(
                    self._producer,
                    topic,
                    number,
                    sent.get(f"{topic}/{number}", str(START)),
                    self._largest[table],
                )
                for number in range(self._count)
            ]

    def hold(self, table: str) -> None:
        """Take nothing more for a table, heartbeats included: what comes next on its partitions is its next change."""
        for partition in self._of[table]:
            partition.largest = HELD

    def resume(self, table: str) -> None:
        """Take changes for a table again."""
        for partition in self._of[table]:
            partition.largest = self._largest[table]

    def largest(self, table: str) -> int:
        """How many bytes an image of a table may have."""
        return self._largest[table]

    def of(self, table: str, key: bytes) -> Partition:
        """The partition of a key.

        Raises:
            aiokafka.errors.UnknownTopicOrPartitionError: the table was not there when the relay began.
        """
        try:
            return self._of[table][partition_of(key, self._count)]
        except KeyError:
            raise UnknownTopicOrPartitionError(f"no topic was made for {table} yet") from None

    def sent(self) -> dict[str, str]:
        """The last position sent to each `topic/partition`, as text."""
        return {f"{each.topic}/{each.number}": each.sent for each in self._all()}

    def behind(self, position: Position, turn: int, turns: int) -> list[Partition]:
        """Those of every `turns`-th partition, from `turn` on, whose last record is below `position`.

        Not those with an open batch, which are getting something just now, nor those that are held.
        """
        text = str(position)
        return [
            each
            for each in self._all()[turn::turns]
            if each.sent != text and each.builder is None and each.largest != HELD
        ]

    def _all(self) -> list[Partition]:
        return [partition for partitions in self._of.values() for partition in partitions]

    async def hand_over(self, partition: Partition) -> None:
        """Give the open batch, if there is one, to the producer, whose bounded buffer holds the caller back."""
        builder, partition.builder = partition.builder, None
        if builder is None:
            return
        # Nothing will be added to it: the producer need not wait for more.
        builder.close()
        ack = await self._producer.send_batch(builder, partition.topic, partition=partition.number)
        self._acks.append(ack)

    async def flush(self) -> None:
        """Give every open batch to the producer."""
        for partition in self._all():
            if partition.builder is not None:
                await self.hand_over(partition)

    async def answers(self) -> bool:
        """Whether Kafka answers a request of the producer's client; waits for that as long as any request may take."""
        try:
            # Not of all topics: those of this relay are in its metadata already.
            return bool(await self._producer.client.force_metadata_update())
        except KafkaError:
            return False

    async def await_acknowledgements(self) -> None:
        """Wait for every acknowledgement.

        Raises:
            aiokafka.errors.KafkaError: the first that failed, or that did not come.
        """
        acks, self._acks = self._acks, []
        if acks:
            _, waiting = await asyncio.wait(acks, timeout=self._ack_seconds)
            if waiting:
                raise KafkaTimeoutError(
                    f"{len(waiting)} batches were not acknowledged in {self._ack_seconds:.0f} s"
                )
        for result in await asyncio.gather(*acks, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result
        for partition in self._all():
            if partition.count:
                MESSAGES_SENT.labels(partition.topic, "").inc(partition.count)
                partition.count = 0
