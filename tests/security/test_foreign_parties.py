"""Attacks on the basis of a decision: changes of parties by people who have no right to them."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.conftest import Database
from tests.integration.lending import Lending, User, assert_problem

FRAUD: list[dict[str, Any]] = [
    {"full_name": "Somebody Else"},
    {"national_id": "000000000000"},
    {"birth_date": "1970-01-01"},
    {"full_name": "Somebody Else", "national_id": "000000000001", "birth_date": None},
]


@pytest.fixture(scope="module")
async def lending(lake: Database, application: Database) -> AsyncIterator[Lending]:
    """Intake, approval and search over this module's databases."""
    async with Lending.over(lake, application) as made:
        yield made


def assert_refused(response: httpx.Response) -> None:
    """Forbidden, or not there for somebody who may not even see it."""
    assert_problem(response, 404 if response.status_code == 404 else 403)


async def approved(lending: Lending, maker: User) -> tuple[str, str]:
    party = await lending.party(maker, national_id=uuid.uuid4().hex, birth_date="1990-02-03")
    view = await lending.submitted(maker, parties=[{"party_id": party, "role": "borrower"}])
    assert (await lending.decide(lending.user("officer"), view["id"], 1)).status_code == 200
    return view["id"], party


@pytest.mark.parametrize("body", FRAUD, ids="+".join)
async def test_a_stranger_cannot_change_a_borrower_after_approval(
    lending: Lending, body: dict[str, Any]
) -> None:
    maker, officer = lending.user("maker"), lending.user("officer")
    application_id, party = await approved(lending, maker)
    for stranger in (lending.user("maker"), lending.user("maker", "servicing")):
        headers = {**stranger.headers, "If-Match": '"1"'}
        assert_refused(await lending.intake.patch(f"/parties/{party}", json=body, headers=headers))
    assert (await lending.book(officer, application_id, 2, {})).status_code == 200


@pytest.mark.parametrize("submit", [True, False], ids=["submitted", "draft"])
async def test_an_own_application_with_the_borrower_opens_no_way_to_change_it(
    lending: Lending, submit: bool
) -> None:
    _, party = await approved(lending, lending.user("maker"))
    thief = lending.user("maker")
    content = await lending.content(thief, parties=[{"party_id": party, "role": "borrower"}])
    # For the thief there is no such party.
    assert_problem(await lending.post(thief, {**content, "submit": submit}), 422, "/body/parties/0/party_id")
    headers = {**thief.headers, "If-Match": '"1"'}
    assert_refused(await lending.intake.patch(f"/parties/{party}", json=FRAUD[0], headers=headers))


@pytest.mark.parametrize("role", ["servicing", "auditor", "administrator"])
async def test_roles_that_neither_apply_nor_decide_change_nobody(lending: Lending, role: str) -> None:
    _, party = await approved(lending, lending.user("maker"))
    headers = {**lending.user(role).headers, "If-Match": '"1"'}
    assert_refused(await lending.intake.patch(f"/parties/{party}", json=FRAUD[0], headers=headers))


@pytest.mark.parametrize("body", FRAUD, ids="+".join)
async def test_even_an_officers_correction_is_not_booked_unseen(
    lending: Lending, body: dict[str, Any]
) -> None:
    application_id, party = await approved(lending, lending.user("maker"))
    officer = lending.user("officer")
    headers = {**officer.headers, "If-Match": '"1"'}
    assert (await lending.intake.patch(f"/parties/{party}", json=body, headers=headers)).status_code == 200
    for revision in (2, 1):
        refused = await lending.book(officer, application_id, revision, {})
        assert refused.status_code in {409, 412}, refused.text
    missing = {**officer.headers}
    assert_problem(await lending.intake.patch(f"/parties/{party}", json=body, headers=missing), 428)


async def test_after_booking_the_maker_asks_an_officer(lending: Lending) -> None:
    maker, officer = lending.user("maker"), lending.user("officer")
    application_id, party = await approved(lending, maker)
    assert (await lending.book(officer, application_id, 2, {})).status_code == 200
    headers = {**maker.headers, "If-Match": '"1"'}
    assert_problem(
        await lending.intake.patch(f"/parties/{party}", json={"phone": "+84 24 3825 2916"}, headers=headers),
        403,
    )
    headers = {**officer.headers, "If-Match": '"1"'}
    corrected = await lending.intake.patch(
        f"/parties/{party}", json={"phone": "+84 24 3825 2916"}, headers=headers
    )
    assert corrected.status_code == 200
    assert uuid.UUID(corrected.json()["id"]) == uuid.UUID(party)
