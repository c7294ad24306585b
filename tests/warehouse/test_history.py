"""A small imported history, from its files to ap: the KPIs of past days, known by hand; the arithmetic is beside."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Database
from tests.integration.cli.test_import_history import imported
from tests.unit.cli.sample_history import Rows, classification, event, parameters, version, write
from tests.warehouse.conftest import Warehouse, changes_of
from tests.warehouse.rows_of_kpis import differences

# Three builds of the whole warehouse, which take minutes on a busy machine.
pytestmark = [pytest.mark.timeout(1800), pytest.mark.long]


def lent(ref: str, application: str, principal: int, booked_at: str, first_due: str) -> Rows:
    """A loan without interest, repaid by instalments of 100 a month."""
    start = date.fromisoformat(first_due)
    months = principal // 100
    return {
        "loans": [
            {
                "external_ref": ref,
                "application_ref": application,
                "principal": str(principal),
                "currency": "DEM",
                "interest_rate": "0",
                "term_months": str(months),
                "booked_at": booked_at,
            }
        ],
        "instalments": [
            {
                "loan_ref": ref,
                "number": str(number + 1),
                "due_on": start.replace(
                    year=start.year + (start.month - 1 + number) // 12,
                    month=(start.month - 1 + number) % 12 + 1,
                ).isoformat(),
                "principal": "100",
                "interest": "0",
            }
            for number in range(months)
        ],
    }


def moved(loan: str, ref: str, kind: str, amount: int, day: str | None) -> dict[str, Any]:
    """Money under a loan."""
    return {
        "loan_ref": loan,
        "external_ref": ref,
        "kind": kind,
        "amount": str(amount),
        "currency": "DEM",
        **({"effective_on": day} if day else {}),
    }


def history() -> Rows:
    """Four applications: one pays twice and stops, one is rejected, one withdrawn, one of an unknown disbursement."""
    first = lent("L1", "A1", 1200, "2024-01-15T10:00:00Z", "2024-02-15")
    fourth = lent("L4", "A4", 600, "2024-01-25T10:00:00Z", "2024-02-25")
    return {
        "parties": [
            {"external_ref": f"P{number}", "kind": "person", "full_name": "Ánh Nguyễn"}
            for number in range(1, 5)
        ],
        "applications": [
            {"external_ref": f"A{number}", "borrower_ref": f"P{number}"} for number in range(1, 5)
        ],
        "versions": [
            version("A1", submitted_at="2024-01-10T09:00:00Z", score="512"),
            version("A2", submitted_at="2024-02-01T08:00:00Z"),
            version("A3", submitted_at="2024-02-20T08:00:00Z", score="500"),
            version("A4", submitted_at="2024-01-20T12:00:00Z"),
        ],
        "events": [
            event("A1", "SUBMITTED", "2024-01-10T09:00:00Z"),
            event("A1", "IN_REVIEW", "2024-01-10T10:00:00Z"),
            event("A1", "APPROVED", "2024-01-10T12:00:00Z"),
            event("A1", "BOOKED", "2024-01-15T10:00:00Z"),
            event("A2", "SUBMITTED", "2024-02-01T08:00:00Z"),
            event("A2", "IN_REVIEW", "2024-02-03T07:00:00Z"),
            event("A2", "REJECTED", "2024-02-03T08:00:00Z"),
            event("A3", "SUBMITTED", "2024-02-20T08:00:00Z"),
            event("A3", "WITHDRAWN", "2024-04-01T08:00:00Z"),
            event("A4", "SUBMITTED", "2024-01-20T12:00:00Z"),
            event("A4", "IN_REVIEW", "2024-01-21T11:00:00Z"),
            event("A4", "APPROVED", "2024-01-21T12:00:00Z"),
            event("A4", "BOOKED", "2024-01-25T10:00:00Z"),
        ],
        "loans": first["loans"] + fourth["loans"],
        "instalments": first["instalments"] + fourth["instalments"],
        "transactions": [
            moved("L1", "1", "disbursement", 1200, "2024-01-15"),
            moved("L1", "2", "payment", 100, "2024-02-15"),
            moved("L1", "3", "payment", 100, "2024-03-15"),
            moved("L4", "1", "disbursement", 600, None),
            *(moved("L4", f"{month}", "payment", 100, f"2024-{month:02}-25") for month in range(2, 8)),
        ],
        # In default for ten days, which were over before the first arrears.
        "classifications": [classification("default", "2024-02-21", "2024-03-02")],
        "product_parameters": [parameters("CONSUMER", "2024-05-01", loss_given_default="0")],
    }


# By day: of each KPI of DEM as a whole, by the beginning of its month or the day itself, numerator, denominator, value.
EXPECTED: dict[str, dict[tuple[str, str], tuple[Any, Any, Any]]] = {
    # L1 owes 1,100, L4 owes 500. Decided in January: after 3 and 24 hours. A3 waits since 20 February: ten days.
    "2024-03-01": {
        ("exposure", "2024-03-01"): (1600, 2, 1600),
        ("par_0", "2024-03-01"): (0, 1600, 0),
        # L1 is in default until the day after.
        ("npl_ratio", "2024-03-01"): (1100, 1600, Decimal("0.6875")),
        ("approval_rate", "2024-01-01"): (2, 2, 1),
        ("approval_rate", "2024-02-01"): (0, 1, 0),
        ("pull_through", "2024-01-01"): (2, 2, 1),
        ("time_to_decision_p50", "2024-01-01"): (None, 2, Decimal("13.5")),
        ("backlog_age_average", "2024-03-01"): (10, 1, 10),
        # L4's 600 were disbursed on a day that nobody knows.
        ("booked_volume", "2024-01-01"): (1200, 1, 1200),
        ("loans_without_disbursement_date", "2024-03-01"): (None, 1, 1),
        ("applications_without_score", "2024-03-01"): (None, 2, 2),
    },
    # L1 has paid until March and is 16 days past due with 1,000; L4 owes 300. A3 was withdrawn on 1 April.
    "2024-05-01": {
        ("exposure", "2024-05-01"): (1300, 2, 1300),
        ("par_0", "2024-05-01"): (1000, 1300, Decimal("0.7692307692")),
        ("par_30", "2024-05-01"): (0, 1300, 0),
        ("npl_ratio", "2024-05-01"): (0, 1300, 0),
        # From this day on a default loses nothing.
        ("expected_loss", "2024-05-01"): (0, 1300, 0),
        ("booked_volume", "2024-01-01"): (1200, 1, 1200),
        ("loans_without_disbursement_date", "2024-05-01"): (None, 1, 1),
    },
    # 107 days after 15 April, with 400 overdue; L4 is paid off since 25 July.
    "2024-07-31": {
        ("exposure", "2024-07-31"): (1000, 1, 1000),
        ("par_90", "2024-07-31"): (1000, 1000, 1),
        ("npl_ratio", "2024-07-31"): (1000, 1000, 1),
        ("approval_rate", "2024-01-01"): (2, 2, 1),
        ("loans_without_disbursement_date", "2024-07-31"): (None, 1, 1),
    },
}
ABSENT = {"2024-05-01": "backlog_age_average", "2024-07-31": "backlog_age_average"}


async def test_kpis_of_past_days_are_those_of_the_imported_history(
    fresh_lake: Database, pieced: Warehouse, tmp_path: Path
) -> None:
    ended = await imported(fresh_lake, write(history(), tmp_path / "files"))
    assert ended.status == 0, ended.output
    await pieced.land(await changes_of(fresh_lake))
    # The newest day first: a build goes back as well as on.
    for tests, day in (("data", "2024-07-31"), ("none", "2024-03-01"), ("none", "2024-05-01")):
        variables = json.dumps({"as_of_date": day})
        await pieced.build("path:models path:seeds", "--tests", tests, "--vars", variables)
        rows = await pieced.rows(
            "SELECT kpi, period_start, numerator, denominator, value FROM ap.kpi WHERE as_of_date = $1 "
            "AND currency = 'DEM' AND member = 'all' AND grain <> 'month_end'",
            date.fromisoformat(day),
        )
        found = {
            (row["kpi"], str(row["period_start"])): (row["numerator"], row["denominator"], row["value"])
            for row in rows
        }
        expected = EXPECTED[day]
        assert {key: found.get(key) for key in expected} == expected, day
        assert ABSENT.get(day) not in {name for name, _ in found}
        # The rows that the catalogue names add up on every day, those of what the history lacks among them.
        assert await differences(pieced.database) == []
        assert await differences(pieced.database, "loans_without_disbursement_date") == []
        if day == "2024-03-01":
            assert await differences(pieced.database, "applications_without_score") == []
    undated = await pieced.rows(
        "SELECT m.disbursed_on, m.months_on_book, m.outstanding_principal FROM dm.fact_loan_month AS m "
        "WHERE m.snapshot_kind = 'as_of' AND m.originated_amount = 600"
    )
    assert undated == [{"disbursed_on": None, "months_on_book": None, "outstanding_principal": Decimal(300)}]
    vintages = await pieced.rows("SELECT DISTINCT denominator, loans FROM ap.vintage")
    assert vintages == [{"denominator": Decimal(1200), "loans": 1}]
