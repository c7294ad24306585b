"""Booking: an approved application becomes a loan with a schedule and a disbursement, once."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import pytest

from tests.integration.lending import VALUE_DATE_DAYS_BACK, Lending, assert_problem


def today() -> date:
    return datetime.now(UTC).date()


async def test_an_approved_application_is_booked_as_a_loan(lending: Lending) -> None:
    officer = lending.user("officer")
    view = await lending.submitted(lending.user("maker"), amount="1200.50", term_months=12)
    await lending.decide(officer, view["id"], 1)
    response = await lending.act(lending.approval, officer, view["id"], "booking", 2)
    loan = response.json()
    assert (response.status_code, response.headers["ETag"]) == (200, '"3"')
    assert (loan["principal"], loan["currency"], loan["interest_rate"]) == ("1200.5000", "DEM", "0.089000")
    assert len(loan["instalments"]) == 12
    assert sum(Decimal(one["principal"]) for one in loan["instalments"]) == Decimal("1200.50")
    async with lending.lake.connect() as connection:
        identifier = uuid.UUID(loan["loan_id"])
        stored = await connection.fetchrow("SELECT * FROM credit.loan WHERE id = $1", identifier)
        schedule = await connection.fetch(
            "SELECT * FROM credit.instalment WHERE loan_id = $1 ORDER BY number", identifier
        )
        paid = await connection.fetch("SELECT * FROM credit.loan_transaction WHERE loan_id = $1", identifier)
        application = await connection.fetchrow(
            "SELECT * FROM credit.application WHERE id = $1", uuid.UUID(view["id"])
        )
    assert stored is not None
    assert application is not None
    assert (application["state"], application["revision"]) == ("BOOKED", 3)
    # Booked, but decided when it was approved.
    assert application["decided_at"] < stored["booked_at"]
    assert str(stored["borrower_id"]) == view["parties"][0]["party_id"]
    assert (stored["booked_by"], stored["restructured"], stored["defaulted"]) == (officer.id, False, False)
    assert [(row["number"], str(row["due_on"]), row["principal"]) for row in schedule] == [
        (one["number"], one["due_on"], Decimal(one["principal"])) for one in loan["instalments"]
    ]
    assert [(row["kind"], row["amount"]) for row in paid] == [("disbursement", Decimal("1200.50"))]


async def test_a_loan_has_the_rate_of_the_day_it_was_approved_on(lending: Lending) -> None:
    officer = lending.user("officer")
    approved = []
    for _ in range(2):
        view = await lending.submitted(lending.user("maker"), product_code="EDUCATION")
        await lending.decide(officer, view["id"], 1)
        approved.append(view["id"])
    back = today() - timedelta(days=10)
    told = (
        "INSERT INTO credit.product_parameters SELECT product_code, $1, $2, probability_of_default, "
        "loss_given_default, credit_conversion_factor, created_at FROM credit.product_parameters "
        "WHERE product_code = 'EDUCATION' AND valid_from = '1900-01-01'"
    )
    async with lending.lake.connect() as connection:
        # Approved before today's rate was; and before anybody knew a rate.
        for day, identifier in ((back, approved[0]), (date(1899, 12, 31), approved[1])):
            await connection.execute(
                "UPDATE credit.application SET decided_at = $1 WHERE id = $2",
                datetime.combine(day, time(12)),
                uuid.UUID(identifier),
            )
        await connection.execute(told, back, Decimal("0.05"))
        await connection.execute(told, back + timedelta(days=1), Decimal("0.06"))
    loan = (await lending.act(lending.approval, officer, approved[0], "booking", 2)).json()
    assert loan["interest_rate"] == "0.050000"
    assert loan["value_date"] == today().isoformat()
    refused = await lending.act(lending.approval, officer, approved[1], "booking", 2)
    problem = assert_problem(refused, 409)
    assert "EDUCATION has no parameters on 1899-12-31" in problem["detail"]


async def test_it_is_booked_once(lending: Lending) -> None:
    officer = lending.user("officer")
    view = await lending.submitted(lending.user("maker"))
    await lending.decide(officer, view["id"], 1)
    responses = await asyncio.gather(
        *(lending.act(lending.approval, lending.user("officer"), view["id"], "booking", 2) for _ in range(3))
    )
    assert sorted(response.status_code for response in responses) == [200, 412, 412]
    refused = await lending.act(lending.approval, officer, view["id"], "booking", 3)
    assert assert_problem(refused, 409)["allowed"] == []


async def test_what_is_not_approved_is_not_booked(lending: Lending) -> None:
    officer = lending.user("officer")
    view = await lending.submitted(lending.user("maker"))
    refused = await lending.act(lending.approval, officer, view["id"], "booking", 1)
    assert assert_problem(refused, 409)["allowed"] == ["expire", "review", "withdraw"]
    missing = await lending.approval.post(f"/applications/{view['id']}/booking", headers=officer.headers)
    assert_problem(missing, 428)
    assert_problem(await lending.act(lending.approval, officer, str(uuid.uuid4()), "booking", 1), 404)


async def test_an_old_amount_with_decimals_that_its_currency_does_not_have_is_not_booked(
    lending: Lending,
) -> None:
    officer, view = lending.user("officer"), await lending.submitted(lending.user("maker"))
    await lending.decide(officer, view["id"], 1)
    constraint = "credit.application_version {} CONSTRAINT ck_application_version_minor_unit"
    async with lending.lake.connect() as connection:
        kept = await connection.fetchval(
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'ck_application_version_minor_unit'"
        )
        await connection.execute(f"ALTER TABLE {constraint.format('DROP')}")
        await connection.execute(
            "UPDATE credit.application_version SET amount = 1169.0001 WHERE application_id = $1",
            uuid.UUID(view["id"]),
        )
        await connection.execute(f"ALTER TABLE {constraint.format('ADD')} {kept}")
    problem = assert_problem(await lending.book(officer, view["id"], 2, {}), 409)
    assert problem["type"] == "urn:creditmesh:problem:amount-not-bookable"
    assert "DEM has at most 2 decimals" in problem["detail"]


async def test_a_loan_counts_from_its_value_date(lending: Lending) -> None:
    loan = await lending.booked(value_date=date(2025, 1, 31), amount="1000", term_months=3)
    assert [one["due_on"] for one in loan["instalments"]] == ["2025-02-28", "2025-03-31", "2025-04-30"]
    assert loan["value_date"] == "2025-01-31"
    async with lending.lake.connect() as connection:
        row = await connection.fetchrow(
            "SELECT t.effective_on, l.booked_at FROM credit.loan AS l JOIN credit.loan_transaction AS t "
            "ON t.loan_id = l.id WHERE l.id = $1",
            uuid.UUID(loan["loan_id"]),
        )
    assert row is not None
    # Dated back, but booked when it was booked.
    assert row["effective_on"] == date(2025, 1, 31)
    assert row["booked_at"].date() >= today() - timedelta(days=1)


@pytest.mark.parametrize("days", [-1, VALUE_DATE_DAYS_BACK + 1])
async def test_a_value_date_is_neither_ahead_nor_too_far_back(lending: Lending, days: int) -> None:
    view, officer = await lending.submitted(lending.user("maker")), lending.user("officer")
    await lending.decide(officer, view["id"], 1)
    # A day to spare, in case that it is midnight now.
    wanted = today() - timedelta(days=days + (1 if days > 0 else -1))
    refused = await lending.book(officer, view["id"], 2, {"value_date": wanted.isoformat()})
    problem = assert_problem(refused, 422, "/body/value_date")
    assert f"{wanted} is not from " in problem["errors"][0]["detail"]
    assert_problem(await lending.book(officer, view["id"], 2, {"value": "2025-01-01"}), 422, "/body/value")
    earliest = (today() - timedelta(days=VALUE_DATE_DAYS_BACK - 1)).isoformat()
    booked = await lending.book(officer, view["id"], 2, {"value_date": earliest})
    assert (booked.status_code, booked.json()["value_date"]) == (200, earliest)
