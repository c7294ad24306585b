"""What the demo says at its end: counts, latencies from click to replica, one trace to look at."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg
from rich.table import Table

from services.platform.demo.feed import Submission
from services.platform.home import OWNER
from services.platform.platform import Platform


@dataclass(frozen=True, slots=True)
class Latencies:
    """From a click to its commit in the application database, in seconds."""

    median: float
    slowest: float
    count: int
    slowest_trace: str


async def latencies(platform: Platform, submissions: Sequence[Submission]) -> Latencies | None:
    """Measure with the servers' own clock: the version's row in the replica is written once, at its commit time.

    None when nothing was submitted.
    """
    connection = await _connect(platform, "application")
    try:
        rows = await connection.fetch(
            "SELECT application_id, pg_xact_commit_timestamp(xmin) AS committed_at FROM credit.application_version "
            "WHERE version = 1 AND application_id = ANY($1)",
            [UUID(submission.application_id) for submission in submissions],
        )
    finally:
        await connection.close()
    committed = {str(row["application_id"]): row["committed_at"] for row in rows}
    measured = sorted(
        ((committed[s.application_id] - s.clicked_at).total_seconds(), s.trace_id)
        for s in submissions
        if committed.get(s.application_id) is not None
    )
    if not measured:
        return None
    seconds = [each for each, _ in measured]
    return Latencies(statistics.median(seconds), seconds[-1], len(seconds), measured[-1][1])


async def counts(platform: Platform) -> Mapping[str, int]:
    """How much of everything there is, in lake, journal and replica."""
    found: dict[str, int] = {}
    lake = await _connect(platform, "lake")
    try:
        found["parties"] = await lake.fetchval("SELECT count(*) FROM credit.party")
        for row in await lake.fetch(
            "SELECT state, count(*) AS n FROM credit.application GROUP BY state ORDER BY state"
        ):
            found[f"applications {row['state']}"] = row["n"]
        found["decisions"] = await lake.fetchval("SELECT count(*) FROM credit.decision")
        found["loans"] = await lake.fetchval("SELECT count(*) FROM credit.loan")
        found["instalments"] = await lake.fetchval("SELECT count(*) FROM credit.instalment")
        found["changes in the journal"] = await lake.fetchval("SELECT count(*) FROM journal.change")
    finally:
        await lake.close()
    replica = await _connect(platform, "application")
    try:
        found["applications in the replica"] = await replica.fetchval(
            "SELECT count(*) FROM credit.application"
        )
    finally:
        await replica.close()
    return found


def table_of(found: Mapping[str, int], outcomes: Mapping[str, int]) -> Table:
    """The counts, for people."""
    table = Table(box=None, pad_edge=False)
    table.add_column("what happened")
    table.add_column("how many", justify="right")
    for name, number in found.items():
        table.add_row(name, f"{number:,}")
    for name, number in sorted(outcomes.items()):
        table.add_row(f"decided just now, {name}", f"{number:,}")
    return table


async def _connect(platform: Platform, database: str) -> asyncpg.Connection[asyncpg.Record]:
    return await asyncpg.connect(platform.database_url(database, OWNER).replace("+asyncpg", ""))
