"""All SQL of the queue: waiting applications under filters, in each order, and their counts."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles

from services.approval.claims.repository import counting
from services.approval.queue.domain import Claimed, Filters, Order, Waiting, hours, hours_of
from services.approval.repository import OPEN
from services.chassis.database import beyond
from services.chassis.web.identity import Caller
from services.chassis.web.paging import Cursor
from services.lake import access, bands
from services.lake.database import LakeReader
from services.lake.tables import application, application_version, approval_band, claim, decision

# An imported version can lack a score; it sorts below every score.
_NO_SCORE = -1

_KEYS: Mapping[str, sa.ColumnElement[Any]] = {
    "age": application.c.submitted_at,
    "amount": application_version.c.amount,
    "score": sa.func.coalesce(application_version.c.score, _NO_SCORE),
}
_CURRENT = sa.and_(
    application_version.c.application_id == application.c.id,
    application_version.c.version == application.c.current_version,
)


_CLAIMED: Mapping[Claimed, Callable[[UUID], sa.ColumnElement[bool]]] = {
    Claimed.MINE: lambda person: claim.c.claimed_by == person,
    Claimed.OTHERS: lambda person: claim.c.claimed_by != person,
    Claimed.NOBODY: lambda _: claim.c.claimed_by.is_(None),
}


class seconds_between(sa.sql.functions.GenericFunction[float]):  # noqa: N801 - the name of a function of SQL
    """The seconds from one instant of the lake to another."""

    type = sa.Float()
    inherit_cache = True


@compiles(seconds_between)
def _seconds_on_postgresql(element: seconds_between, compiler: Any, **options: Any) -> str:
    first, second = (compiler.process(one, **options) for one in element.clauses)
    return f"CAST(EXTRACT(EPOCH FROM {second} - {first}) AS FLOAT)"


@compiles(seconds_between, "mssql")
def _seconds_on_sqlserver(element: seconds_between, compiler: Any, **options: Any) -> str:
    first, second = (compiler.process(one, **options) for one in element.clauses)
    return f"CAST(DATEDIFF_BIG(second, {first}, {second}) AS FLOAT)"


def select_queue(
    caller: Caller, filters: Filters, order: Order, *, after: Cursor | None, limit: int, now: datetime
) -> sa.Select[Any]:
    """Read which applications wait for `caller`, in `order`, with the value that they are ordered by as `place`."""
    version = application_version.c
    key, identifier = _KEYS[order.removeprefix("-")], application.c.id
    # The age is the time since the submission: the older, the earlier the instant.
    descending = order.startswith("-") != order.endswith("age")
    query = _of_caller(
        caller,
        filters,
        now,
        application.c.id,
        application.c.state,
        application.c.revision,
        application.c.submitted_at,
        version.version,
        approval_band.c.band,
        approval_band.c.stage,
        claim.c.claimed_by,
        claim.c.expires_at.label("claimed_until"),
        key.label("place"),
    )
    if after is not None:
        query = query.where(beyond(key, identifier, (after.place, after.id), descending=descending))
    ordered = (key.desc(), identifier.desc()) if descending else (key, identifier)
    return query.order_by(*ordered).limit(limit)


def select_summary(caller: Caller, filters: Filters, now: datetime) -> sa.Select[Any]:
    """Count what waits for `caller` by stage and band, with its ages."""
    band = approval_band.c
    age = seconds_between(application.c.submitted_at, sa.literal(now, application.c.submitted_at.type))
    return (
        _of_caller(
            caller,
            filters,
            now,
            band.stage,
            band.band,
            band.currency,
            sa.func.count().label("count"),
            sa.func.count(claim.c.claimed_by).label("claimed"),
            sa.func.min(application.c.submitted_at).label("oldest"),
            sa.func.avg(age).label("average_seconds"),
        )
        .group_by(band.stage, band.band, band.currency)
        .order_by(band.stage, band.currency, band.band)
    )


def _of_caller(caller: Caller, filters: Filters, now: datetime, *columns: Any) -> sa.Select[Any]:
    """The applications that wait for a stage of `caller`, who may see them, under `filters`.

    Applications whose current version the caller made or has decided on are left out.
    """
    person = caller.id
    version, band, earlier = application_version, approval_band, approval_band.alias("earlier")
    roles = [filters.stage] if filters.stage is not None else sorted(caller.roles)

    def decided(*conditions: sa.ColumnElement[bool]) -> sa.Exists:
        # In these states every decision on the current version is an approval.
        return (
            sa.exists()
            .where(
                decision.c.application_id == version.c.application_id,
                decision.c.version == version.c.version,
                *conditions,
            )
            # By name: otherwise the version would be a separate table inside another EXISTS, and any decision
            # would count.
            .correlate(version, band, earlier)
        )

    earlier_is_open = sa.exists().where(
        earlier.c.band == band.c.band,
        earlier.c.stage_order < band.c.stage_order,
        ~decided(decision.c.stage == earlier.c.stage),
    )
    query = (
        sa.select(*columns)
        .join_from(application, version, _CURRENT)
        .join(
            band,
            sa.and_(
                band.c.currency == version.c.currency,
                bands.counting(version.c.submitted_at),
                version.c.amount >= band.c.amount_from,
                sa.or_(band.c.amount_below.is_(None), version.c.amount < band.c.amount_below),
            ),
        )
        .outerjoin(claim, counting(now))
        .where(
            access.applications(caller),
            application.c.state.in_(OPEN),
            band.c.stage.in_(roles),
            version.c.maker != person,
            ~decided(decision.c.stage == band.c.stage),
            ~decided(decision.c.decided_by == person),
            ~earlier_is_open,
        )
    )
    if filters.product_code is not None:
        query = query.where(version.c.product_code == filters.product_code)
    if filters.amount_min is not None:
        query = query.where(version.c.amount >= filters.amount_min)
    if filters.amount_max is not None:
        query = query.where(version.c.amount <= filters.amount_max)
    if (until := filters.submitted_until(now)) is not None:
        query = query.where(application.c.submitted_at <= until)
    if filters.claimed is not None:
        query = query.where(_CLAIMED[filters.claimed](person))
    return query


class QueueRepository:
    """Reads what waits for a caller."""

    async def page(
        self,
        reader: LakeReader,
        caller: Caller,
        filters: Filters,
        order: Order,
        *,
        after: Cursor | None,
        limit: int,
        now: datetime,
    ) -> Sequence[Mapping[str, Any]]:
        """Rows of id, state, revision, submitted_at, version, band, stage, the claim that counts, and place."""
        query = select_queue(caller, filters, order, after=after, limit=limit, now=now)
        rows = (await reader.execute(query)).mappings()
        return [{str(name): value for name, value in row.items()} for row in rows]

    async def summary(
        self, reader: LakeReader, caller: Caller, filters: Filters, now: datetime
    ) -> list[Waiting]:
        """Counts and ages by stage and band."""
        rows = (await reader.execute(select_summary(caller, filters, now))).mappings()
        return [
            Waiting(
                stage=row["stage"],
                band=row["band"],
                currency=row["currency"],
                count=row["count"],
                claimed=row["claimed"],
                oldest_hours=hours(row["oldest"], now),
                average_hours=hours_of(row["average_seconds"]),
            )
            for row in rows
        ]


def statements() -> Iterator[sa.Executable]:
    """Yield an example of every statement of the queue."""
    some = UUID(int=1)
    at = datetime.fromisoformat("2000-01-01T00:00:00Z")
    filters = Filters("officer", "CODE", Decimal(1), Decimal(2), 3)
    for caller in access.examples():
        yield select_summary(caller, filters, at)
        for order in Order:
            place = at if order.endswith("age") else 1
            yield select_queue(caller, Filters(), order, after=None, limit=1, now=at)
            yield select_queue(caller, filters, order, after=Cursor(place, some), limit=1, now=at)
        for claimed in Claimed:
            yield select_summary(caller, Filters(claimed=claimed), at)
