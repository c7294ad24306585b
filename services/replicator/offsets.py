"""How far each partition was applied: rows that are written in the same transaction as the replica."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import asyncpg
from aiokafka import TopicPartition

from services.chassis.dialects import Position
from services.replicator.errors import FenceRaised, GapOnPartition, JournalReplaced
from services.replicator.events import Event, where


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
        epoch, incarnation, _ = event.source
        if (
            incarnation is not self.incarnation
            and self.incarnation is not None
            and incarnation != self.incarnation
        ):
            raise JournalReplaced(
                f"{where(event.record)}: the record is of journal {event.incarnation}, the replica was filled from "
                f"{self.incarnation}. Make the replica anew before this journal is applied"
            )
        if epoch < self.epoch:
            # A relay that lost its lease and woke up. Its position is not taken over either: what the new
            # relay sends after it must not look like a repeat.
            return "stale_epoch"
        if event.position <= self.position:
            return "repeat"
        if event.previous > self.position:
            if epoch < relay_epoch:
                # A send of that relay failed and a later one did not. Its cursor stands before both, so the relay
                # that followed sends both again; nothing is taken over from here until then.
                return "failed_send"
            raise GapOnPartition(
                f"{where(event.record)}: the record at {event.position} follows {event.previous}, but this partition "
                f"was applied up to {self.position} only: Kafka lost records between them. "
                "See docs/runbooks/gap-on-partition.md"
            )
        return None

    def advance(self, event: Event) -> None:
        """Take the place of an applied event."""
        self.position = event.position
        self.epoch, self.incarnation, _ = event.source


async def take_over(connection: asyncpg.Connection, partition: TopicPartition) -> Progress:
    """Raise the fence of one partition and give where to go on.

    Waits for the transaction of a former owner, at most until the server ends it as idle; from then on that
    owner's batches fail on the fence.
    """
    async with connection.transaction():
        # A fence that a crash of the server could take back would be given out twice.
        await connection.execute("SET LOCAL synchronous_commit = on")
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


async def claim(connection: asyncpg.Connection, progress: Mapping[TopicPartition, Progress]) -> None:
    """Lock the partitions of a batch, check that they are still mine, and write how far they will be.

    First of all in the batch's transaction: whoever holds the rows is the only one who writes these partitions, and
    all sinks lock them in the same order.

    Raises:
        FenceRaised: when any of them was taken over by another sink.
    """
    places = sorted(progress)
    claimed = [progress[place] for place in places]
    rows = await connection.fetch(
        """
        WITH mine AS MATERIALIZED (
            SELECT * FROM unnest(
                $1::text[], $2::int[], $3::bigint[], $4::bigint[], $5::bigint[], $6::uuid[], $7::bigint[], $8::bigint[]
            ) AS m (topic, partition, kafka_offset, major, minor, incarnation, epoch, fence)
        ), held AS MATERIALIZED (
            SELECT o.topic, o.partition, o.fence FROM replication.sink_offset AS o JOIN mine USING (topic, partition)
            ORDER BY o.topic, o.partition FOR UPDATE OF o
        )
        UPDATE replication.sink_offset AS o
        SET kafka_offset = m.kafka_offset, position_major = m.major, position_minor = m.minor,
            incarnation = m.incarnation, epoch = m.epoch, updated_at = clock_timestamp()
        FROM mine AS m JOIN held AS h USING (topic, partition, fence)
        WHERE o.topic = m.topic AND o.partition = m.partition
        RETURNING o.topic, o.partition
        """,
        [place.topic for place in places],
        [place.partition for place in places],
        [each.kafka_offset for each in claimed],
        [each.position.major for each in claimed],
        [each.position.minor for each in claimed],
        [each.incarnation for each in claimed],
        [each.epoch for each in claimed],
        [each.fence for each in claimed],
    )
    if len(rows) < len(places):
        held = {(row["topic"], row["partition"]) for row in rows}
        lost = [f"{place.topic}/{place.partition}" for place in places if tuple(place) not in held]
        raise FenceRaised(f"taken over by another sink: {', '.join(lost)}")
