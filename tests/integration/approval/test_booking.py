"""Booking: an approved application becomes a loan with a schedule and a disbursement, once."""

from __future__ import annotations

import asyncio
import uuid
from decimal import Decimal

from tests.integration.lending import Lending, assert_problem


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
