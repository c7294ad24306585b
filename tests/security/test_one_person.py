"""Attacks by one person with several roles, who approves, books, writes off and corrects a loan of their own choice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from services.lake.domain.roles import Role
from tests.conftest import Database
from tests.integration.lending import Lending, User, assert_problem

EVERY_ROLE = sorted(set(Role) - {Role.MAKER, Role.ADMINISTRATOR})
WISHES: dict[str, dict[str, Any]] = {
    "write-off": {"amount": "100"},
    "classification": {"classification": "default"},
}


@pytest.fixture(scope="module")
async def lending(lake: Database, application: Database) -> AsyncIterator[Lending]:
    """Intake, approval and search over this module's databases."""
    async with Lending.over(lake, application) as made:
        yield made


async def booked_by(lending: Lending, person: User) -> str:
    """A loan that this person approved and booked."""
    view = await lending.submitted(lending.user("maker"))
    assert (await lending.decide(person, view["id"], 1)).status_code == 200
    booked = await lending.book(person, view["id"], 2, {})
    assert booked.status_code == 200, booked.text
    return str(booked.json()["loan_id"])


async def state(lending: Lending, loan_id: str) -> tuple[str, str, bool, bool, int]:
    """What the loan's numbers rest on."""
    headers = lending.user("auditor").headers
    view = (await lending.intake.get(f"/loans/{loan_id}", headers=headers)).json()
    return (
        *(view["written_off"], view["recovered"]),
        *(view["defaulted"], view["restructured"], len(view["transactions"])),
    )


@pytest.mark.parametrize(
    "roles", [("officer", "servicing"), tuple(EVERY_ROLE)], ids=["two roles", "every role"]
)
@pytest.mark.parametrize("kind", WISHES)
async def test_one_person_does_not_write_off_what_they_approved_and_booked(
    lending: Lending, roles: tuple[str, ...], kind: str
) -> None:
    villain = lending.user(*roles)
    loan_id = await booked_by(lending, villain)
    before = await state(lending, loan_id)
    own = await lending.propose(villain, loan_id, kind, **WISHES[kind])
    assert own.status_code == 201
    theirs = await lending.propose(lending.user("servicing"), loan_id, kind, **WISHES[kind])
    for proposal in (own.json()["id"], theirs.json()["id"]):
        assert_problem(await lending.settle(villain, proposal), 403)
    assert await state(lending, loan_id) == before


@pytest.mark.parametrize("kind", ["write-off", "recovery", "reversal", "disbursement"])
async def test_no_other_way_records_what_takes_two(lending: Lending, kind: str) -> None:
    villain = lending.user(*EVERY_ROLE)
    loan_id = await booked_by(lending, villain)
    before = await state(lending, loan_id)
    headers = {**villain.headers, "Idempotency-Key": kind}
    for body in (
        {"kind": kind, "amount": "100", "currency": "DEM"},
        {"kind": "payment", "amount": "100", "currency": "DEM", "proposal_id": loan_id},
        {"kind": "payment", "amount": "100", "currency": "DEM", "confirmed_by": str(villain.id)},
    ):
        response = await lending.intake.post(f"/loans/{loan_id}/transactions", json=body, headers=headers)
        assert response.status_code == 422, response.text
    for client, method, path in (
        (lending.approval, "PATCH", f"/loans/{loan_id}"),
        (lending.intake, "PATCH", f"/loans/{loan_id}"),
    ):
        flags = await client.request(method, path, json={"defaulted": True}, headers=villain.headers)
        assert flags.status_code in {404, 405}, flags.text
    assert await state(lending, loan_id) == before


@pytest.mark.parametrize(
    "forged",
    [
        {"confirmed_by": "01890000-0000-7000-8000-000000000001"},
        {"proposed_by": "01890000-0000-7000-8000-000000000001"},
        {"state": "confirmed"},
        {"booked_by": "01890000-0000-7000-8000-000000000001"},
        {"revision": 2},
    ],
    ids=lambda body: next(iter(body)),
)
async def test_a_proposal_says_nothing_of_other_people(lending: Lending, forged: dict[str, Any]) -> None:
    villain = lending.user(*EVERY_ROLE)
    loan_id = await booked_by(lending, villain)
    refused = await lending.propose(villain, loan_id, "write-off", amount="100", **forged)
    assert_problem(refused, 422, f"/body/{next(iter(forged))}")


async def test_two_clerks_alone_write_nothing_off(lending: Lending) -> None:
    loan_id = await booked_by(lending, lending.user("officer"))
    proposed = await lending.propose(lending.user("servicing"), loan_id, "write-off", amount="100")
    answer: httpx.Response = await lending.settle(lending.user("servicing"), proposed.json()["id"])
    assert assert_problem(answer, 403)["reason"] == "role_of_band"


async def test_another_currency_or_amount_leads_to_no_smaller_band(lending: Lending) -> None:
    """Only what was proposed is recorded, and in the loan's currency."""
    loan_id = await booked_by(lending, lending.user("officer"))
    clerk = lending.user("servicing")
    refused = await lending.propose(clerk, loan_id, "write-off", amount="100", currency="JPY")
    assert_problem(refused, 422, "/body/currency")
    proposed = await lending.propose(clerk, loan_id, "write-off", amount="100")
    headers = {**lending.user("committee").headers, "If-Match": '"1"'}
    path = f"/proposals/{proposed.json()['id']}/confirmation"
    await lending.intake.post(path, json={"amount": "1000"}, headers=headers)
    assert (await state(lending, loan_id))[0] in {"0.0000", "100.0000"}
