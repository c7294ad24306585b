"""What the rows behind KPIs add up to, for all points of a warehouse at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.sql import visitors

from services.analytics.catalogue.columns import SOURCES
from services.analytics.catalogue.conditions import Kind
from services.analytics.catalogue.model import WHOLE, Kpi, Part, read_catalogue
from services.analytics.catalogue.parameters import PARAMETERS, parameters_of
from services.analytics.catalogue.statements import Slice, total
from tests.conftest import Database

CATALOGUE = read_catalogue()

TYPES: Mapping[Kind, Any] = {
    Kind.TEXT: sa.String(),
    Kind.INTEGER: sa.BigInteger(),
    Kind.DATE: sa.Date(),
    Kind.INSTANT: sa.DateTime(),
}

Point = dict[str, Any]
"""A row that holds a KPI's value: its columns, and `parameters`, `numerator`, `denominator` and `value` of the KPI."""


async def differences(database: Database, *names: str) -> list[str]:
    """Where the rows behind a part do not add up to what `ap` has; every KPI has to have a point.

    Args:
        database: a warehouse that is built.
        names: ids of KPIs; by default all that have a point here.
    """
    found: list[str] = []
    engine = create_async_engine(database.url("analyst"))
    async with engine.connect() as connection:
        for name in names or CATALOGUE.kpis:
            kpi = CATALOGUE.kpis[name]
            points = await points_of(connection, kpi)
            if names and not points:
                found.append(f"{name} has no point")
            for part in kpi.parts:
                found += await _differences(connection, kpi, part, points)
    await engine.dispose()
    return found


async def _differences(
    connection: AsyncConnection, kpi: Kpi, name: str, points: Sequence[Point]
) -> list[str]:
    # A curve is NULL past the last month that is over: nothing is observed there.
    known = [point for point in points if point[name] is not None]
    part = kpi.parts[name]
    if not part.adds_up:
        return []
    sums = await totals(connection, kpi, part, known)
    return [
        f"{kpi.id} {name} {slice_of(point)}: the rows add up to {found}, ap has {point[name]}"
        for point, found in zip(known, sums, strict=True)
        if found != point[name]
    ]


async def points_of(connection: AsyncConnection, kpi: Kpi) -> list[Point]:
    """Every point of a KPI: every day, grain, period, currency, dimension and member."""
    source = kpi.source
    table = sa.table(source.table.split(".")[1], schema=source.table.split(".")[0])
    columns = [sa.column(name) for name in SOURCES[source.table].columns]
    query = sa.select(*columns).select_from(table)
    if source.table == "ap.kpi":
        query = query.where(sa.column("kpi", sa.String) == kpi.id)
    (zone,) = (await connection.execute(sa.text("SELECT business_time_zone FROM dm.reporting_date"))).one()
    return [
        {
            **row,
            "parameters": parameters_of(source.table, row, zone),
            "numerator": row[source.numerator],
            "denominator": row[source.denominator],
            "value": row[source.column],
        }
        for row in (await connection.execute(query)).mappings()
    ]


def slice_of(point: Point) -> Slice:
    """What of its KPI a point is."""
    return Slice(point["parameters"], point.get("dimension", WHOLE), point.get("member", WHOLE))


async def totals(connection: AsyncConnection, kpi: Kpi, part: Part, points: Sequence[Point]) -> list[Decimal]:
    """What the rows of a part add up to at each point, in one statement for points that differ in values alone."""
    found: dict[int, Decimal] = {}
    for alike in _alike(kpi, points):
        rows = (await connection.execute(_for_each(kpi, part, points, alike))).all()
        found |= {int(place): Decimal(amount) for place, amount in rows}
    return [found[place] for place in range(len(points))]


def _alike(kpi: Kpi, points: Sequence[Point]) -> Iterable[list[int]]:
    """Points by what makes their statements differ: the dimension, and a member that is no text of a column."""
    groups: dict[tuple[str, str], list[int]] = {}
    for place, point in enumerate(points):
        asked = slice_of(point)
        prefix = kpi.dimensions[asked.dimension].prefix
        told = asked.member if prefix or asked.member == WHOLE else "a member"
        groups.setdefault((asked.dimension, told), []).append(place)
    return groups.values()


MARK = "\ue000"
"""Before the name of a parameter where its value would be: a character that no value has."""


def _for_each(kpi: Kpi, part: Part, points: Sequence[Point], places: Sequence[int]) -> sa.Select[Any]:
    """The statement of one point, run for each of them: its bound values are columns of a list of points."""
    asked = slice_of(points[places[0]])
    narrowed = asked.member != WHOLE and not kpi.dimensions[asked.dimension].prefix
    kinds = {**PARAMETERS[kpi.source.table], "member": Kind.TEXT}
    listed = sa.values(sa.column("place"), *(sa.column(name, sa.String) for name in kinds), name="points")
    listed = listed.data(
        [
            (
                str(place),
                *(_told({**points[place]["parameters"], "member": slice_of(points[place]).member}, kinds)),
            )
            for place in places
        ]
    )

    def known(element: Any, **_: Any) -> sa.ColumnElement[Any] | None:
        if isinstance(element, sa.BindParameter) and str(element.value).startswith(MARK):
            name = str(element.value).removeprefix(MARK)
            # By its text: as a column it would bring the list into every subquery that names it.
            return sa.cast(sa.literal_column(f"points.{name}"), TYPES[kinds[name]])
        return None

    marked = {name: MARK + name for name in PARAMETERS[kpi.source.table]}
    one = total(kpi, part, Slice(marked, asked.dimension, f"{MARK}member" if narrowed else asked.member))
    each = visitors.replacement_traverse(one, {}, known).lateral("each")
    return sa.select(listed.c.place, each.c.total).select_from(listed).join(each, sa.true())


def _told(values: Mapping[str, Any], names: Iterable[str]) -> Iterator[str]:
    for name in names:
        value = values[name]
        yield str(value.replace(tzinfo=None) if isinstance(value, datetime) else value)
