"""The approved version is booked: its parties are frozen with it, and compared before each decision and booking."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import asyncpg
import httpx
import pytest

from tests.integration.lending import Lending, User, assert_problem

PERSON = {"full_name": "Nguyễn Văn Đạt", "birth_date": "1990-02-03", "national_id": "079090001234"}
CHANGES = {"full_name": "Lê Văn Khác", "birth_date": "1991-02-03", "national_id": "079090009999"}


async def submit(lending: Lending, maker: User) -> tuple[str, str]:
    """Submit an application of a borrower with all details; (application, borrower)."""
    # Of each borrower another: a national id that is on record is refused.
    for person in (PERSON, CHANGES):
        person["national_id"] = f"{uuid.uuid4().int % 10**12:012d}"
    party = await lending.party(maker, **PERSON)
    view = await lending.submitted(maker, parties=[{"party_id": party, "role": "borrower"}])
    return view["id"], party


async def change(
    lending: Lending, user: User, party: str, body: dict[str, Any], revision: int = 1
) -> httpx.Response:
    headers = {**user.headers, "If-Match": f'"{revision}"'}
    return await lending.intake.patch(f"/parties/{party}", json=body, headers=headers)


async def frozen(lending: Lending, application_id: str) -> list[asyncpg.Record]:
    async with lending.lake.connect() as connection:
        return await connection.fetch(
            "SELECT * FROM credit.application_version_party WHERE application_id = $1 ORDER BY version",
            uuid.UUID(application_id),
        )


def assert_changed(response: httpx.Response, party: str, *fields: str) -> dict[str, Any]:
    body = assert_problem(response, 409)
    assert (body["type"], body["reason"]) == ("urn:creditmesh:problem:parties-changed", "parties_changed")
    (one,) = body["parties"]
    assert (one["party_id"], one["role"], one["fields"]) == (party, "borrower", list(fields))
    found: dict[str, Any] = one
    return found


async def test_a_version_keeps_who_took_part_and_no_service_can_change_it(lending: Lending) -> None:
    maker = lending.user("maker")
    application_id, party = await submit(lending, maker)
    (row,) = await frozen(lending, application_id)
    assert {name: str(row[name]) for name in PERSON} == PERSON
    assert (str(row["party_id"]), row["party_revision"], row["origin"]) == (party, 1, "submitted")
    for login in ("intake", "approval"):
        async with lending.lake.connect(login) as connection:
            for statement in ("UPDATE {} SET full_name = 'x'", "DELETE FROM {}"):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(statement.format("credit.application_version_party"))


@pytest.mark.parametrize("field", CHANGES)
async def test_booking_is_refused_while_a_party_is_not_as_it_was_approved(
    lending: Lending, field: str
) -> None:
    maker, officer = lending.user("maker"), lending.user("officer")
    application_id, party = await submit(lending, maker)
    await lending.decide(officer, application_id, 1)
    assert (await change(lending, maker, party, {field: CHANGES[field]})).status_code == 200
    one = assert_changed(await lending.book(officer, application_id, 2, {}), party, field)
    assert one["differences"] == [{"field": field, "before": PERSON[field], "after": CHANGES[field]}]
    record = await lending.approval.get(f"/applications/{application_id}", headers=officer.headers)
    assert (record.json()["state"], record.json()["parties"][0]["changed"]) == ("APPROVED", [field])
    # Changed back, it is what was approved.
    assert (await change(lending, maker, party, {field: PERSON[field]}, 2)).status_code == 200
    assert (await lending.book(officer, application_id, 2, {})).status_code == 200


async def test_how_a_party_can_be_reached_is_no_part_of_the_decision(lending: Lending) -> None:
    maker, officer = lending.user("maker"), lending.user("officer")
    application_id, party = await submit(lending, maker)
    await lending.decide(officer, application_id, 1)
    assert (await change(lending, maker, party, {"email": "new@example.com"})).status_code == 200
    assert (await lending.book(officer, application_id, 2, {})).status_code == 200


async def test_no_stage_approves_what_was_not_submitted_but_it_can_be_returned_and_rejected(
    lending: Lending,
) -> None:
    maker, officer = lending.user("maker"), lending.user("officer")
    for outcome, state in (("return", "RETURNED"), ("reject", "REJECTED")):
        application_id, party = await submit(lending, maker)
        await change(lending, maker, party, {"national_id": None})
        assert_changed(await lending.decide(officer, application_id, 1), party, "national_id")
        decided = await lending.decide(officer, application_id, 1, outcome, reason_code="data_inconsistent")
        assert (decided.status_code, decided.json()["state"]) == (200, state)


async def test_an_approval_is_taken_back_resubmitted_and_decided_again(lending: Lending) -> None:
    maker, officer = lending.user("maker"), lending.user("officer")
    application_id, party = await submit(lending, maker)
    await lending.decide(officer, application_id, 1)
    await change(lending, maker, party, {"full_name": CHANGES["full_name"]})
    assert_problem(await lending.decide(officer, application_id, 2, "return"), 422, "/body")
    stale = await lending.decide(officer, application_id, 1, "return", reason_code="data_inconsistent")
    assert_problem(stale, 412)
    own = await lending.decide(
        lending.user("maker", "officer", id=maker.id), application_id, 2, "return", reason_code="other"
    )
    assert_problem(own, 403)
    returned = await lending.decide(
        officer, application_id, 2, "return", reason_code="data_inconsistent", comment="name"
    )
    record = returned.json()
    assert (returned.status_code, record["state"], record["decided_at"]) == (200, "RETURNED", None)
    # No stage has decided: the decisions on the version stay those that were made.
    assert [one["outcome"] for one in record["decisions"]] == ["approve"]
    last = record["events"][-1]
    assert (last["from_state"], last["to_state"], last["role"]) == ("APPROVED", "RETURNED", "officer")
    assert (last["actor"], last["reason_code"], last["comment"]) == (
        str(officer.id),
        "data_inconsistent",
        "name",
    )
    assert_problem(await lending.book(officer, application_id, 3, {}), 409)

    resubmitted = await lending.act(lending.intake, maker, application_id, "submission", 3)
    assert (resubmitted.status_code, resubmitted.json()["version"]) == (200, 2)
    old, new = await frozen(lending, application_id)
    assert (old["full_name"], new["full_name"]) == (PERSON["full_name"], CHANGES["full_name"])
    assert new["party_revision"] == 2
    assert (await lending.decide(officer, application_id, 4)).json()["state"] == "APPROVED"
    assert (await lending.book(officer, application_id, 5, {})).status_code == 200


async def test_values_are_shown_only_to_who_may_read_parties(lending: Lending) -> None:
    maker, officer = lending.user("maker"), uuid.uuid4()
    application_id, party = await submit(lending, maker)
    await change(lending, maker, party, {"national_id": CHANGES["national_id"]})
    headers = lending.tokens.headers(scopes={"applications:decide"}, roles=["officer"], user=officer)
    refused = await lending.decide(User(headers, officer), application_id, 1)
    one = assert_changed(refused, party, "national_id")
    assert "differences" not in one
    assert CHANGES["national_id"] not in refused.text


async def test_a_version_of_which_nothing_was_kept_is_not_approved(lending: Lending) -> None:
    application_id, party = await submit(lending, lending.user("maker"))
    async with lending.lake.connect() as connection:
        await connection.execute(
            "DELETE FROM credit.application_version_party WHERE application_id = $1",
            uuid.UUID(application_id),
        )
    refused = await lending.decide(lending.user("officer"), application_id, 1)
    assert_changed(refused, party, "kind", "full_name", "birth_date", "national_id")


async def test_of_a_change_and_a_booking_at_once_one_wins(lending: Lending) -> None:
    maker, officer = lending.user("maker"), lending.user("officer")
    seen = set()
    for first in (True, False) * 6:
        application_id, party = await submit(lending, maker)
        await lending.decide(officer, application_id, 1)

        async def book(application_id: str = application_id, late: float = 0.0 if first else 0.01) -> Any:
            await asyncio.sleep(late)
            return await lending.book(officer, application_id, 2, {})

        async def alter(party: str = party, late: float = 0.01 if first else 0.0) -> Any:
            await asyncio.sleep(late)
            return await change(lending, maker, party, {"full_name": CHANGES["full_name"]})

        booked, changed = await asyncio.gather(book(), alter())
        seen.add((booked.status_code, changed.status_code))
    # Booked first: the party belongs to an officer. Changed first: it is not what was approved.
    assert seen <= {(200, 403), (409, 200)}, seen


async def test_who_holds_a_party_for_too_long_makes_others_come_again(lending: Lending) -> None:
    maker, officer = lending.user("maker"), lending.user("officer")
    application_id, party = await submit(lending, maker)
    async with lending.lake.connect() as other, other.transaction():
        await other.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"party:{party}")
        decided, changed = await asyncio.gather(
            lending.decide(officer, application_id, 1),
            change(lending, maker, party, {"phone": "+84 24 3825 2916"}),
        )
        for busy in (decided, changed):
            assert_problem(busy, 503)
            assert busy.headers["Retry-After"]
    assert (await lending.decide(officer, application_id, 1)).status_code == 200
