"""The record on topic `lake.<schema>.<table>`: key, image and headers, written by the relay, read by the sink.

Header `change` is one line of text, `<operation> <position> <previous> <epoch> <incarnation> <fingerprint>`, such as
`u 4711.0 4702.0 3 0197a2a0000070008000000000000001 0123456789abcdef`; header `traceparent` is the transaction's. One
header, because what a record costs on its way grows with the number of its headers, not with their length.
"""

import time
import zlib
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from aiokafka import ConsumerRecord, TopicPartition

from services.lake.journal.model import Position
from services.replicator.errors import MalformedEvent

HEARTBEAT = "h"
IMAGED = frozenset({"c", "u", "r"})
"""Operations that carry the row as it is then."""
OPERATIONS = IMAGED | {"d", HEARTBEAT}
CHANGE = "change"
TRACEPARENT = "traceparent"
NO_TABLE = "-"
"""The fingerprint of a record that is about no table."""

MOST_NEWEST = 4096

_made = tuple.__new__
_OPERATION = {operation.encode(): operation for operation in OPERATIONS}
# A position comes a second time, as the previous of the next record of its partition.
_newest: dict[bytes, Position] = {}
_ODD_DIGITS = frozenset("13579bdf")
_LARGEST = 2**63 - 1

Header = tuple[str, bytes]
Headers = list[Header]


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key: all changes of one row go through one partition, in order."""
    return zlib.crc32(key) % partitions


class Source(NamedTuple):
    """Whose record it is: the relay's epoch, the journal, and the definition that the image was written by."""

    epoch: int
    incarnation: UUID
    fingerprint: str = NO_TABLE

    def __str__(self) -> str:
        return f"{self.epoch} {self.incarnation.hex} {self.fingerprint}"


def change_header(operation: str, position: str, previous: str, source: str) -> Header:
    """Header `change`; `previous` is the last position sent to the same partition, `source` a `Source` as text."""
    return (CHANGE, f"{operation} {position} {previous} {source}".encode())


class Event(NamedTuple):
    """One record as the sink sees it."""

    record: ConsumerRecord
    operation: str
    position: Position
    previous: Position
    source: Source
    traceparent: str | None

    @property
    def topic(self) -> str:
        """The topic that the record came from."""
        return str(self.record.topic)

    @property
    def partition(self) -> int:
        """The partition that the record came from."""
        return int(self.record.partition)

    @property
    def offset(self) -> int:
        """The record's offset."""
        return int(self.record.offset)

    @property
    def captured_ms(self) -> int:
        """When the change was captured, in milliseconds since 1970."""
        return int(self.record.timestamp)

    @property
    def key(self) -> bytes:
        """The canonical key; empty for a heartbeat."""
        return self.record.key or b""

    @property
    def image(self) -> bytes | None:
        """The row after the change; None for deletes and heartbeats."""
        return self.record.value  # type: ignore[no-any-return] # aiokafka ships no types

    @property
    def epoch(self) -> int:
        """The epoch of the relay that sent it."""
        return self.source.epoch

    @property
    def incarnation(self) -> UUID:
        """The journal that it is of."""
        return self.source.incarnation

    @property
    def fingerprint(self) -> str:
        """The definition that its image was written by."""
        return self.source.fingerprint

    @property
    def sampled(self) -> bool:
        """Whether the transaction that caused the change was sampled."""
        return self.traceparent is not None and is_sampled(self.traceparent)


class Undecodable(ConsumerRecord):  # type: ignore[misc] # aiokafka ships no types
    """Stands for a record that the client cannot decode; what is in it stays in the topic."""

    REASON = (
        "the client cannot decode the record here or right behind: it, or one before it that was sent with it, has a "
        "header whose name is not UTF-8. Its content is in the topic still"
    )

    @classmethod
    def at(cls, place: TopicPartition, offset: int) -> "Undecodable":
        """The one at `offset`, as of now; nothing else is known of it."""
        now_ms = int(time.time() * 1000)
        return cls(place.topic, place.partition, offset, now_ms, 0, None, None, None, -1, -1, ())


@lru_cache(maxsize=1024)
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
        operation, position, previous, source = headers[CHANGE].split(b" ", 3)
        before = _newest.pop(previous, None) or _position(previous)
        if len(_newest) >= MOST_NEWEST:
            _newest.clear()
        _newest[position] = at = _position(position)
        traceparent = headers.get(TRACEPARENT)
        # A NamedTuple's own constructor costs as much as half of the rest.
        return _made(
            Event,
            (
                record,
                _OPERATION.get(operation) or operation.decode(),
                at,
                before,
                _source(source),
                None if traceparent is None else traceparent.decode(),
            ),
        )
    except KeyError as error:
        if isinstance(record, Undecodable):
            raise MalformedEvent(f"{where(record)}: {Undecodable.REASON}") from None
        raise MalformedEvent(f"{where(record)}: header {error} is missing") from None
    except (ValueError, AttributeError, TypeError) as error:
        raise MalformedEvent(f"{where(record)}: a header cannot be read: {error}") from None


def fault_of(event: Event) -> str | None:
    """Say why an event cannot be a change of any table, None when it can."""
    operation, record = event.operation, event.record
    if operation in IMAGED:
        if record.value and record.key:
            return None
        return f"operation {operation!r} without its key or its image"
    if operation == "d":
        if not record.key or record.value is not None:
            return "a delete without its key, or with an image"
    elif operation != HEARTBEAT:
        return f"operation {operation!r} is none of {sorted(OPERATIONS)}"
    return None


def _position(text: bytes) -> Position:
    major, dot, minor = text.partition(b".")
    if not dot:
        raise ValueError(f"{text!r} is not a position such as 42.0")
    # Up to 18 digits are a number of 63 bits, whatever they are.
    high = int(major) if len(major) < 19 and major.isdigit() else _number(major)
    return _made(Position, (high, 0 if minor == b"0" else _number(minor)))


@lru_cache(maxsize=1024)
def _source(text: bytes) -> Source:
    epoch, incarnation, fingerprint = text.split(b" ")
    return Source(_number(epoch), UUID(hex=incarnation.decode()), fingerprint.decode())


def _number(text: bytes) -> int:
    # What the offsets' columns cannot hold would stop the sink at this record for ever.
    if not text.isdigit() or (number := int(text)) > _LARGEST:
        raise ValueError(f"{text[:41]!r} is not a number from 0 to {_LARGEST}")
    return number


def where(record: ConsumerRecord) -> str:
    """Topic, partition and offset, as messages name them."""
    return f"{record.topic}/{record.partition}@{record.offset}"
