"""Ports: what relay and sink need from Kafka and from the journal.

aiokafka's clients and the lake's `JournalReader` satisfy these protocols as they are. Tests use in-memory versions.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol
from uuid import UUID

from aiokafka import ConsumerRecord, TopicPartition

from services.lake.journal.model import CapturedTable, Position
from services.lake.journal.reader import Change
from services.replicator.records import Headers

Clock = Callable[[], float]
"""Gives seconds. `time.monotonic` measures durations, `time.time` compares with the time of a change."""
Failpoint = Callable[[str], None]
"""Called with the name of a crash point when that point is reached."""


class RecordBatch(Protocol):
    """A batch of records for one partition, encoded as it is filled."""

    def append(
        self, *, timestamp: int | None, key: bytes | None, value: bytes | None, headers: Headers
    ) -> object | None:
        """Add a record, or return None when the batch is full. `timestamp` is in milliseconds since 1970."""
        ...

    def close(self) -> None:
        """Accept no further records."""
        ...


class BrokerClient(Protocol):
    """The part of a client that asks the brokers questions."""

    def force_metadata_update(self) -> Awaitable[bool]:
        """Ask for the metadata of the topics in use, and say whether an answer came."""
        ...


class RecordProducer(Protocol):
    """Sends batches of records, in order for each partition."""

    @property
    def client(self) -> BrokerClient:
        """The client that the producer sends by."""
        ...

    def create_batch(self) -> RecordBatch:
        """Return an empty batch."""
        ...

    async def send_batch(self, batch: RecordBatch, topic: str, *, partition: int) -> "asyncio.Future[object]":
        """Put a closed batch into the bounded buffer; the future ends with the acknowledgement or its error."""
        ...


class RecordSource(Protocol):
    """A consumer of a group: the records of the partitions that are assigned to it."""

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

    def highwater(self, partition: TopicPartition) -> int | None:
        """Return the offset behind the last record on the broker, None while it is unknown."""
        ...

    def assignment(self) -> AbstractSet[TopicPartition]:
        """Return the partitions that the group has assigned to this consumer."""
        ...

    def subscription(self) -> AbstractSet[str]:
        """Return the topics that this consumer reads."""
        ...

    def pause(self, *partitions: TopicPartition) -> None:
        """Return no records of these partitions until `resume`."""
        ...

    def resume(self, *partitions: TopicPartition) -> None:
        """End what `pause` began."""
        ...

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Tell the group how far it is."""
        ...


class Definitions(Protocol):
    """The captured tables, in every definition that an image was written by."""

    async def definitions(self) -> Mapping[str, CapturedTable]:
        """Return every definition by fingerprint, the oldest first."""
        ...


class ChangeStream(Protocol):
    """Reads changes on one connection."""

    async def read(self, after: Position, limit: int) -> Sequence[Change]:
        """Return at most `limit` committed changes above `after`, in order; none when nothing more is complete."""
        ...


class Journal(Protocol):
    """The journal of the lake, as the relay reads it."""

    def stream(self) -> AbstractAsyncContextManager[ChangeStream]:
        """Hold a connection to read on."""
        ...

    async def incarnation(self) -> UUID:
        """Return the journal's id."""
        ...

    async def purged(self) -> Position:
        """Return the position up to which the journal was purged."""
        ...

    async def captured_at(self, position: Position) -> datetime | None:
        """Return when the change at `position` was captured (UTC, naive), None when there is none."""
        ...

    async def read_between(self, after: Position, through: Position, limit: int) -> Sequence[Change]:
        """Return at most `limit` changes above `after` and not above `through`."""
        ...

    async def is_superseded(self, table: str, key: str, position: Position) -> bool:
        """Say whether a later change of the same row is committed."""
        ...

    async def oldest_writer_seconds(self) -> float:
        """Return for how many seconds the oldest open transaction has held the horizon back."""
        ...
