"""Rates and risk parameters of a product are those of the day, whenever they are told and however corrected."""

from __future__ import annotations

import json
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import pytest

from services.lake.samples.reference import ALWAYS, PARAMETERS
from tests.warehouse.conftest import Change, Warehouse
from tests.warehouse.portfolio import AS_OF
from tests.warehouse.rows_of_kpis import differences

# It builds a whole warehouse, which takes minutes on a busy machine.
pytestmark = [pytest.mark.timeout(900), pytest.mark.long]

POSITION, OPERATION, KEY, IMAGE, CAPTURED = 0, 2, 3, 4, 8
SINCE, RATES = "valid_from", ("probability_of_default", "loss_given_default", "credit_conversion_factor")
Told = dict[tuple[str, date], tuple[Decimal, Decimal, Decimal, Decimal]]
"""By product and first day the rate, PD, LGD and CCF."""


def told(position: int, code: str, day: date, *of: str, gone: bool = False) -> Change:
    """Parameters of a product from a day on as the journal has them: rate, PD, LGD and CCF; or that they are gone."""
    names = ("interest_rate", *RATES)
    image = {
        "product_code": code,
        SINCE: day.isoformat(),
        **dict(zip(names, of, strict=False)),
        "created_at": "2026-09-15T06:00:00.000000",
    }
    return "product_parameters", (
        position,
        0,
        "d" if gone else "c",
        json.dumps([code, day.isoformat()]),
        None if gone else json.dumps(image),
        None,
        "test",
        None,
        datetime.combine(AS_OF, time(7)),
    )


def on(known: Told, code: str, day: date) -> tuple[Decimal | None, ...]:
    """What is so on a day: the row of the product that began last."""
    begun = [since for (product, since) in known if product == code and since <= day]
    return known[code, max(begun)] if begun else (None,) * 4


async def compare(warehouse: Warehouse, known: Told) -> int:
    """Compare every loan on every day, and every application, with what is known; the number of different values."""
    rows = await warehouse.rows(
        f"SELECT product_code, snapshot_date, {', '.join(RATES)} FROM dm.fact_loan_month"
    )
    assert len(rows) > 100
    for row in rows:
        assert (
            tuple(row[name] for name in RATES) == on(known, row["product_code"], row["snapshot_date"])[1:]
        ), row
    applications = await warehouse.rows(
        "SELECT product_code, last_submitted_at, product_interest_rate, probability_of_default, loss_given_default "
        "FROM dm.fact_decision WHERE version_count > 0"
    )
    assert len(applications) > 20
    for row in applications:
        expected = on(known, row["product_code"], row["last_submitted_at"].date())[:3]
        assert tuple(row.values())[2:] == expected, row
    overview = await warehouse.rows(
        "SELECT count(*) AS differing FROM dm.application_overview AS o INNER JOIN dm.fact_decision AS d "
        "ON d.application_id = o.application_id WHERE (o.product_interest_rate, o.probability_of_default) "
        "IS DISTINCT FROM (d.product_interest_rate, d.probability_of_default)"
    )
    assert overview == [{"differing": 0}]
    return len({tuple(row[name] for name in RATES) for row in rows})


def exact(*of: str) -> tuple[Decimal, ...]:
    """The numbers of a row."""
    return tuple(map(Decimal, of))


async def test_parameters_are_those_of_the_day(copied: Warehouse) -> None:
    known: dict[tuple[str, date], Any] = {
        (row["product_code"], row[SINCE]): tuple(row[name] for name in ("interest_rate", *RATES))
        for row in PARAMETERS
    }
    position = 10**6
    assert await compare(copied, known) == len(PARAMETERS)

    # From a day of the past on, and from one that is still to come; then corrected, once for an earlier day and once
    # with another value. Of one product nothing is left but a row of August, of another nothing at all.
    first, august, later = date(2026, 5, 20), date(2026, 8, 31), date(2026, 12, 1)
    await copied.land(
        [
            told(position, "CONSUMER", first, "0.091", "0.05", "0.4", "0.5"),
            told(position + 1, "CONSUMER", later, "0.1", "0.9", "0.9", "1"),
        ]
    )
    await copied.land(
        [
            told(position + 2, "CONSUMER", date(2026, 3, 31), "0.09", "0.02", "0.4", "0"),
            told(position + 3, "CONSUMER", first, "0.091", "0.06", "0.4", "0.5"),
            told(position + 4, "CAR", august, "0.07", "0.03", "0.3", "0"),
            told(position + 5, "CAR", ALWAYS, gone=True),
            told(position + 6, "EDUCATION", ALWAYS, gone=True),
        ]
    )
    known["CONSUMER", date(2026, 3, 31)] = exact("0.09", "0.02", "0.4", "0")
    known["CONSUMER", first] = exact("0.091", "0.06", "0.4", "0.5")
    known["CAR", august] = exact("0.07", "0.03", "0.3", "0")
    del known["CAR", ALWAYS], known["EDUCATION", ALWAYS]
    await copied.build()  # with the tests of the data
    assert await compare(copied, known) > len(PARAMETERS)

    # A loan of unknown risk is in no expected loss, in every other number, and counted.
    losses = await copied.rows(
        "SELECT as_of_date FROM ap.expected_loss WHERE product_code = 'CAR' AND grain = 'month_end'"
    )
    assert {row["as_of_date"] for row in losses} == {august}
    (left_out,) = await copied.rows("SELECT denominator FROM ap.kpi WHERE kpi = 'loans_without_parameters'")
    (loans,) = await copied.rows(
        "SELECT count(*) AS open FROM dm.fact_loan_month WHERE snapshot_kind = 'as_of' AND status = 'open' "
        "AND product_code = 'EDUCATION'"
    )
    assert left_out["denominator"] == loans["open"] > 0
    assert await differences(copied.database, "loans_without_parameters", "expected_loss") == []

    found = await copied.checksums("dm", "ap")
    await copied.models("--full-refresh")
    assert await copied.checksums("dm", "ap") == found
