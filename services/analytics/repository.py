"""What analytics reads: builds and their numbers in `serving`, results of quality checks, the rows behind a number."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date
from typing import Any

import sqlalchemy as sa

from services.analytics.catalogue.model import Kpi, Part
from services.analytics.catalogue.statements import Slice, expression, rows_of, total
from services.analytics.domain import FILTERS, MOST_POINTS, Asked, Build, Run
from services.analytics.tables import COPIED, build, kpi, quality_result, run
from services.chassis.database import Session

_SERVED: Mapping[str, sa.Table] = {f"ap.{table.name}": table for table in COPIED}
_RUN = ("started_at", "finished_at", "models_left", "tests_left", "failures")
_HAS_RUNS = sa.text(
    "SELECT 1 FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA = 'build' AND TABLE_NAME = 'run'"
)
_BUILD = [build.c[name] for name in Build.__dataclass_fields__]
MOST_BUILDS = 200


class AnalyticsRepository:
    """SQL of analytics, for PostgreSQL and SQL Server."""

    async def newest_build(self, session: Session) -> Build | None:
        """The build that was published last; None before the first."""
        found = await session.execute(sa.select(*_BUILD).order_by(build.c.build_id.desc()).limit(1))
        row = found.one_or_none()
        return None if row is None else Build(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name

    async def build(self, session: Session, build_id: int) -> Build | None:
        """One build; None when there is none, or none any more."""
        found = await session.execute(sa.select(*_BUILD).where(build.c.build_id == build_id))
        row = found.one_or_none()
        return None if row is None else Build(**row._mapping)  # noqa: SLF001 - as above

    async def builds(self, session: Session) -> Sequence[Build]:
        """Every build that is kept, the newest first."""
        found = await session.execute(sa.select(*_BUILD).order_by(build.c.build_id.desc()).limit(MOST_BUILDS))
        return [Build(**row._mapping) for row in found]  # noqa: SLF001 - as above

    async def days(self, session: Session, build_id: int) -> Sequence[tuple[date, str]]:
        """The days that a build has the portfolio of, with their grain, the newest first."""
        found = await session.execute(
            sa.select(kpi.c.as_of_date, kpi.c.grain)
            .distinct()
            .where(
                kpi.c.build_id == build_id,
                kpi.c.kpi == "exposure",
                kpi.c.grain.in_(("as_of", "month_end")),
            )
            .order_by(kpi.c.as_of_date.desc(), kpi.c.grain)
        )
        return [(row.as_of_date, row.grain) for row in found]

    async def currencies(self, session: Session, build_id: int) -> Sequence[str]:
        """The currencies of a build."""
        found = await session.execute(
            sa.select(kpi.c.currency).distinct().where(kpi.c.build_id == build_id).order_by(kpi.c.currency)
        )
        return list(found.scalars())

    def has(self, one: Kpi, column: str) -> bool:
        """Whether the points of a KPI have a column."""
        return column in _SERVED[one.source.table].c

    async def newest_run(self, session: Session) -> Run | None:
        """The build of `ap` that was begun last; None before the first."""
        # dbt creates the table with the first build. A login sees only what it may read, on both engines.
        if await session.scalar(_HAS_RUNS) is None:
            return None
        found = await session.execute(
            sa.select(*(run.c[name] for name in _RUN), build.c.build_id)
            .select_from(run.outerjoin(build, build.c.invocation_id == run.c.invocation_id))
            .order_by(run.c.started_at.desc(), run.c.invocation_id.desc())
            .limit(1)
        )
        row = found.one_or_none()
        if row is None:
            return None
        ended = None if row.finished_at is None else row.finished_at.replace(tzinfo=UTC)
        return Run(
            started_at=row.started_at.replace(tzinfo=UTC),
            finished_at=ended,
            models_left=row.models_left,
            tests_left=row.tests_left,
            failures=tuple(json.loads(row.failures)),
            build_id=row.build_id,
        )

    async def points(
        self, session: Session, one: Kpi, build_id: int, asked: Asked
    ) -> Sequence[Mapping[str, Any]]:
        """The points of a KPI in a build, in the order of its table's key; one more than MOST_POINTS at most."""
        table = _SERVED[one.source.table]
        query = sa.select(table).where(table.c.build_id == build_id)
        if one.source.where is not None:
            query = query.where(expression(one.source.where, table, {}))
        for name, column in FILTERS.items():
            value = getattr(asked, name)
            if value is not None:
                query = query.where(table.c[column] == value)
        period = table.c[_period(table)]
        if asked.period_from is not None:
            query = query.where(period >= asked.period_from)
        if asked.period_to is not None:
            query = query.where(period <= asked.period_to)
        found = await session.execute(
            query.order_by(*(column for column in table.primary_key.columns)).limit(MOST_POINTS + 1)
        )
        return [dict(row._mapping) for row in found]  # noqa: SLF001 - as above

    async def total(self, session: Session, one: Kpi, part: Part, asked: Slice) -> sa.Row[Any]:
        """What the rows behind a part add up to, and how many they are."""
        return (await session.execute(total(one, part, asked))).one()

    async def rows(  # noqa: PLR0917 - what tells rows apart
        self,
        session: Session,
        one: Kpi,
        part: Part,
        asked: Slice,
        after: Sequence[str | date],
        limit: int,
    ) -> Sequence[Mapping[str, Any]]:
        """The rows behind a part, by their key."""
        found = await session.execute(rows_of(one, part, asked, after, limit))
        return [dict(row._mapping) for row in found]  # noqa: SLF001 - as above

    async def quality(self, session: Session) -> Sequence[Mapping[str, Any]]:
        """The results of each flow's latest check, failed ones first."""
        latest = (
            sa.select(quality_result.c.flow, sa.func.max(quality_result.c.checked_at).label("checked_at"))
            .group_by(quality_result.c.flow)
            .subquery()
        )
        found = await session.execute(
            sa.select(
                quality_result.c.flow,
                quality_result.c.target,
                quality_result.c.column_name,
                quality_result.c.expectation,
                quality_result.c.severity,
                quality_result.c.success,
                quality_result.c.checked_count,
                quality_result.c.failed_count,
                quality_result.c.checked_at,
            )
            .join(
                latest,
                sa.and_(
                    latest.c.flow == quality_result.c.flow, latest.c.checked_at == quality_result.c.checked_at
                ),
            )
            .order_by(
                quality_result.c.success,
                quality_result.c.flow,
                quality_result.c.target,
                quality_result.c.column_name,
                quality_result.c.expectation,
            )
            .limit(MOST_POINTS)
        )
        return [dict(row._mapping) for row in found]  # noqa: SLF001 - as above


def _period(table: sa.Table) -> str:
    """The column that `from` and `to` bound."""
    return next(name for name in ("period_start", "cohort_month", "as_of_date") if name in table.c)
