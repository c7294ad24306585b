"""What a loan is on a day follows from dated classifications, whenever they are told: so do the KPIs of the past."""

from __future__ import annotations

import json
from datetime import date, datetime, time
from decimal import Decimal

import pytest

from tests.warehouse.conftest import Change, Warehouse
from tests.warehouse.portfolio import AS_OF, identifier
from tests.warehouse.rows_of_kpis import differences

# It builds a whole warehouse, which takes minutes on a busy machine.
pytestmark = [pytest.mark.timeout(900), pytest.mark.long]

Periods = set[tuple[str, str, date, date]]
"""Loan, classification, first day, and the day from which it is so no longer."""
ALWAYS = date(9999, 12, 31)


def told(  # noqa: PLR0917 - the columns of a classification
    position: int,
    name: str,
    loan: str,
    classification: str,
    since: date | None,
    until: date | None = None,
    *,
    gone: bool = False,
) -> Change:
    """A classification as the journal has it; or that it is gone."""
    image = {
        "id": str(identifier(f"classification {name}")),
        "loan_id": str(identifier(f"loan {loan}")),
        "classification": classification,
        "effective_from": since and since.isoformat(),
        "effective_to": until and until.isoformat(),
        "reason": None,
        "recorded_at": "2026-09-15T06:00:00.000000",
        "migrated": True,
    }
    return "loan_classification", (
        position,
        0,
        "d" if gone else "u",
        json.dumps([image["id"]]),
        None if gone else json.dumps(image),
        None,
        "test",
        None,
        datetime.combine(AS_OF, time(7)),
    )


async def compare(warehouse: Warehouse, periods: Periods) -> None:
    """Compare the classifications, stages and non-performing loans of each day with what is known."""
    rows = await warehouse.rows("SELECT * FROM dm.fact_loan_month")
    assert len(rows) > 100
    for row in rows:
        day = row["snapshot_date"]
        so = {
            kind
            for loan, kind, since, until in periods
            if str(identifier(f"loan {loan}")) == row["loan_id"] and since <= day < until
        }
        assert (row["is_defaulted"], row["is_restructured"]) == ("default" in so, "restructured" in so), row
        if row["status"] == "open":
            assert row["is_non_performing"] >= row["is_defaulted"]
            late = row["days_past_due"]
            assert row["ifrs9_stage"] == (
                3 if "default" in so or late >= 90 else 2 if "restructured" in so or late > 30 else 1
            )


async def ratio(warehouse: Warehouse, currency: str, kpi: str, day: date) -> tuple[Decimal, Decimal]:
    """Numerator and denominator of a month end's KPI."""
    (row,) = await warehouse.rows(
        "SELECT numerator, denominator FROM ap.kpi WHERE kpi = $1 AND grain = 'month_end' AND period_start = $2 "
        "AND dimension = 'all' AND currency = $3",
        kpi,
        day,
        currency,
    )
    return row["numerator"], row["denominator"]


async def test_classifications_count_from_their_own_days(copied: Warehouse) -> None:
    september = date(2026, 9, 1)
    periods: Periods = {
        ("restructured", "restructured", september, ALWAYS),
        ("unlikely to pay", "default", september, ALWAYS),
    }
    await compare(copied, periods)
    # An open loan that nobody doubted in June.
    (loan,) = await copied.rows(
        "SELECT currency, gross_amount FROM dm.fact_loan_month AS m "
        "WHERE snapshot_kind = 'month_end' AND snapshot_date = '2026-06-30' AND status = 'open' "
        "AND is_non_performing = 0 AND loan_id = $1",
        str(identifier("loan dpd 91")),
    )
    june, july = date(2026, 6, 30), date(2026, 7, 31)
    before = {
        (kpi, day): await ratio(copied, loan["currency"], kpi, day)
        for kpi in ("npl_ratio", "par_90_restructured")
        for day in (june, july)
    }

    position = 10**6
    may, later = date(2026, 5, 31), date(2026, 8, 15)
    await copied.land(
        [
            # Told today of a time that is over; and of one that goes on, first a day too late, then corrected.
            told(position, "past", "dpd 91", "default", may, july),
            told(position + 1, "now", "dpd 31", "restructured", later),
            told(position + 2, "now", "dpd 31", "restructured", date(2026, 8, 14)),
            # Periods that overlap or touch; one that is empty; one that is still to come.
            told(position + 3, "a", "dpd 90", "default", date(2026, 3, 1), may),
            told(position + 4, "b", "dpd 90", "default", date(2026, 4, 1), date(2026, 6, 30)),
            told(position + 5, "c", "dpd 90", "default", date(2026, 6, 30), july),
            told(position + 6, "d", "partial", "default", july, july),
            told(position + 7, "e", "partial", "restructured", date(2026, 12, 1)),
        ]
    )
    await copied.land(
        [
            # Nobody knows since when; told today. And what was said of another was a mistake.
            told(position + 8, "unknown", "partial", "default", None),
            told(position + 9, "unlikely", "unlikely to pay", "default", september, gone=True),
        ]
    )
    periods -= {("unlikely to pay", "default", september, ALWAYS)}
    periods |= {
        ("dpd 91", "default", may, july),
        ("dpd 31", "restructured", date(2026, 8, 14), ALWAYS),
        ("dpd 90", "default", date(2026, 3, 1), july),
        ("partial", "default", AS_OF, ALWAYS),
    }
    await copied.build()  # with the tests of the data
    await compare(copied, periods)

    # At the end of June it is non-performing, at the end of July no more; the loans beside it are as they were.
    numerator, denominator = before["npl_ratio", june]
    others = await copied.rows(
        "SELECT sum(gross_amount) AS gross FROM dm.fact_loan_month WHERE snapshot_kind = 'month_end' "
        "AND snapshot_date = $1 AND is_defaulted = 1 AND days_past_due <= 90 AND currency = $2",
        june,
        loan["currency"],
    )
    assert others[0]["gross"] >= loan["gross_amount"] > 0
    assert await ratio(copied, loan["currency"], "npl_ratio", june) == (
        numerator + others[0]["gross"],
        denominator,
    )
    assert await ratio(copied, loan["currency"], "npl_ratio", july) == before["npl_ratio", july]
    assert (
        await ratio(copied, loan["currency"], "par_90_restructured", july)
        == before["par_90_restructured", july]
    )
    (left_out,) = await copied.rows(
        "SELECT denominator FROM ap.kpi WHERE kpi = 'loans_without_classification_date'"
    )
    assert left_out["denominator"] == 1
    assert await differences(copied.database, "loans_without_classification_date", "npl_ratio") == []

    found = await copied.checksums("dm", "ap")
    await copied.models("--full-refresh")
    assert await copied.checksums("dm", "ap") == found
