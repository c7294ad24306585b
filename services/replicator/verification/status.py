"""Where replication stands, for people (`status`), for programs (GET /status) and for alerts (metrics)."""

from datetime import UTC, datetime

import asyncpg
from pydantic import BaseModel

from services.lake.database import Lake
from services.lake.journal.model import Position
from services.lake.journal.reader import JournalReader
from services.lake.journal.requests import Requests
from services.replicator import metrics
from services.replicator.progress import SILENT_SECONDS
from services.replicator.store import partition_progress, stopped_tables
from services.replicator.topics import table_of
from services.replicator.verification.lag import read_lag


class PartitionStatus(BaseModel):
    """One partition of one topic: up to where it is relayed and applied."""

    partition: str
    relayed: str
    applied: str
    updated_at: datetime | None


class TableStatus(BaseModel):
    """One table, in all its partitions.

    `captured` is the newest change that is not applied, else the same as `applied`; `verified` the position up to which
    both sides were last found equal; `stopped` why nothing of it is applied.
    """

    table: str
    captured: str
    relayed: str
    applied: str
    verified: str | None
    lag_rows: int
    lag_seconds: float
    quarantined: int
    mismatches: int
    stopped: str | None
    command: str | None


class VerificationStatus(BaseModel):
    """The last verification."""

    position: str
    finished_at: datetime
    rows: int
    mismatches: int
    unstable: int


class BackfillStatus(BaseModel):
    """A request to write rows of a table again that is open, or that failed: `error` says why, else it is None."""

    table: str
    rows_done: int
    error: str | None


class ReplicationStatus(BaseModel):
    """The whole of it.

    `equal` is False while anything is in the quarantine, a table is stopped, or the last verification differed;
    `verified_through` is the highest position at which both sides were found equal; `relay_fault` says why no relay
    is alive.
    """

    captured: str
    relayed: str
    relay_owner: str | None
    relay_epoch: int
    relay_alive: bool
    relay_fault: str | None
    lag_partitions: int
    quarantined: int
    verified: VerificationStatus | None
    verified_through: str | None
    verified_at: datetime | None
    equal: bool
    tables: list[TableStatus]
    partitions: list[PartitionStatus]
    backfills: list[BackfillStatus]

    def problems(self, *, max_lag_seconds: float, max_age_seconds: float) -> list[str]:
        """Say what needs a person, in sentences; nothing when all is well."""
        found = []
        if not self.relay_alive:
            found.append(f"no relay works: {self.relay_fault}")
        if self.quarantined:
            found.append(f"{self.quarantined} records are in the quarantine")
        if self.verified and self.verified.mismatches:
            found.append(f"the last verification found {self.verified.mismatches} rows that differ")
        for table in self.tables:
            if table.stopped:
                found.append(f"{table.table} is stopped: {table.stopped}; run: {table.command}")
            elif table.lag_seconds > max_lag_seconds:
                found.append(
                    f"{table.table} is {table.lag_seconds:.0f} s and {table.lag_rows:,} changes behind"
                )
        found += [
            f"the backfill of {backfill.table} failed: {backfill.error}"
            for backfill in self.backfills
            if backfill.error
        ]
        age = None if self.verified_at is None else (datetime.now(UTC) - self.verified_at).total_seconds()
        if age is None:
            found.append("both sides were never found equal by a verification")
        elif age > max_age_seconds:
            found.append(f"both sides were last found equal {age:.0f} s ago")
        return found

    def export(self) -> None:
        """Set the metrics that say the same."""
        metrics.RELAY_ALIVE.set(self.relay_alive)
        metrics.VERIFIED.set(self.verified_at.timestamp() if self.verified_at else 0)
        for table in self.tables:
            metrics.TABLE_LAG_ROWS.labels(table.table).set(table.lag_rows)
            metrics.TABLE_LAG.labels(table.table).set(table.lag_seconds)
            metrics.MISMATCHES.labels(table.table).set(table.mismatches)


async def read_status(lake: Lake, replica: asyncpg.Connection) -> ReplicationStatus:
    """Read where captured, relayed, applied and verified positions stand.

    Raises:
        OSError, asyncpg.PostgresError, sqlalchemy.exc.DBAPIError: when a database does not answer.
    """
    journal = JournalReader(lake)
    captured = await journal.last_position()
    names = sorted({table.full_name for table in (await journal.definitions()).values()})
    stopped = await stopped_tables(replica)
    lags = await read_lag(lake, replica, names, stopped.keys())
    relay = await replica.fetchrow(
        "SELECT owner, epoch, expires_at > clock_timestamp() AS held, working_since IS NOT NULL AS worked, "
        "extract(epoch FROM clock_timestamp() - acknowledged_at)::float AS silent, "
        "position_major, position_minor FROM replication.relay"
    )
    fault = relay_fault(relay["held"], relay["worked"], relay["silent"])
    partitions = await partition_progress(replica)
    quarantined: dict[str, int] = {}
    for row in await replica.fetch(
        "SELECT topic, count(*) AS n FROM replication.sink_quarantine WHERE resolved_at IS NULL GROUP BY topic"
    ):
        table = table_of(row["topic"])
        quarantined[table] = quarantined.get(table, 0) + row["n"]
    verified = await replica.fetchrow("SELECT * FROM replication.verification ORDER BY id DESC LIMIT 1")
    through = await replica.fetchrow("SELECT * FROM replication.verified_through")
    mismatches = {
        row["table_name"]: row["n"]
        for row in await replica.fetch(
            "SELECT table_name, count(*) AS n FROM replication.mismatch WHERE kind <> 'unstable' "
            "AND verification_id = (SELECT max(id) FROM replication.verification) GROUP BY table_name"
        )
    }
    verified_through = through and str(Position(through["position_major"], through["position_minor"]))
    return ReplicationStatus(
        captured=str(captured),
        relayed=str(Position(relay["position_major"], relay["position_minor"])),
        relay_owner=relay["owner"],
        relay_epoch=relay["epoch"],
        relay_alive=fault is None,
        relay_fault=fault,
        lag_partitions=sum(each.applied < each.relayed for each in partitions),
        quarantined=sum(quarantined.values()),
        verified=None
        if verified is None
        else VerificationStatus(
            position=str(Position(verified["position_major"], verified["position_minor"])),
            finished_at=verified["finished_at"],
            rows=verified["rows_compared"],
            mismatches=verified["mismatches"],
            unstable=verified["unstable"],
        ),
        verified_through=verified_through,
        verified_at=through and through["verified_at"],
        equal=not (quarantined or stopped or (verified and verified["mismatches"])),
        tables=[
            TableStatus(
                table=name,
                captured=str(lag.captured),
                relayed=str(lag.relayed),
                applied=str(lag.applied),
                verified=verified_through,
                lag_rows=lag.rows,
                lag_seconds=lag.seconds,
                quarantined=quarantined.get(name, 0),
                mismatches=mismatches.get(name, 0),
                stopped=str(stopped[name]) if name in stopped else None,
                command=stopped[name].command if name in stopped else None,
            )
            for name, lag in lags.items()
        ],
        partitions=[
            PartitionStatus(
                partition=str(each),
                relayed=str(each.relayed),
                applied=str(each.applied),
                updated_at=each.updated_at,
            )
            for each in partitions
        ],
        backfills=[
            BackfillStatus(table=request.table, rows_done=request.rows_done, error=request.error)
            for request in await Requests(lake).outstanding()
        ],
    )


def relay_fault(held: bool, worked: bool, silent: float | None) -> str | None:
    """Why no relay works; None when one does.

    Whether a relay holds the lease, whether it has worked under it, and for how many seconds Kafka has acknowledged
    nothing of it.
    """
    if not held:
        return "none holds the lease"
    if not worked:
        return "it dies before it has done anything"
    if silent is None or silent > SILENT_SECONDS:
        return "Kafka has acknowledged nothing" + ("" if silent is None else f" for {silent:.0f} s")
    return None
