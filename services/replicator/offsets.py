"""How far each partition was applied: rows that are written in the same transaction as the replica."""

from dataclasses import dataclass
from uuid import UUID

import asyncpg
from aiokafka import TopicPartition

from services.chassis.dialects import Position
from services.replicator.errors import FenceRaised, GapOnPartition, JournalReplaced
from services.replicator.events import Event


@dataclass(slots=True)
class Progress:
    """One partition: the next Kafka offset, the last position applied, whose records, and my fence."""

    kafka_offset: int
    position: Position
    incarnation: UUID | None
    epoch: int
    fence: int

    def refusal(self, event: Event, relay_epoch: int) -> str | None:
        """Say why an event must not be applied: `stale_epoch`, `repeat`, `failed_send`; None when it must.

        Args:
            event: the next record of this partition.
            relay_epoch: an epoch that a relay is known to have begun with.

        Raises:
            JournalReplaced: the event comes from another journal.
            GapOnPartition: the event follows one that never came.
        """
        place = f"{event.topic}/{event.partition}@{event.offset}"
        if self.incarnation is not None and event.incarnation != self.incarnation:
            raise JournalReplaced(
                f"{place}: the record is of journal {event.incarnation}, the replica was filled from "
                f"{self.incarnation}. Make the replica anew before this journal is applied"
            )
        if event.epoch < self.epoch:
            # A relay that lost its lease and woke up. Its position is not taken over either: what the new
            # relay sends after it must not look like a repeat.
            return "stale_epoch"
        if event.position <= self.position:
            return "repeat"
        if event.previous > self.position:
            if event.epoch < relay_epoch:
                # A send of that relay failed and a later one did not. Its cursor stands before both, so the relay
                # that followed sends both again; nothing is taken over from here until then.
                return "failed_send"
            raise GapOnPartition(
                f"{place}: the record at {event.position} follows {event.previous}, but this partition was applied up "
                f"to {self.position} only: Kafka lost records between them. See docs/runbooks/gap-on-partition.md"
            )
        return None

    def advance(self, event: Event) -> None:
        """Take the place of an applied event."""
        self.position = event.position
        self.incarnation = event.incarnation
        self.epoch = event.epoch


async def take_over(connection: asyncpg.Connection, partition: TopicPartition) -> Progress:
    """Raise the fence of one partition and give where to go on.

    Waits for the transaction of a former owner, at most until the server ends it as idle; from then on that
    owner's batches fail on the fence.
    """
    row = await connection.fetchrow(
        """
        INSERT INTO replication.sink_offset (topic, partition, fence) VALUES ($1, $2, 1)
        ON CONFLICT (topic, partition) DO UPDATE SET fence = replication.sink_offset.fence + 1
        RETURNING kafka_offset, position_major, position_minor, incarnation, epoch, fence
        """,
        partition.topic,
        partition.partition,
    )
    return Progress(
        row["kafka_offset"],
        Position(row["position_major"], row["position_minor"]),
        row["incarnation"],
        row["epoch"],
        row["fence"],
    )


async def relay_epoch(connection: asyncpg.Connection) -> int:
    """The epoch that the newest relay began with."""
    return int(await connection.fetchval("SELECT epoch FROM replication.relay"))


async def lock(connection: asyncpg.Connection, owned: dict[TopicPartition, Progress]) -> None:
    """Lock the rows of `owned` for this transaction, always in the same order.

    Raises:
        FenceRaised: when any of them was taken over by another sink.
    """
    places = sorted(owned)
    rows = await connection.fetch(
        """
        SELECT o.topic, o.partition, o.fence FROM replication.sink_offset AS o
        JOIN unnest($1::text[], $2::int[]) AS mine (topic, partition) USING (topic, partition)
        ORDER BY o.topic, o.partition FOR UPDATE OF o
        """,
        [place.topic for place in places],
        [place.partition for place in places],
    )
    fences = {TopicPartition(row["topic"], row["partition"]): row["fence"] for row in rows}
    lost = [str(place) for place in places if fences.get(place) != owned[place].fence]
    if lost:
        raise FenceRaised(f"taken over by another sink: {', '.join(lost)}")


async def save(connection: asyncpg.Connection, progress: dict[TopicPartition, Progress]) -> None:
    """Write how far each partition is."""
    chosen = list(progress.items())
    await connection.execute(
        """
        UPDATE replication.sink_offset AS o
        SET kafka_offset = n.kafka_offset, position_major = n.major, position_minor = n.minor,
            incarnation = n.incarnation, epoch = n.epoch, updated_at = clock_timestamp()
        FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[], $5::bigint[], $6::uuid[], $7::bigint[])
            AS n (topic, partition, kafka_offset, major, minor, incarnation, epoch)
        WHERE o.topic = n.topic AND o.partition = n.partition
        """,
        [place.topic for place, _ in chosen],
        [place.partition for place, _ in chosen],
        [p.kafka_offset for _, p in chosen],
        [p.position.major for _, p in chosen],
        [p.position.minor for _, p in chosen],
        [p.incarnation for _, p in chosen],
        [p.epoch for _, p in chosen],
    )
