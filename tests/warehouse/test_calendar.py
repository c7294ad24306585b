"""The calendar follows the data: a history that arrives after the present, days far ahead, days that no loan has."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, datetime, time
from decimal import Decimal

import pytest

from tests.conftest import Database, new_database
from tests.warehouse.conftest import Change, Warehouse, changes_of
from tests.warehouse.portfolio import AS_OF, Portfolio, identifier

# The first build makes the whole warehouse, which takes minutes on a busy machine.
pytestmark = [pytest.mark.timeout(1200), pytest.mark.long]

OLDEST = date(1971, 3, 10)
OLDEST_BUT_ONE = date(1984, 5, 31)
# What a birth date in the wrong column, and a wrong century, make of a value date.
MISTAKEN = (date(1900, 1, 1), date(1826, 6, 1))


def old_history() -> Portfolio:
    """Loans from before the calendar began, one whose instalments reach fifty years ahead, and mistaken value dates."""
    made = Portfolio()
    oldest = made.loan("oldest", OLDEST, currency="SEK")
    made.moved("oldest pays", oldest, "payment", Decimal(100), date(1971, 4, 10), currency="SEK")
    repaid = made.loan("oldest but one", OLDEST_BUT_ONE, currency="SEK")
    made.moved("all of it", repaid, "payment", Decimal(1200), date(1985, 1, 1), currency="SEK")
    made.loan("fifty years", date(2026, 9, 1), term=600, currency="SEK")
    for day in MISTAKEN:
        made.loan(f"mistaken {day.year}", day, currency="DKK")
    return made


async def landed_later(lake_template: Database, changes: Sequence[Change]) -> list[Change]:
    """The changes of the old history, at positions behind those of the present."""
    behind = max(values[0] for _, values in changes)
    async with new_database(lake_template.platform, "lake", lake_template.name) as lake:
        async with lake.connect() as connection:
            await old_history().write(connection)
        return [
            (table, (behind + values[0], *values[1:]))
            for table, values in await changes_of(lake)
            if table not in {"product", "product_parameters", "approval_band"}
        ]


async def month_ends(warehouse: Warehouse, table: str) -> list[date]:
    """The month ends of a table, in order."""
    day, kind = (
        ("snapshot_date", "snapshot_kind") if table.startswith(("dm", "dw")) else ("as_of_date", "grain")
    )
    rows = await warehouse.rows(
        f"SELECT DISTINCT {day} AS day FROM {table} WHERE {kind} = 'month_end' ORDER BY 1"
    )
    return [row["day"] for row in rows]


async def test_a_history_that_arrives_after_the_present(
    copied: Warehouse, changes: Sequence[Change], lake_template: Database
) -> None:
    young = await month_ends(copied, "dm.fact_loan_month")
    assert young[0].year > 2020

    old = await landed_later(lake_template, changes)
    await copied.land(old)
    # With the tests of the data: every day of a fact is one of dim_date, and what is out of range is told.
    built = await copied.build()
    assert built.result["states"].get("warn") == 1
    assert "fail" not in built.result["states"]

    # Every month since the oldest loan, and none of a mistaken day.
    months = await month_ends(copied, "dw.snapshot_calendar")
    assert (months[0], months[-1]) == (date(1971, 3, 31), date(2026, 8, 31))
    assert len(months) == (2026 - 1971) * 12 + 8 - 3 + 1
    for table in ("dw.pit_loan", "dm.fact_loan_month", "ap.kpi_portfolio"):
        assert await month_ends(copied, table) == months
    (owed,) = await copied.rows(
        "SELECT numerator, value FROM ap.kpi WHERE kpi = 'exposure' AND grain = 'month_end' AND dimension = 'all' "
        "AND currency = 'SEK' AND period_start = '1984-06-30'"
    )
    assert owed["numerator"] == 1100 + 1200
    # A loan of a mistaken day is in the portfolio, from the calendar's first day on, and in no cohort.
    mistaken = await copied.rows(
        "SELECT loan_id, min(snapshot_date) AS since, max(outstanding_principal) AS owed FROM dm.fact_loan_month "
        "WHERE currency = 'DKK' GROUP BY loan_id"
    )
    assert [(row["since"], row["owed"]) for row in mistaken] == [(date(1971, 3, 31), 1200)] * 2
    assert await copied.rows("SELECT 1 FROM ap.vintage WHERE currency = 'DKK'") == []
    (calendar,) = await copied.rows(
        "SELECT min(date_day) AS first, max(date_day) AS last, count(*) AS days FROM dm.dim_date "
        "WHERE is_out_of_range = 0"
    )
    assert (calendar["first"], calendar["last"]) == (date(1971, 3, 1), date(2076, 9, 30))
    assert calendar["days"] == (calendar["last"] - calendar["first"]).days + 1
    alone = {
        row["date_day"]
        for row in await copied.rows("SELECT date_day FROM dm.dim_date WHERE is_out_of_range = 1")
    }
    assert set(MISTAKEN) <= alone
    assert len(alone) < 50
    await as_if_built_whole(copied)

    # Corrected: the oldest loan and one of the mistaken are of other days after all. What is earlier is gone again.
    await copied.land(
        [
            corrected(old, "oldest disbursement", OLDEST_BUT_ONE, 10**8),
            corrected(old, "mistaken 1900 disbursement", date(2025, 1, 1), 10**8 + 1),
        ]
    )
    await copied.models()
    assert (await month_ends(copied, "dm.fact_loan_month"))[0] == date(1984, 5, 31)
    await as_if_built_whole(copied)


def corrected(changes: Sequence[Change], name: str, day: date, position: int) -> Change:
    """A transaction once more, effective on another day."""
    key = json.dumps([str(identifier(f"transaction {name}"))])
    values = list(
        next(values for table, values in changes if table == "loan_transaction" and values[3] == key)
    )
    image = json.loads(values[4]) | {"effective_on": day.isoformat()}
    values[0], values[2], values[4] = position, "u", json.dumps(image)
    values[8] = datetime.combine(AS_OF, time(8))
    return "loan_transaction", tuple(values)


async def as_if_built_whole(warehouse: Warehouse) -> None:
    """A full refresh changes nothing."""
    found = await warehouse.checksums("dm", "ap")
    await warehouse.models("--full-refresh")
    assert await warehouse.checksums("dm", "ap") == found
