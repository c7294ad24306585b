"""Where every flow stands, derived from batches, watermarks and quality results."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from services.loader.flows.model import LoadFlow
from services.loader.tables import batch, quality_result, quarantine, watermark
from services.loader.warehouse import Warehouse


@dataclass(frozen=True, slots=True)
class FlowStatus:
    """One flow; sums are over all its batches but the replays."""

    flow: str
    position: str | None
    batch_id: int | None
    loaded_at: datetime | None
    checked_at: datetime | None
    batches: int
    rows: int
    last_rows: int
    last_seconds: float
    failed_checks: int
    set_aside: Mapping[str, int]
    """By landing table the rows, counted by key, that break a rule and wait for a correction."""
    freshness_seconds: float
    read_at: datetime

    @property
    def age_seconds(self) -> float | None:
        """Since a run last ended well, with rows or without; None before the first."""
        return None if self.checked_at is None else (self.read_at - self.checked_at).total_seconds()

    @property
    def stale(self) -> bool:
        """Whether no run ended well for longer than the flow file allows."""
        return self.age_seconds is None or self.age_seconds > self.freshness_seconds

    def as_json(self) -> dict[str, Any]:
        """Give everything, for programs."""
        return {**asdict(self), "age_seconds": self.age_seconds, "stale": self.stale}


async def read_status(warehouse: Warehouse, flows: Mapping[str, LoadFlow]) -> list[FlowStatus]:
    """Read how these flows stand, in the order given; without a span, as the exporter asks every few seconds."""
    async with warehouse.engine.connect() as reading:
        sums = {
            row.flow: row
            for row in await reading.execute(
                sa.select(
                    batch.c.flow,
                    sa.func.count().label("batches"),
                    sa.func.sum(batch.c.row_count).label("rows"),
                )
                .where(batch.c.replaces.is_(None))
                .group_by(batch.c.flow)
            )
        }
        newest = {
            row.flow: row
            for row in await reading.execute(
                sa.select(
                    watermark.c.flow,
                    watermark.c.position,
                    watermark.c.checked_at,
                    batch.c.batch_id,
                    batch.c.row_count,
                    batch.c.started_at,
                    batch.c.loaded_at,
                ).join_from(watermark, batch, batch.c.batch_id == watermark.c.batch_id, isouter=True)
            )
        }
        # Of each flow's newest run of checks.
        latest = (
            sa.select(quality_result.c.flow, sa.func.max(quality_result.c.checked_at).label("checked_at"))
            .group_by(quality_result.c.flow)
            .subquery()
        )
        failed = {
            row.flow: int(row.failed)
            for row in await reading.execute(
                sa.select(quality_result.c.flow, sa.func.count().label("failed"))
                .join(
                    latest,
                    sa.and_(
                        latest.c.flow == quality_result.c.flow,
                        latest.c.checked_at == quality_result.c.checked_at,
                    ),
                )
                .where(quality_result.c.success == sa.false())
                .group_by(quality_result.c.flow)
            )
        }
        set_aside = await _set_aside(reading)
    now = datetime.now(UTC)
    return [
        FlowStatus(
            flow=name,
            position=last.position if (last := newest.get(name)) else None,
            batch_id=last.batch_id if last else None,
            loaded_at=last.loaded_at if last else None,
            checked_at=last.checked_at if last else None,
            batches=int(total.batches) if (total := sums.get(name)) else 0,
            rows=int(total.rows) if total else 0,
            last_rows=last.row_count or 0 if last else 0,
            last_seconds=(last.loaded_at - last.started_at).total_seconds()
            if last and last.loaded_at
            else 0.0,
            failed_checks=failed.get(name, 0),
            set_aside={target.table: set_aside.get(target.table, 0) for target in flow.targets},
            freshness_seconds=flow.freshness_minutes * 60.0,
            read_at=now,
        )
        for name, flow in flows.items()
    ]


async def _set_aside(reading: AsyncConnection) -> dict[str, int]:
    """How many rows of each landing table are set aside now; none before dbt has made the list."""

    def exists(connection: sa.Connection) -> bool:
        return sa.inspect(connection).has_table(quarantine.name, schema=quarantine.schema)

    if not await reading.run_sync(exists):
        return {}
    # A row is missing once, however many of its changes were set aside.
    keys = (
        sa.select(quarantine.c.table_name, quarantine.c.row_key)
        .where(quarantine.c.resolved_at.is_(None))
        .distinct()
        .subquery()
    )
    rows = await reading.execute(
        sa.select(keys.c.table_name, sa.func.count().label("rows")).group_by(keys.c.table_name)
    )
    return {row.table_name: int(row.rows) for row in rows}
