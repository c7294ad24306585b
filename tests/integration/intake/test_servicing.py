"""Servicing over HTTP and a real lake: each transaction is recorded once and in order, despite concurrency."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from services.chassis.testing import span_recorder
from services.lake.database import Lake
from tests.integration.lending import Lending, User, assert_problem

VALUE_DATE = datetime.now(UTC).date() - timedelta(days=200)
DUE = VALUE_DATE + timedelta(days=31)


@pytest.fixture
async def loan(lending: Lending) -> dict[str, Any]:
    """A loan of 1,200 booked 200 days ago for 12 months."""
    return await lending.booked(value_date=VALUE_DATE, amount="1200", term_months=12)


async def record(
    lending: Lending,
    user: User,
    loan: dict[str, Any],
    kind: str,
    amount: str,
    *,
    key: str | None = None,
    on: date | None = DUE,
    **more: Any,
) -> httpx.Response:
    body: dict[str, Any] = {"kind": kind, "amount": amount, "currency": "DEM", **more}
    if on is not None:
        body["effective_on"] = on.isoformat()
    path = f"/loans/{loan['loan_id']}/transactions"
    return await lending.intake.post(path, json=body, headers=user.creating(key))


async def read(lending: Lending, loan: dict[str, Any]) -> dict[str, Any]:
    headers = lending.user("auditor").headers
    response = await lending.intake.get(f"/loans/{loan['loan_id']}", headers=headers)
    assert response.status_code == 200, response.text
    view: dict[str, Any] = response.json()
    return view


def assert_reason(response: httpx.Response, reason: str) -> None:
    """The loan as it stands does not take the transaction, for this reason."""
    assert assert_problem(response, 409)["reason"] == reason


async def test_a_loans_life_is_recorded_and_read(lending: Lending, loan: dict[str, Any]) -> None:
    clerk = lending.user("servicing")
    new = await read(lending, loan)
    assert (new["disbursed"], new["outstanding_principal"]) == ("1200.0000", "1200.0000")
    assert (new["value_date"], new["transactions"][0]["effective_on"]) == (VALUE_DATE.isoformat(),) * 2
    assert [{**one, "loan_id": None} for one in new["instalments"]] == [
        {**one, "loan_id": None} for one in loan["instalments"]
    ]
    first = new["instalments"][0]
    due = Decimal(first["principal"]) + Decimal(first["interest"])

    paid = await record(lending, clerk, loan, "payment", str(due), on=None)
    assert (paid.status_code, paid.headers["Location"]) == (201, f"/loans/{loan['loan_id']}")
    assert paid.json()["effective_on"] == datetime.now(UTC).date().isoformat()
    wrong = (await record(lending, clerk, loan, "payment", "77.5", on=None)).json()
    left = Decimal(1200) - Decimal(first["principal"])
    for kind, amount, more in (
        ("reversal", "77.50", {"reverses": wrong["id"]}),
        ("write-off", str(left), {}),
        ("recovery", "50", {}),
    ):
        done = await lending.by_two(clerk, loan["loan_id"], kind, amount=amount, **more)
        assert done.status_code == 200, done.text

    view = await read(lending, loan)
    assert [one["kind"] for one in view["transactions"]] == [
        "disbursement",
        "payment",
        "payment",
        "reversal",
        "write-off",
        "recovery",
    ]
    assert {one["recorded_by"] for one in view["transactions"][1:]} == {str(clerk.id)}
    sums = ("paid", "written_off", "recovered", "outstanding_principal")
    assert [Decimal(view[name]) for name in sums] == [due, left, Decimal(50), Decimal(0)]


async def test_what_the_loan_does_not_take_is_a_problem_and_writes_nothing(
    lending: Lending, loan: dict[str, Any]
) -> None:
    clerk = lending.user("servicing")
    before = await read(lending, loan)
    refused = assert_problem(
        await lending.propose(clerk, loan["loan_id"], "disbursement", amount="0.01"), 409
    )
    assert refused["type"] == "urn:creditmesh:problem:transaction-not-allowed"
    assert (refused["reason"], "0.00 DEM of the principal is not disbursed" in refused["detail"]) == (
        "principal_exceeded",
        True,
    )
    for kind in ("disbursement", "write-off", "recovery", "reversal"):
        alone = assert_problem(await record(lending, clerk, loan, kind, "10"), 422, "/body/kind")
        assert "POST /loans/{loan_id}/proposals" in alone["errors"][0]["detail"]
    tomorrow = datetime.now(UTC).date() + timedelta(days=2)
    for changes, pointers in (
        ({"on": tomorrow}, ["/body/effective_on"]),
        ({"on": VALUE_DATE - timedelta(days=1)}, ["/body/effective_on"]),
        ({"currency": "EUR"}, ["/body/currency"]),
        ({"reverses": str(uuid.uuid4())}, ["/body/reverses"]),
        ({"amount": "0"}, ["/body/amount"]),
        ({"amount": "0.0001"}, ["/body/amount"]),
        ({"amount": "999999999999999.9999"}, ["/body/amount"]),
        ({"amount": "1.00001"}, ["/body/amount"]),
        ({"kind": "gift"}, ["/body/kind"]),
        ({"colour": "red"}, ["/body/colour"]),
    ):
        fields = {"kind": "payment", "amount": "10", **changes}
        kind, amount = fields.pop("kind"), fields.pop("amount")
        assert_problem(await record(lending, clerk, loan, kind, amount, **fields), 422, *pointers)
    assert_problem(await record(lending, clerk, {"loan_id": uuid.uuid4()}, "payment", "1"), 404)
    assert await read(lending, loan) == before


async def test_a_loan_written_off_in_part_is_paid_on_and_one_written_off_whole_recovered(
    lending: Lending, loan: dict[str, Any]
) -> None:
    clerk, loan_id, day = lending.user("servicing"), loan["loan_id"], {"effective_on": DUE.isoformat()}

    async def by_two(kind: str, amount: object) -> httpx.Response:
        return await lending.by_two(clerk, loan_id, kind, amount=str(amount), **day)

    first, second = loan["instalments"][:2]
    due = Decimal(first["principal"]) + Decimal(first["interest"])
    assert (await by_two("write-off", 400)).status_code == 200
    assert_reason(await by_two("disbursement", 1), "written_off")
    assert (await record(lending, clerk, loan, "payment", str(due))).status_code == 201
    left = Decimal(1200 - 400) - Decimal(first["principal"])
    assert Decimal((await read(lending, loan))["outstanding_principal"]) == left
    # The rest is written off too: now nothing is outstanding, and what comes in is a recovery of the two.
    assert (await by_two("write-off", left)).status_code == 200
    assert_reason(await record(lending, clerk, loan, "payment", str(second["principal"])), "written_off")
    assert_reason(await by_two("recovery", 400 + left + Decimal("0.01")), "written_off_exceeded")
    assert (await by_two("recovery", 400 + left)).status_code == 200
    view = await read(lending, loan)
    sums = ("paid", "written_off", "recovered", "outstanding_principal")
    assert [Decimal(view[name]) for name in sums] == [due, 400 + left, 400 + left, 0]


async def test_a_payment_beyond_what_is_owed_is_shown_and_bounded(
    lending: Lending, loan: dict[str, Any]
) -> None:
    clerk = lending.user("servicing")
    owed = sum(Decimal(one["principal"]) + Decimal(one["interest"]) for one in loan["instalments"])
    tolerance = Decimal(180)  # 0.15 of 1,200
    refused = await record(lending, clerk, loan, "payment", str(owed + tolerance + Decimal("0.01")))
    problem = assert_problem(refused, 422, "/body/amount")
    assert f"is above the {owed + tolerance:,.2f} DEM that can be paid" in problem["errors"][0]["detail"]
    assert (await record(lending, clerk, loan, "payment", str(owed + 100))).status_code == 201
    view = await read(lending, loan)
    sums = ("overpaid", "outstanding_principal", "outstanding_interest")
    assert [Decimal(view[name]) for name in sums] == [100, 0, 0]
    assert_problem(await record(lending, clerk, loan, "payment", "80.01"), 422, "/body/amount")
    assert (await record(lending, clerk, loan, "payment", "80")).status_code == 201
    assert_problem(await record(lending, clerk, loan, "payment", "0.01"), 422, "/body/amount")


async def test_of_parallel_payments_only_as_many_pass_as_are_owed(
    lending: Lending, loan: dict[str, Any]
) -> None:
    clerks = [lending.user("servicing") for _ in range(5)]
    # What is owed and the tolerance are under 1,500: one of them fits.
    paid = await asyncio.gather(*(record(lending, one, loan, "payment", "1000") for one in clerks))
    assert Counter(response.status_code for response in paid) == {201: 1, 422: 4}


async def test_a_request_sent_again_is_answered_and_not_repeated(
    lending: Lending, loan: dict[str, Any]
) -> None:
    clerk, other = lending.user("servicing"), await lending.booked(value_date=VALUE_DATE)

    async def until_answered() -> httpx.Response:
        while (response := await record(lending, clerk, loan, "payment", "10", key="one")).status_code == 409:
            assert response.json()["type"] == "urn:creditmesh:problem:request-in-flight"
            await asyncio.sleep(0.05)
        return response

    responses = await asyncio.gather(*(until_answered() for _ in range(10)))
    assert len({response.content for response in responses}) == 1
    assert Counter(r.headers.get("Idempotency-Replayed") for r in responses) == {None: 1, "true": 9}
    assert (await read(lending, loan))["paid"] == "10.0000"
    # The loan is a part of the request, though it stands in the path.
    again = await record(lending, clerk, other, "payment", "10", key="one")
    assert_problem(again, 422, "/header/Idempotency-Key")
    headers = clerk.headers
    path = f"/loans/{loan['loan_id']}/transactions"
    assert_problem(await lending.intake.post(path, json={}, headers=headers), 400)


async def test_who_waits_too_long_for_a_loan_is_told_to_come_again(
    lending: Lending, loan: dict[str, Any]
) -> None:
    clerk = lending.user("servicing")
    lake = Lake.open(lending.lake.url("intake"), service="test-lock", pool_size=1)
    async with lake.transaction(actor="test") as other:
        assert await other.try_lock(f"loan:{loan['loan_id']}")
        busy = await record(lending, clerk, loan, "payment", "10", key="later")
        assert_problem(busy, 503)
        assert busy.headers["Retry-After"]
    await lake.dispose()
    assert (await record(lending, clerk, loan, "payment", "10", key="later")).status_code == 201


@pytest.mark.parametrize("role", ["maker", "officer", "senior_officer", "auditor", "administrator"])
async def test_only_servicing_records(lending: Lending, loan: dict[str, Any], role: str) -> None:
    assert_problem(await record(lending, lending.user(role), loan, "payment", "10"), 403)
    assert_problem(await lending.intake.get(f"/loans/{loan['loan_id']}"), 401)


async def test_recording_costs_two_spans_and_is_counted(lending: Lending, loan: dict[str, Any]) -> None:
    recorder = span_recorder()
    recorder.clear()
    await record(lending, lending.user("servicing"), loan, "payment", "10")
    assert recorder.names_beside("POST /loans/{loan_id}/transactions") == [
        "POST /loans/{loan_id}/transactions",
        "transaction lake",
    ]
    assert 'credit_loan_transactions_total{kind="payment"}' in (await lending.intake.get("/metrics")).text


async def test_loans_are_listed_in_pages_each_once(lending: Lending) -> None:
    booked = {(await lending.booked(value_date=VALUE_DATE))["loan_id"] for _ in range(3)}
    clerk = lending.user("servicing")
    found: list[dict[str, Any]] = []
    after: dict[str, str] = {}
    while True:
        page = await lending.intake.get("/loans", params={"limit": "2", **after}, headers=clerk.headers)
        assert page.status_code == 200, page.text
        found += page.json()["items"]
        if page.json()["next"] is None:
            break
        after = {"after": page.json()["next"]}
    assert len(found) == len({one["id"] for one in found})
    ours = [one for one in found if one["id"] in booked]
    assert len(ours) == 3
    for one in ours:
        view = await read(lending, {"loan_id": one["id"]})
        assert one == {name: view[name] for name in one if name != "transactions"} | {"transactions": 1}
        assert one["value_date"] == VALUE_DATE.isoformat()
    refused = await lending.intake.get("/loans", params={"after": "x", "limit": "0"}, headers=clerk.headers)
    assert_problem(refused, 422, "/query/after", "/query/limit")
