"""One poll's records, taken apart: what is to be applied, and where its partitions stand then."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from aiokafka import ConsumerRecord, TopicPartition

from services.replicator.errors import MalformedEvent
from services.replicator.events import HEARTBEAT, Event, Source, fault_of, parse, where
from services.replicator.offsets import Progress
from services.replicator.schema import Schema

Polled = Mapping[TopicPartition, Sequence[ConsumerRecord]]


@dataclass(slots=True)
class Batch:
    """What one poll brought, and where its partitions stand when it is applied."""

    progress: dict[TopicPartition, Progress]
    polled: int = 0
    events: list[Event] = field(default_factory=list)
    malformed: list[tuple[ConsumerRecord, str]] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    held: dict[TopicPartition, str] = field(default_factory=dict)
    oldest_ms: int | None = None


def select(
    polled: Polled, owned: Mapping[TopicPartition, Progress], schema: Schema, relay_epoch: int
) -> Batch:
    """Separate what must be applied from repeats, stale relays' records and what cannot be read.

    Raises:
        ReplicationStopped: a record that cannot be the next of its partition.
    """
    batch = Batch(
        {place: replace(progress) for place, progress in owned.items()}, sum(map(len, polled.values()))
    )
    for place, records in polled.items():
        state = batch.progress[place]
        state.kafka_offset = records[-1].offset + 1
        source: Source | None = None
        superseded = False
        for record in records:
            try:
                event = parse(record)
            except MalformedEvent as error:
                batch.malformed.append((record, str(error)))
                continue
            refusal = state.refusal(event, relay_epoch)
            if refusal is not None:
                batch.dropped[refusal] += 1
                continue
            if event.source is not source:
                # Most records have their predecessor's.
                source = event.source
                if source.fingerprint in schema.stopped:
                    batch.held[place] = source.fingerprint
                    state.kafka_offset = record.offset
                    break
                superseded = source.fingerprint in schema.superseded
                batch.oldest_ms = min(batch.oldest_ms or record.timestamp, record.timestamp)
            state.advance(event)
            if superseded:
                batch.dropped["superseded"] += 1
            elif fault := fault_of(event):
                # Its place is taken all the same: the next record follows it.
                batch.malformed.append((record, f"{where(record)}: {fault}"))
            elif event.operation != HEARTBEAT:
                batch.events.append(event)
    return batch
