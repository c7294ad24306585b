"""The rows that the catalogue names add up to numerator and denominator of `ap`, to the last decimal."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from services.analytics.catalogue.columns import FACTS
from services.analytics.catalogue.conditions import written
from services.analytics.catalogue.model import Kpi
from services.analytics.catalogue.parsing import parse
from services.analytics.catalogue.statements import rows_of, total
from tests.warehouse.conftest import Warehouse
from tests.warehouse.portfolio import AS_OF
from tests.warehouse.rows_of_kpis import CATALOGUE, Point, differences, points_of, slice_of, totals

# The first of them builds the whole warehouse, which takes minutes on a busy machine.
pytestmark = pytest.mark.timeout(900)

LEFT_OUT = {
    "applications_without_score",
    "loans_without_classification_date",
    "loans_without_disbursement_date",
    "loans_without_parameters",
}
"""KPIs of what an imported history lacks. This portfolio lacks nothing: test_history.py, test_classifications.py
and test_parameters.py have what does."""
KPIS = [pytest.param(kpi, id=name) for name, kpi in CATALOGUE.kpis.items() if name not in LEFT_OUT]


@pytest.fixture
async def reader(built: Warehouse) -> AsyncIterator[AsyncConnection]:
    """A connection of who reads `dm` and `ap` and nothing else."""
    engine = create_async_engine(built.database.url("analyst"))
    async with engine.connect() as connection:
        yield connection
    await engine.dispose()


@pytest.mark.parametrize("kpi", KPIS)
async def test_rows_add_up_at_every_point(built: Warehouse, reader: AsyncConnection, kpi: Kpi) -> None:
    assert await differences(built.database, kpi.id) == []
    points = await points_of(reader, kpi)
    for name, part in kpi.parts.items():
        if part.adds_up:
            assert any(point[name] for point in points), name
    if kpi.adds_up:
        needed = {"numerator", "denominator"} if kpi.value == "ratio" else {kpi.value}
        assert needed <= {name for name, part in kpi.parts.items() if part.adds_up}


async def test_a_condition_that_is_off_by_a_day_does_not_add_up(reader: AsyncConnection) -> None:
    kpi = CATALOGUE.kpis["par_30"]
    part = kpi.parts["numerator"]
    points = [point for point in await points_of(reader, kpi) if point["as_of_date"] == AS_OF]
    ap = [point["numerator"] for point in points]
    assert await totals(reader, kpi, part, points) == ap
    # One loan is 30 days past due, which is not in PAR 30.
    off = parse(written(part.where).replace("days_past_due > 30", "days_past_due >= 30"))
    assert await totals(reader, kpi, part.model_copy(update={"where": off}), points) != ap


@pytest.mark.parametrize("kpi", KPIS)
async def test_a_value_is_what_the_catalogue_says_of_its_parts(reader: AsyncConnection, kpi: Kpi) -> None:
    points = await points_of(reader, kpi)
    if kpi.value in {"numerator", "denominator"}:
        assert [point["value"] for point in points] == [point[kpi.value] for point in points]
    elif kpi.value == "ratio":
        # Divided as floats, which have fifteen digits.
        known = [point for point in points if point["value"] is not None]
        assert known
        for point in known:
            quotient = float(point["numerator"]) / float(point["denominator"])
            assert float(point["value"]) == pytest.approx(quotient, rel=1e-12, abs=1e-10)
    else:
        assert not kpi.adds_up


async def test_catalogue_and_ap_name_the_same_kpis_grains_and_dimensions(reader: AsyncConnection) -> None:
    rows = await reader.execute(
        sa.text("SELECT kpi, grain, dimension FROM ap.kpi GROUP BY kpi, grain, dimension")
    )
    found: dict[str, tuple[set[str], set[str]]] = {}
    for name, grain, dimension in rows:
        grains, dimensions = found.setdefault(name, (set(), set()))
        grains.add(grain)
        dimensions.add(dimension)
    assert found == {
        name: (set(kpi.grains), set(kpi.dimensions))
        for name, kpi in CATALOGUE.kpis.items()
        if kpi.source.table == "ap.kpi" and name not in LEFT_OUT
    }
    rolled = await reader.scalars(sa.text("SELECT DISTINCT grain FROM ap.roll_rate"))
    assert set(rolled) == set(CATALOGUE.kpis["roll_rate"].grains)


async def test_goods_and_bads_are_the_rows_of_gini_and_ks(reader: AsyncConnection) -> None:
    counted = await reader.execute(sa.text("SELECT currency, kpi, goods + bads FROM ap.score_separation"))
    expected = {(currency, kpi): loans for currency, kpi, loans in counted}
    found = {}
    for name in ("gini", "ks"):
        kpi = CATALOGUE.kpis[name]
        for point in await points_of(reader, kpi):
            rows = (await reader.execute(rows_of(kpi, kpi.denominator, slice_of(point), (), 10_000))).all()
            found[point["currency"], name] = len(rows)
    assert found == expected


async def paged(
    reader: AsyncConnection, kpi: Kpi, name: str, point: Point, limit: int
) -> list[sa.RowMapping]:
    """All rows of a part, page by page."""
    part = kpi.parts[name]
    found: list[sa.RowMapping] = []
    after: list[str] = []
    while True:
        query = rows_of(kpi, part, slice_of(point), after, limit)
        page = (await reader.execute(query)).mappings().all()
        found += page
        if len(page) < limit:
            return found
        after = [page[-1][f"key_{column}"] for column in FACTS[part.table].key]


@pytest.mark.parametrize(
    "name", ["par_30", "roll_rate", "ten_largest_share", "booked_volume", "write_off_rate_net"]
)
async def test_pages_of_rows_are_all_rows_once_with_their_application(
    reader: AsyncConnection, name: str
) -> None:
    kpi = CATALOGUE.kpis[name]
    points = [
        point for point in await points_of(reader, kpi) if point["as_of_date"] == AS_OF and point["numerator"]
    ]
    point = max(points, key=lambda one: one["denominator"])
    for part in ("numerator", "denominator"):
        expected = (await reader.execute(total(kpi, kpi.parts[part], slice_of(point)))).one()
        rows = await paged(reader, kpi, part, point, 2)
        keys = [tuple(row[f"key_{column}"] for column in FACTS[kpi.parts[part].table].key) for row in rows]
        assert len(rows) == expected.row_count >= 2
        assert keys == sorted(set(keys))
        assert all(row["application_id"] for row in rows)
        summed = kpi.parts[part].sum
        if (
            summed in kpi.parts[part].columns
            and not kpi.parts[part].averaged_over
            and kpi.parts[part].less is None
        ):
            assert sum(row[summed] for row in rows) == expected.total == point[part]
