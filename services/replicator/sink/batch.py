"""Polled records, taken apart: what is to be applied, and where their partitions stand then."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter

from aiokafka import ConsumerRecord, TopicPartition

from services.replicator.errors import MalformedEvent
from services.replicator.records import HEARTBEAT, IMAGED, Event, Source, fault_of, parse, where
from services.replicator.replica.tables import Standing
from services.replicator.sink.offsets import Progress
from services.replicator.sink.writer import Plan, TableWriter

_SIZE = attrgetter("serialized_value_size")

Polled = Mapping[TopicPartition, Sequence[ConsumerRecord]]


@dataclass(slots=True)
class Batch:
    """What polls brought, and where their partitions stand when it is applied."""

    progress: dict[TopicPartition, Progress] = field(default_factory=dict)
    polled: int = 0
    polled_since_ns: int | None = None
    """When the poll began that brought the first record, in nanoseconds since 1970."""
    size: int = 0
    """Bytes of the images."""
    events: list[Event] = field(default_factory=list)
    malformed: list[tuple[ConsumerRecord, str]] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    held: dict[TopicPartition, str] = field(default_factory=dict)
    oldest_ms: int | None = None
    plan: Plan = field(default_factory=Plan)

    def add(self, later: "Batch", writers: Mapping[str, TableWriter]) -> None:
        """Add what a later poll brought, and plan it."""
        self.progress |= later.progress
        self.polled += later.polled
        self.polled_since_ns = self.polled_since_ns or later.polled_since_ns
        self.size += later.size
        self.events += later.events
        self.malformed += later.malformed
        self.dropped.update(later.dropped)
        if later.oldest_ms is not None:
            self.oldest_ms = min(self.oldest_ms or later.oldest_ms, later.oldest_ms)
        self.plan.add(writers, later.events)


def pieces(polled: Polled, changes: int) -> Iterator[Polled]:
    """Cut what was polled into pieces of at most `changes` changes, each partition's in order."""
    piece: dict[TopicPartition, Sequence[ConsumerRecord]] = {}
    room = changes
    for place, records in polled.items():
        begin = 0
        while begin < len(records):
            piece[place] = part = records[begin : begin + room]
            begin += len(part)
            room -= len(part)
            if not room:
                yield piece
                piece, room = {}, changes
    if piece:
        yield piece


def select(
    polled: Polled, owned: Mapping[TopicPartition, Progress], standing: Standing, relay_epoch: int
) -> Batch:
    """Separate what must be applied from repeats, stale relays' records and what cannot be read.

    Args:
        polled: records, in order for each partition.
        owned: how far each of these partitions was selected; it is left as it is.
        standing: which definitions are stopped or superseded.
        relay_epoch: an epoch that a relay is known to have begun with.

    Returns:
        The events to apply, and where the partitions are then.

    Raises:
        ReplicationStopped: a record that cannot be the next of its partition.
    """
    batch = Batch(
        {place: replace(progress) for place, progress in owned.items()}, sum(map(len, polled.values()))
    )
    for place, records in polled.items():
        state = batch.progress[place]
        state.kafka_offset = records[-1].offset + 1
        batch.size += sum(map(_SIZE, records))
        source: Source | None = None
        superseded = False
        events = batch.events
        for record in records:
            try:
                event = parse(record)
            except MalformedEvent as error:
                batch.malformed.append((record, str(error)))
                continue
            _, operation, position, previous, its_source, _ = event
            # Most records have their predecessor's source, and follow it.
            if its_source is source and previous is state.position < position:
                state.position = position
            else:
                if (refusal := state.refusal(event, relay_epoch)) is not None:
                    batch.dropped[refusal] += 1
                    continue
                if its_source is not source:
                    source = its_source
                    if source.fingerprint in standing.stopped:
                        batch.held[place] = source.fingerprint
                        state.kafka_offset = record.offset
                        break
                    superseded = source.fingerprint in standing.superseded
                    batch.oldest_ms = min(batch.oldest_ms or record.timestamp, record.timestamp)
                state.advance(event)
            if superseded:
                batch.dropped["superseded"] += 1
            elif operation in IMAGED and record.value and record.key:
                events.append(event)
            elif fault := fault_of(event):
                # Its place is taken all the same: the next record follows it.
                batch.malformed.append((record, f"{where(record)}: {fault}"))
            elif operation != HEARTBEAT:
                events.append(event)
    return batch
