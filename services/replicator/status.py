"""Where replication stands, for people (`status`), for programs (GET /status) and for alerts (metrics)."""

from datetime import datetime

import asyncpg
from pydantic import BaseModel

from services.chassis.dialects import Position
from services.lake.journal import JournalReader
from services.replicator import quarantine


class PartitionStatus(BaseModel):
    """One partition of one topic: up to where it is relayed and applied."""

    partition: str
    relayed: str
    applied: str
    updated_at: datetime | None


class VerificationStatus(BaseModel):
    """The last verification."""

    position: str
    finished_at: datetime
    rows: int
    mismatches: int
    unstable: int


class ReplicationStatus(BaseModel):
    """The whole of it. `equal` is False while anything is in the quarantine or the last verification differed."""

    captured: str
    relayed: str
    relay_owner: str | None
    relay_epoch: int
    relay_alive: bool
    lag_partitions: int
    quarantined: int
    verified: VerificationStatus | None
    equal: bool
    partitions: list[PartitionStatus]


async def read_status(journal: JournalReader, replica: asyncpg.Connection) -> ReplicationStatus:
    """Read where captured, relayed, applied and verified positions stand.

    Raises:
        OSError, asyncpg.PostgresError, sqlalchemy.exc.DBAPIError: when a database does not answer.
    """
    captured = await journal.last_position()
    relay = await replica.fetchrow(
        "SELECT owner, epoch, expires_at > clock_timestamp() AS alive, position_major, position_minor "
        "FROM replication.relay"
    )
    rows = await replica.fetch(
        """
        SELECT place, sent ->> place AS relayed, o.position_major, o.position_minor, o.updated_at
        FROM replication.relay CROSS JOIN jsonb_object_keys(sent) AS place
        LEFT JOIN replication.sink_offset AS o ON place = o.topic || '/' || o.partition
        ORDER BY place
        """
    )
    verified = await replica.fetchrow("SELECT * FROM replication.verification ORDER BY id DESC LIMIT 1")
    quarantined = await quarantine.count_open(replica)
    partitions = [
        PartitionStatus(
            partition=row["place"],
            relayed=row["relayed"],
            applied=str(Position(row["position_major"] or 0, row["position_minor"] or 0)),
            updated_at=row["updated_at"],
        )
        for row in rows
    ]
    return ReplicationStatus(
        captured=str(captured),
        relayed=str(Position(relay["position_major"], relay["position_minor"])),
        relay_owner=relay["owner"],
        relay_epoch=relay["epoch"],
        relay_alive=relay["alive"],
        lag_partitions=sum(Position.parse(p.applied) < Position.parse(p.relayed) for p in partitions),
        quarantined=quarantined,
        verified=None
        if verified is None
        else VerificationStatus(
            position=str(Position(verified["position_major"], verified["position_minor"])),
            finished_at=verified["finished_at"],
            rows=verified["rows_compared"],
            mismatches=verified["mismatches"],
            unstable=verified["unstable"],
        ),
        equal=not quarantined and (verified is None or verified["mismatches"] == 0),
        partitions=partitions,
    )
