"""Publish a build: copy what pages read from `ap` to `serving`, in one transaction, once its tests have passed.

dbt changes `ap` table by table, so a reader beside it would mix two builds. A published build never changes: whoever
has its id reads the same numbers for as long as it is kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from services.analytics.errors import NotPublished
from services.analytics.tables import COPIED, build, run
from services.analytics.warehouse import Warehouse
from services.chassis.database import Session

LOCK = "creditmesh publication"
LOCK_SECONDS = 60
NEWEST_KEPT = 30
DAYS_KEPT = 90


@dataclass(frozen=True, slots=True)
class Published:
    """A build in `serving`: rows copied by table, builds removed. Neither for one that was there already."""

    build_id: int
    invocation_id: str
    as_of_date: date | None
    rows: Mapping[str, int]
    removed: int


async def publish(warehouse: Warehouse, *, traceparent: str | None = None) -> Published:
    """Publish what is in `ap`; a build that is published already is left as it is.

    Args:
        warehouse: opened with the transformer's login.
        traceparent: W3C trace context that led to the build.

    Raises:
        NotPublished: the newest build of `ap` is under way, in part, untested or has failed, or another one began
            while it was copied. Nothing was changed.
    """
    async with warehouse.transaction() as session:
        if not await session.dialect.try_lock(session.connection, LOCK, LOCK_SECONDS):
            raise NotPublished(f"another publication takes more than {LOCK_SECONDS} seconds; try again")
        newest = await _newest_run(session)
        if why := _why_not(newest):
            raise NotPublished(why)
        assert newest is not None
        found = (
            await session.execute(
                sa.select(build.c.build_id, build.c.as_of_date).where(
                    build.c.invocation_id == newest.invocation_id
                )
            )
        ).one_or_none()
        if found is not None:
            return Published(found.build_id, newest.invocation_id, found.as_of_date, {}, 0)
        build_id = 1 + (await session.scalar(sa.select(sa.func.max(build.c.build_id))) or 0)
        as_of_date = await _as_of(session)
        await session.execute(
            sa.insert(build),
            {
                "build_id": build_id,
                "invocation_id": newest.invocation_id,
                "finished_at": newest.finished_at.replace(tzinfo=UTC),
                "published_at": datetime.now(UTC),
                "as_of_date": as_of_date,
                "tests_passed": newest.tests_passed,
                "tests_warned": newest.tests_warned,
                "traceparent": traceparent,
                **await _through(session, newest.through_batch_id),
            },
        )
        rows = {str(table.name): await _copy(session, table, build_id) for table in COPIED}
        # A build that has begun meanwhile has perhaps replaced a table between two copies.
        latest = await _newest_run(session)
        if latest is None or latest.invocation_id != newest.invocation_id:
            raise NotPublished("another build of ap began meanwhile; it is published when it has passed")
        removed = await _remove_old(session)
    return Published(build_id, newest.invocation_id, as_of_date, rows, removed)


async def _newest_run(session: Session) -> sa.Row[Any] | None:
    found = await session.execute(
        sa.select(run).order_by(run.c.started_at.desc(), run.c.invocation_id.desc()).limit(1)
    )
    return found.one_or_none()


def _why_not(newest: sa.Row[Any] | None) -> str | None:
    if newest is None:
        return "ap was never built; build it: dbt/build.py --select path:models/ap"
    which = f"the build {newest.invocation_id} of ap, begun at {newest.started_at:%F %T} UTC,"
    if newest.finished_at is None:
        return f"{which} is under way or was killed; build ap again when it is not running"
    if failures := json.loads(newest.failures):
        return f"{which} failed: {', '.join(failures[:10])}"
    if newest.models_left:
        return f"{which} made only {newest.models} of {newest.models + newest.models_left} models; build path:models/ap"
    if newest.tests_left:
        return f"{which} left out {newest.tests_left} of its tests; build it with --tests data"
    return None


async def _as_of(session: Session) -> date | None:
    kpi = sa.table("kpi", sa.column("as_of_date"), schema="ap")
    found: date | None = await session.scalar(sa.select(sa.func.max(kpi.c.as_of_date)))
    return found


async def _through(session: Session, batch_id: int | None) -> dict[str, object]:
    batch = sa.table(
        "batch", sa.column("batch_id"), sa.column("window_to"), sa.column("loaded_at"), schema="dl"
    )
    found = (
        await session.execute(
            sa.select(batch).where(batch.c.batch_id <= batch_id).order_by(batch.c.batch_id.desc()).limit(1)
        )
    ).one_or_none()
    return {
        "through_batch_id": batch_id,
        "through_position": found.window_to if found else None,
        "through_time": found.loaded_at.replace(tzinfo=UTC) if found else None,
    }


async def _copy(session: Session, table: sa.Table, build_id: int) -> int:
    """Copy one table of `ap`; how many rows."""
    columns = [column for column in table.columns if column.name != "build_id"]
    source = sa.table(table.name, *(sa.column(column.name) for column in columns), schema="ap")
    chosen = sa.select(
        sa.cast(sa.literal(build_id), sa.BigInteger), *(source.c[column.name] for column in columns)
    )
    done = await session.execute(
        table.insert().from_select(["build_id", *(column.name for column in columns)], chosen)
    )
    return int(done.rowcount)


async def _remove_old(session: Session) -> int:
    """Remove the builds that need not be kept; how many."""
    known = (await session.execute(sa.select(build.c.build_id, build.c.published_at))).all()
    old = sorted(superfluous([(row.build_id, row.published_at) for row in known], datetime.now(UTC)))
    for table in (*COPIED, build):
        if old:
            await session.execute(table.delete().where(table.c.build_id.in_(old)))
    return len(old)


def superfluous(builds: list[tuple[int, datetime]], now: datetime) -> set[int]:
    """The builds that are removed, of ids and times of publication.

    The newest NEWEST_KEPT stay, and the last one of each of the DAYS_KEPT days (UTC) before `now`.
    """
    newest_first = sorted(builds, reverse=True)
    kept = {build_id for build_id, _ in newest_first[:NEWEST_KEPT]}
    days: set[date] = set()
    for build_id, published_at in newest_first:
        day = published_at.astimezone(UTC).date()
        if day not in days and now - published_at < timedelta(days=DAYS_KEPT):
            days.add(day)
            kept.add(build_id)
    return {build_id for build_id, _ in builds} - kept
