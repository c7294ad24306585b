"""How far each partition was applied: rows that are written in the same transaction as the replica."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

import asyncpg
from aiokafka import TopicPartition

from services.lake.journal.model import Position
from services.replicator.errors import FenceRaised, GapOnPartition, JournalReplaced
from services.replicator.records import Event, where

FENCE_RAISED = "CM001"
"""The SQLSTATE that a claim fails with."""


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
                f"{self.incarnation}. Rebuild the replica before this journal is applied"
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


CLAIM = "replication.claim($1, $2, $3, $4, $5, $6, $7, $8)"
"""An expression that is true, or fails: see migration 0003. Its arguments are those of `claim_arguments`."""
BEHIND_CLAIM = 9
"""The number of the first argument behind those of CLAIM."""


def claim_arguments(progress: Mapping[TopicPartition, Progress]) -> list[Sequence[object]]:
    """Give what CLAIM takes: the partitions of a batch, how far they will be, and their fences."""
    places = sorted(progress)
    claimed = [progress[place] for place in places]
    return [
        [place.topic for place in places],
        [place.partition for place in places],
        [each.kafka_offset for each in claimed],
        [each.position.major for each in claimed],
        [each.position.minor for each in claimed],
        [each.incarnation for each in claimed],
        [each.epoch for each in claimed],
        [each.fence for each in claimed],
    ]


@contextmanager
def fenced() -> Iterator[None]:
    """Tell a claim that failed from every other error of the server.

    Raises:
        FenceRaised: any of the partitions was taken over by another sink.
    """
    try:
        yield
    except asyncpg.PostgresError as error:
        if error.sqlstate == FENCE_RAISED:
            raise FenceRaised(error.detail) from None
        raise
