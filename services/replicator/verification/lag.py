"""How far the replica is behind the lake, table by table."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import asyncpg

from services.lake.database import Lake
from services.lake.journal.model import START, Position
from services.replicator.records import partition_of
from services.replicator.store import partition_progress
from services.replicator.topics import table_of

MOST_COUNTED = 50_000


@dataclass(slots=True)
class TableLag:
    """One table: how far it is relayed and applied in all its partitions, and what is captured beyond that."""

    relayed: Position
    applied: Position
    captured: Position
    rows: int = 0
    oldest: datetime | None = None

    @property
    def seconds(self) -> float:
        """Age of the oldest change that is not applied; 0 when there is none."""
        if self.oldest is None:
            return 0.0
        return max(0.0, (datetime.now(UTC) - self.oldest.replace(tzinfo=UTC)).total_seconds())


async def read_lag(
    lake: Lake,
    replica: asyncpg.Connection,
    tables: Collection[str],
    stopped: Collection[str],
    *,
    most_counted: int = MOST_COUNTED,
) -> dict[str, TableLag]:
    """Compare the journal with what each partition has applied, for each of `tables`.

    Changes are looked at one by one, at most `most_counted` of them: that says which partition each is for. Those of
    the `stopped` tables by themselves: they may begin so far back that nothing newer would be looked at.
    """
    applied: dict[str, dict[int, Position]] = {}
    relayed: dict[str, list[Position]] = {}
    for each in await partition_progress(replica):
        table = table_of(each.topic)
        applied.setdefault(table, {})[each.partition] = each.applied
        relayed.setdefault(table, []).append(each.relayed)
    for table in tables:
        applied.setdefault(table, {0: START})
    lags = {
        # A table that has no topic yet is as far as nothing.
        table: TableLag(min(relayed.get(table, [START])), lowest := min(applied[table].values()), lowest)
        for table in sorted(tables)
    }
    for group in (lags.keys() - stopped, lags.keys() & stopped):
        await _count(lake, {table: lags[table] for table in group}, applied, most_counted)
    return lags


async def _count(
    lake: Lake,
    lags: Mapping[str, TableLag],
    applied: Mapping[str, Mapping[int, Position]],
    most_counted: int,
) -> None:
    """Add what is captured and not applied to the lags of some tables, from where the first of them stands."""
    if not lags:
        return
    begin = min(lag.applied for lag in lags.values())
    async with lake.engine.connect() as connection:
        horizon = await lake.dialect.read_horizon(connection, begin)
        waiting = (
            await connection.execute(
                lake.dialect.select_waiting(),
                {
                    "major": begin.major,
                    "minor": begin.minor,
                    "horizon_major": horizon.major,
                    "limit": most_counted,
                },
            )
        ).all()
    for change in waiting:
        lag = lags.get(change.table_name)
        if lag is None:
            continue
        places = applied[change.table_name]
        position = Position(change.major, change.minor)
        if position > places[partition_of(change.key.encode(), len(places))]:
            lag.rows += 1
            lag.captured = position
            lag.oldest = lag.oldest or change.captured_at
