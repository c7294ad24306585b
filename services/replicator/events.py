"""The record on topic `lake.<schema>.<table>`: key, image and headers, written by the relay, read by the sink."""

import zlib
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from aiokafka import ConsumerRecord

from services.chassis.dialects import Position
from services.replicator.errors import MalformedEvent

HEARTBEAT = "h"
OPERATIONS = frozenset({"c", "u", "d", "r", HEARTBEAT})

_ODD_DIGITS = frozenset("13579bdf")
_LARGEST = 2**63 - 1

Header = tuple[str, bytes]
Headers = list[Header]


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


class Event(NamedTuple):
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
    """Whether this is a W3C traceparent with its last flag bit set; a session may have set anything."""
    return len(traceparent) == 55 and traceparent[-1] in _ODD_DIGITS and traceparent.count("-") == 3


def parse(record: ConsumerRecord) -> Event:
    """Read a record.

    Raises:
        MalformedEvent: naming the header that is missing or cannot be read. Such a record has no place in the order
            of its partition; one that has is judged by `fault_of`.
    """
    headers = dict(record.headers)
    try:
        operation = headers["operation"].decode()
        traceparent = headers.get("traceparent")
        # By place, not by name: a hundred thousand of these a second.
        return Event(
            record.topic,
            record.partition,
            record.offset,
            record.timestamp,
            operation,
            _position(headers["position"]),
            _position(headers["previous"]),
            _number(headers["epoch"]),
            _incarnation(headers["incarnation"]),
            "" if operation == HEARTBEAT else headers["fingerprint"].decode(),
            None if traceparent is None else traceparent.decode(),
            record.key or b"",
            record.value,
        )
    except KeyError as error:
        raise MalformedEvent(f"{where(record)}: header {error} is missing") from None
    except (ValueError, AttributeError, TypeError) as error:
        raise MalformedEvent(f"{where(record)}: a header cannot be read: {error}") from None


def fault_of(event: Event) -> str | None:
    """Say why an event cannot be a change of any table, None when it can."""
    if event.operation not in OPERATIONS:
        return f"operation {event.operation!r} is none of {sorted(OPERATIONS)}"
    if event.operation == "d":
        if not event.key or event.image is not None:
            return "a delete without its key, or with an image"
    elif event.operation != HEARTBEAT and not (event.image and event.key):
        return f"operation {event.operation!r} without its key or its image"
    return None


def _position(text: bytes) -> Position:
    major, dot, minor = text.partition(b".")
    if not dot:
        raise ValueError(f"{text!r} is not a position such as 42.0")
    return Position(_number(major), _number(minor))


def _number(text: bytes) -> int:
    # What the offsets' columns cannot hold would stop the sink at this record for ever.
    if not text.isdigit() or (number := int(text)) > _LARGEST:
        raise ValueError(f"{text[:41]!r} is not a number from 0 to {_LARGEST}")
    return number


@lru_cache(maxsize=64)
def _incarnation(text: bytes) -> UUID:
    return UUID(hex=text.decode())


def where(record: ConsumerRecord) -> str:
    """Topic, partition and offset, as messages name them."""
    return f"{record.topic}/{record.partition}@{record.offset}"
