"""Claims: they warn others, end by time and by change, can be taken over, and never replace the revision."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from tests.integration.approval.test_queue import walked
from tests.integration.lending import Lending, User, assert_problem


async def claim(lending: Lending, user: User, identifier: str, reason: str | None = None) -> httpx.Response:
    """PUT a claim."""
    body = None if reason is None else {"reason": reason}
    return await lending.approval.put(f"/applications/{identifier}/claim", json=body, headers=user.headers)


async def release(lending: Lending, user: User, identifier: str) -> httpx.Response:
    """DELETE a claim."""
    return await lending.approval.delete(f"/applications/{identifier}/claim", headers=user.headers)


async def let_run(lending: Lending, identifier: str, minutes: int) -> None:
    """Have the claim begun this much earlier."""
    earlier = timedelta(minutes=minutes)
    async with lending.lake.connect() as owner:
        row = await owner.fetchrow(
            "SELECT claimed_at, expires_at FROM approval.claim WHERE application_id = $1",
            uuid.UUID(identifier),
        )
        assert row is not None
        await owner.execute(
            "UPDATE approval.claim SET claimed_at = $2, expires_at = $3 WHERE application_id = $1",
            uuid.UUID(identifier),
            row["claimed_at"] - earlier,
            row["expires_at"] - earlier,
        )


def left(until: Any) -> float:
    """The minutes until an instant."""
    return (datetime.fromisoformat(until) - datetime.now(UTC)).total_seconds() / 60


async def test_case_22_of_two_officers_at_once_one_gets_the_claim(lending: Lending) -> None:
    maker = lending.user("maker")
    for _ in range(5):
        view = await lending.submitted(maker)
        officers = [lending.user("officer") for _ in range(3)]
        answers = await asyncio.gather(*(claim(lending, one, view["id"]) for one in officers))
        assert sorted(one.status_code for one in answers) == [200, 409, 409]
        got = next(one.json() for one in answers if one.status_code == 200)
        assert 29 < left(got["claimed_until"]) <= 30
        for answer in answers:
            if answer.status_code == 409:
                told = assert_problem(answer, 409)
                assert told["type"].endswith("claimed-by-another")
                assert told["claimed_by"] == got["claimed_by"]
                assert datetime.fromisoformat(told["claimed_until"]) == datetime.fromisoformat(
                    got["claimed_until"]
                )


async def test_case_22_a_claim_warns_who_decides_until_it_expires(lending: Lending) -> None:
    first, second = lending.user("officer"), lending.user("officer")
    view = await lending.submitted(lending.user("maker"))
    assert (await claim(lending, first, view["id"])).status_code == 200
    told = assert_problem(await lending.decide(second, view["id"], 1), 409)
    assert (told["claimed_by"], told["type"].rpartition(":")[2]) == (str(first.id), "claimed-by-another")
    await let_run(lending, view["id"], 31)
    assert (await lending.decide(second, view["id"], 1)).status_code == 200


async def test_a_claim_never_replaces_the_revision(lending: Lending) -> None:
    officer = lending.user("officer")
    view = await lending.submitted(lending.user("maker"))
    await claim(lending, officer, view["id"])
    assert_problem(await lending.decide(officer, view["id"], 2), 412)
    assert (await lending.decide(officer, view["id"], 1)).status_code == 200


async def test_a_decision_ends_the_claim_and_the_next_stage_is_free(lending: Lending) -> None:
    officer, senior = lending.user("officer"), lending.user("senior_officer")
    view = await lending.submitted(lending.user("maker"), amount="4000")
    await claim(lending, officer, view["id"])
    record = (await lending.decide(officer, view["id"], 1)).json()
    assert (record["claimed_by"], record["claimed_until"]) == (None, None)
    async with lending.lake.connect() as owner:
        assert not await owner.fetchval(
            "SELECT count(*) FROM approval.claim WHERE application_id = $1", uuid.UUID(view["id"])
        )
    assert (await claim(lending, senior, view["id"])).status_code == 200


async def test_a_claim_ends_with_any_change_of_the_application(lending: Lending) -> None:
    """Somebody claims at the moment at which another one decides: the claim is of a revision that is over."""
    officer, senior = lending.user("officer"), lending.user("senior_officer")
    view = await lending.submitted(lending.user("maker"), amount="4000")
    await lending.decide(lending.user("officer"), view["id"], 1)
    async with lending.lake.connect() as owner:
        await owner.execute(
            "INSERT INTO approval.claim (application_id, revision, claimed_by, claimed_at, expires_at) "
            "VALUES ($1, 1, $2, $3, $4)",
            uuid.UUID(view["id"]),
            officer.id,
            (now := datetime.now(UTC).replace(tzinfo=None)),
            now + timedelta(minutes=30),
        )
    (item,) = [one for one in await walked(lending, senior) if one["id"] == view["id"]]
    assert item["claimed_by"] is None
    assert (await lending.decide(senior, view["id"], 2)).status_code == 200


async def test_case_22_a_senior_officer_takes_over_with_a_reason(lending: Lending) -> None:
    officer, senior = lending.user("officer"), lending.user("senior_officer", "officer")
    view = await lending.submitted(lending.user("maker"))
    await claim(lending, officer, view["id"])
    assert_problem(await claim(lending, senior, view["id"]), 409)
    theirs = await claim(lending, lending.user("officer"), view["id"], "mine")
    assert assert_problem(theirs, 403)["type"].endswith("take-over-not-yours")
    taken = (await claim(lending, senior, view["id"], "Olga is ill")).json()
    assert (taken["claimed_by"], taken["taken_from"], taken["reason"]) == (
        str(senior.id),
        str(officer.id),
        "Olga is ill",
    )
    told = assert_problem(await lending.decide(officer, view["id"], 1), 409)
    assert told["claimed_by"] == str(senior.id)
    assert_problem(await release(lending, officer, view["id"]), 409)
    assert (await lending.decide(senior, view["id"], 1)).status_code == 200


async def test_a_released_claim_is_free(lending: Lending) -> None:
    officer, other = lending.user("officer"), lending.user("officer")
    view = await lending.submitted(lending.user("maker"))
    assert (await release(lending, other, view["id"])).status_code == 204
    await claim(lending, officer, view["id"])
    assert_problem(await release(lending, other, view["id"]), 409)
    for _ in range(2):
        answer = await release(lending, officer, view["id"])
        assert (answer.status_code, answer.content) == (204, b"")
    assert (await claim(lending, other, view["id"])).status_code == 200


async def test_activity_renews_a_claim(lending: Lending) -> None:
    officer, other = lending.user("officer"), lending.user("officer")
    view = await lending.submitted(lending.user("maker"))
    path = f"/applications/{view['id']}"
    began = (await claim(lending, officer, view["id"])).json()

    async def until(user: User) -> Any:
        record = (await lending.approval.get(path, headers=user.headers)).json()
        assert record["claimed_by"] == str(officer.id)
        return record["claimed_until"]

    assert await until(officer) == began["claimed_until"]
    await let_run(lending, view["id"], 20)
    assert 9 < left(await until(other)) <= 10
    assert 29 < left(await until(officer)) <= 30
    assert 29 < left(await until(other)) <= 30
    await let_run(lending, view["id"], 5)
    renewed = (await claim(lending, officer, view["id"])).json()
    assert 29 < left(renewed["claimed_until"]) <= 30
    await let_run(lending, view["id"], 31)
    over = (await lending.approval.get(path, headers=officer.headers)).json()
    assert (over["claimed_by"], over["claimed_until"]) == (None, None)


async def test_the_queue_is_filtered_by_whose_claim_it_is(lending: Lending) -> None:
    maker, officer, other = lending.user("maker"), lending.user("officer"), lending.user("officer")
    mine, theirs, nobodys = [await lending.submitted(maker, amount="777") for _ in range(3)]
    await claim(lending, officer, mine["id"])
    await claim(lending, other, theirs["id"])
    amounts = {"amount_min": "777", "amount_max": "777"}
    found = {
        whose: [
            (one["id"], one["claimed_by"]) for one in await walked(lending, officer, claimed=whose, **amounts)
        ]
        for whose in ("mine", "others", "nobody")
    }
    assert found == {
        "mine": [(mine["id"], str(officer.id))],
        "others": [(theirs["id"], str(other.id))],
        "nobody": [(nobodys["id"], None)],
    }
    summary = await lending.approval.get("/queue/summary", params=amounts, headers=officer.headers)
    (counted,) = summary.json()["waiting"]
    assert (counted["count"], counted["claimed"]) == (3, 2)
    await let_run(lending, theirs["id"], 31)
    assert {one["id"] for one in await walked(lending, officer, claimed="nobody", **amounts)} == {
        theirs["id"],
        nobodys["id"],
    }


async def test_what_does_not_wait_is_not_claimed(lending: Lending) -> None:
    officer = lending.user("officer")
    view = await lending.submitted(lending.user("maker"))
    await lending.decide(lending.user("officer"), view["id"], 1)
    assert_problem(await claim(lending, officer, view["id"]), 409)
    assert_problem(await claim(lending, officer, str(uuid.uuid4())), 404)
    path = f"/applications/{view['id']}/claim"
    refused = await lending.approval.put(path, json={"reason": " "}, headers=officer.headers)
    assert_problem(refused, 422, "/body/reason")
