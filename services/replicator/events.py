"""The record on topic `lake.<schema>.<table>`: key, image and headers, written by the relay, read by the sink."""

import zlib
from dataclasses import dataclass
from uuid import UUID

from aiokafka import ConsumerRecord

from services.chassis.dialects import Position
from services.lake.journal import Change
from services.replicator.errors import MalformedEvent

HEARTBEAT = "h"
OPERATIONS = frozenset({"c", "u", "d", "r", HEARTBEAT})

_ODD_DIGITS = frozenset("13579bdf")

Headers = list[tuple[str, bytes]]


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key: all changes of one row go through one partition, in order."""
    return zlib.crc32(key) % partitions


def headers_of(
    *, operation: str, position: Position, previous: Position, epoch: int, incarnation: UUID
) -> Headers:
    """The headers that every record carries. `previous` is the last position sent to the same partition."""
    return [
        ("operation", operation.encode()),
        ("position", str(position).encode()),
        ("previous", str(previous).encode()),
        ("epoch", str(epoch).encode()),
        ("incarnation", incarnation.hex.encode()),
    ]


def change_headers(
    change: Change, *, previous: Position, epoch: int, incarnation: UUID, traceparent: str | None
) -> Headers:
    """The headers of one change; the stored trace context goes on unchanged."""
    headers = headers_of(
        operation=change.operation,
        position=change.position,
        previous=previous,
        epoch=epoch,
        incarnation=incarnation,
    )
    headers.append(("fingerprint", change.fingerprint.encode()))
    if traceparent:
        headers.append(("traceparent", traceparent.encode()))
    return headers


@dataclass(frozen=True, slots=True)
class Event:
    """One record as the sink sees it. `image` is None for deletes and heartbeats."""

    topic: str
    partition: int
    offset: int
    captured_ms: int
    operation: str
    position: Position
    previous: Position
    epoch: int
    incarnation: UUID
    fingerprint: str
    traceparent: str | None
    key: bytes
    image: bytes | None

    @property
    def sampled(self) -> bool:
        """Whether the transaction that caused the change was sampled."""
        return self.traceparent is not None and is_sampled(self.traceparent)


def is_sampled(traceparent: str) -> bool:
    """Whether the last flag bit of a W3C traceparent is set."""
    return traceparent[-1:] in _ODD_DIGITS


def parse(record: ConsumerRecord) -> Event:
    """Read a record.

    Raises:
        MalformedEvent: naming what is missing or wrong in it.
    """
    headers = dict(record.headers)
    try:
        operation = headers["operation"].decode()
        event = Event(
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            captured_ms=record.timestamp,
            operation=operation,
            position=Position.parse(headers["position"].decode()),
            previous=Position.parse(headers["previous"].decode()),
            epoch=int(headers["epoch"]),
            incarnation=UUID(hex=headers["incarnation"].decode()),
            fingerprint="" if operation == HEARTBEAT else headers["fingerprint"].decode(),
            traceparent=headers["traceparent"].decode() if "traceparent" in headers else None,
            key=record.key or b"",
            image=record.value,
        )
    except KeyError as error:
        raise MalformedEvent(f"{where(record)}: header {error} is missing") from None
    except ValueError as error:
        raise MalformedEvent(f"{where(record)}: a header cannot be read: {error}") from None
    if operation not in OPERATIONS:
        raise MalformedEvent(f"{where(record)}: operation {operation!r} is none of {sorted(OPERATIONS)}")
    if operation in "cur" and (not event.image or not event.key):
        raise MalformedEvent(f"{where(record)}: operation {operation!r} without its key or its image")
    if operation == "d" and not event.key:
        raise MalformedEvent(f"{where(record)}: a delete without its key")
    return event


def where(record: ConsumerRecord) -> str:
    """Topic, partition and offset, as messages name them."""
    return f"{record.topic}/{record.partition}@{record.offset}"
