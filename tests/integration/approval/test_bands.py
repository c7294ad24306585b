"""Approval bands by two people: what is submitted from their day on is decided by them, what was before is not."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from tests.integration.approval.test_queue import seen
from tests.integration.lending import Lending, User, assert_problem

TODAY = datetime.now(UTC).date()
BANDS = [
    {"name": "all-2", "amount_from": "0", "amount_below": "9000", "stages": ["committee"]},
    {"name": "top-2", "amount_from": "9000", "stages": ["officer", "committee"]},
]


async def propose(lending: Lending, user: User, **changes: Any) -> httpx.Response:
    """POST a proposal."""
    body = {
        "currency": "DEM",
        "valid_from": (TODAY + timedelta(days=5)).isoformat(),
        "bands": BANDS,
        "reason": "fewer hands",
        **changes,
    }
    return await lending.approval.post("/band-proposals", json=body, headers=user.headers)


async def settle(
    lending: Lending, user: User, proposal: dict[str, Any], what: str = "confirmation"
) -> httpx.Response:
    """POST what becomes of a proposal."""
    return await lending.approval.post(
        f"/band-proposals/{proposal['id']}/{what}",
        json={"comment": "not now"} if what == "rejection" else None,
        headers={**user.headers, "If-Match": '"1"'},
    )


async def begin(lending: Lending, at: datetime) -> None:
    """Have the new bands begun at this instant already."""
    async with lending.lake.connect() as owner:
        await owner.execute(
            "UPDATE credit.approval_band SET counts_from = $1 WHERE counts_from IS NOT NULL", at
        )
        await owner.execute(
            "UPDATE credit.approval_band SET counts_until = $1 WHERE counts_until IS NOT NULL", at
        )


async def test_two_people_are_needed_and_a_rejection_changes_nothing(lending: Lending) -> None:
    committee = lending.user("committee")
    proposal = (await propose(lending, committee)).json()
    own = await settle(lending, committee, proposal)
    assert assert_problem(own, 403)["type"].endswith("second-person-needed")
    for role in ("senior_officer", "officer", "administrator"):
        assert_problem(await settle(lending, lending.user(role), proposal), 403)
    again = await propose(lending, lending.user("senior_officer"))
    assert assert_problem(again, 409)["proposal_id"] == proposal["id"]
    rejected = await settle(lending, lending.user("committee"), proposal, "rejection")
    assert rejected.json()["state"] == "rejected"
    bands = (await lending.approval.get("/bands", headers=committee.headers)).json()
    assert [band["name"] for band in bands] == ["small", "medium", "large"]


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"valid_from": TODAY.isoformat()}, "/body/valid_from"),
        ({"bands": []}, "/body/bands"),
        ({"bands": [{**BANDS[0], "name": "small"}, BANDS[1]]}, "/body/bands/0/name"),
        ({"bands": BANDS[:1]}, "/body/bands/0/amount_below"),
        ({"bands": [BANDS[0], {**BANDS[1], "stages": ["maker"]}]}, "/body/bands/1/stages"),
        ({"bands": [BANDS[0], {**BANDS[1], "stage": "x"}]}, "/body/bands/1/stage"),
        ({"currency": "XXX"}, "/body/currency"),
        ({"reason": ""}, "/body/reason"),
    ],
)
async def test_a_bad_proposal_is_pointed_at(lending: Lending, changes: dict[str, Any], pointer: str) -> None:
    assert_problem(await propose(lending, lending.user("committee"), **changes), 422, pointer)


async def test_new_bands_decide_on_what_is_submitted_from_their_day_on(lending: Lending) -> None:
    maker, officer, committee = lending.user("maker"), lending.user("officer"), lending.user("committee")
    old = await lending.submitted(maker, amount="4000")
    await lending.decide(officer, old["id"], 1)
    proposal = (await propose(lending, lending.user("senior_officer"))).json()
    confirmed = await settle(lending, committee, proposal)
    assert (confirmed.status_code, confirmed.json()["state"]) == (200, "confirmed"), confirmed.text
    bands = (await lending.approval.get("/bands", headers=committee.headers)).json()
    start = datetime.combine(TODAY + timedelta(days=5), datetime.min.time(), UTC)
    assert {
        band["name"]: tuple(
            value and datetime.fromisoformat(value) for value in (band["valid_from"], band["valid_to"])
        )
        for band in bands
    } == {
        **dict.fromkeys(("small", "medium", "large"), (None, start)),
        **dict.fromkeys(("all-2", "top-2"), (start, None)),
    }
    # Until that day the old ones count.
    before = await lending.submitted(maker, amount="4100")
    assert before["id"] in await seen(lending, officer)
    assert before["id"] not in await seen(lending, committee)

    await begin(lending, datetime.now(UTC).replace(tzinfo=None))
    new = await lending.submitted(maker, amount="4200")
    assert new["id"] in await seen(lending, committee)
    assert new["id"] not in await seen(lending, officer)
    assert before["id"] in await seen(lending, officer)
    record = (await lending.decide(committee, new["id"], 1)).json()
    assert (record["band"], record["state"]) == ("all-2", "APPROVED")
    # Its officer has decided: the stage of its own band is due, and none is lost.
    record = (await lending.decide(lending.user("senior_officer"), old["id"], 2)).json()
    assert (record["band"], record["state"]) == ("medium", "APPROVED")
    summary = (await lending.approval.get("/queue/summary", headers=officer.headers)).json()
    assert {one["band"] for one in summary["waiting"]} == {"medium"}
    without = (await lending.approval.get("/queue/without-band", headers=officer.headers)).json()
    assert without == []

    names = {"bands": [{**BANDS[0], "name": "all-3", "amount_below": None}]}
    past = await propose(lending, lending.user("senior_officer"), bands=BANDS)
    assert_problem(past, 422, "/body/bands/0/name", "/body/bands/1/name")
    follows = await propose(lending, lending.user("senior_officer"), **names)
    assert follows.status_code == 201, follows.text
    async with lending.lake.connect() as owner:
        await owner.execute(
            "UPDATE credit.approval_band SET counts_from = $1 WHERE band = 'all-2'",
            datetime.combine(TODAY + timedelta(days=9), datetime.min.time()),
        )
    late = await settle(lending, committee, follows.json())
    assert assert_problem(late, 409)["type"].endswith("day-taken")


async def test_a_band_is_ended_and_never_changed(lending: Lending) -> None:
    async with lending.lake.connect("approval") as connection:
        for statement in (
            "UPDATE credit.approval_band SET amount_below = 1",
            "UPDATE credit.approval_band SET stage = 'officer'",
            "DELETE FROM credit.approval_band",
            f"UPDATE approval.band_proposal SET bands = '[]' WHERE id = '{uuid.uuid4()}'",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
