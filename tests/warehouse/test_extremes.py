"""The largest amounts and rates that the types of the lake admit go through every layer, and no sum overflows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal

import pytest

from tests.warehouse.conftest import Change, Warehouse
from tests.warehouse.portfolio import AS_OF

# It builds a whole warehouse, which takes minutes on a busy machine.
pytestmark = [pytest.mark.timeout(900), pytest.mark.long]

LARGEST, SMALLEST = "999999999999999.9999", "0.0001"
IMAGE = 4
# What each table's changes become: the largest amounts, and the rates that the checks of the flow file admit.
EXTREMES = {
    "loan": {"principal": LARGEST, "interest_rate": "1.000000", "term_months": "600"},
    "instalment": {"principal": LARGEST, "interest": LARGEST},
    "loan_transaction": {"amount": LARGEST},
    "application_version": {"amount": LARGEST, "term_months": "600"},
    "product": {
        "min_amount": SMALLEST,
        "max_amount": LARGEST,
    },
    "product_parameters": {
        "interest_rate": "1.000000",
        "probability_of_default": "1.000000",
        "loss_given_default": "1.000000",
        "credit_conversion_factor": "1.000000",
    },
}


def extreme(changes: Sequence[Change]) -> list[Change]:
    """The portfolio's changes with every amount at its largest; of some loans a part was disbursed only."""
    made: list[Change] = []
    for number, (table, values) in enumerate(changes):
        row = list(values)
        if row[IMAGE] is not None and table in EXTREMES:
            image = json.loads(row[IMAGE])
            image |= EXTREMES[table]
            if image.get("kind") == "disbursement" and number % 3 == 0:
                image["amount"] = SMALLEST
            row[IMAGE] = json.dumps(image)
        made.append((table, tuple(row)))
    return made


async def test_the_largest_amounts_of_the_lake_reach_ap(pieced: Warehouse, changes: Sequence[Change]) -> None:
    half = len(changes) // 2
    landed = extreme(changes)
    await pieced.land(landed[:half])
    await pieced.models()
    await pieced.land(landed[half:])
    await pieced.build()  # with the tests of the data

    # More than one payment of the largest amount on one loan: numeric(19, 4) has no room for their sum.
    paid: dict[str, Decimal] = {}
    undone = {
        json.loads(values[IMAGE])["reverses"]
        for table, values in landed
        if table == "loan_transaction" and json.loads(values[IMAGE])["kind"] == "reversal"
    }
    for table, values in landed:
        if table != "loan_transaction":
            continue
        image = json.loads(values[IMAGE])
        if (
            image["kind"] == "payment"
            and image["effective_on"] <= AS_OF.isoformat()
            and image["id"] not in undone
        ):
            loan = image["loan_id"]
            paid[loan] = paid.get(loan, Decimal(0)) + Decimal(image["amount"])
    rows = await pieced.rows(
        "SELECT loan_id, paid_amount, exposure_amount FROM dm.fact_loan_month WHERE snapshot_kind = 'as_of'"
    )
    compared = [row for row in rows if row["loan_id"] in paid]
    assert len(compared) > 20
    assert {row["loan_id"]: row["paid_amount"] for row in compared} == {
        row["loan_id"]: paid[row["loan_id"]] for row in compared
    }
    assert max(paid.values()) > 5 * Decimal(LARGEST)

    # Sums of the portfolio agree to the last digit, in every table of ap that has them.
    exposure = await pieced.rows(
        "SELECT currency, sum(exposure_amount) AS total FROM dm.fact_loan_month "
        "WHERE snapshot_kind = 'as_of' GROUP BY currency"
    )
    assert max(row["total"] for row in exposure) > 10 * Decimal(LARGEST)
    for table, column, only in (
        ("kpi", "numerator", "grain = 'as_of' AND kpi = 'exposure' AND dimension = 'all'"),
        ("kpi", "value", "grain = 'as_of' AND kpi = 'exposure' AND dimension = 'all'"),
        ("concentration", "denominator", "grain = 'as_of' AND kpi = 'hhi' AND dimension = 'borrower'"),
        ("expected_loss", "denominator", "grain = 'as_of'"),
    ):
        found = await pieced.rows(
            f"SELECT currency, sum({column}) AS total FROM ap.{table} WHERE {only} GROUP BY currency"
        )
        assert {row["currency"]: row["total"] for row in found if row["total"]} == {
            row["currency"]: row["total"] for row in exposure if row["total"]
        }, table
    # Every default costs everything at once: a probability of 1, of which nothing is recovered.
    (loss,) = await pieced.rows(
        "SELECT max(numerator / denominator) AS rate FROM ap.expected_loss WHERE grain = 'as_of' AND ifrs9_stage = 3"
    )
    assert loss["rate"] == 1
