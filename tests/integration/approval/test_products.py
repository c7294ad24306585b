"""Products' parameters by two people: proposed, confirmed, in force from their day on."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from tests.integration.lending import Lending, User, assert_problem

TODAY = datetime.now(UTC).date()


def after(days: int) -> date:
    """A day from now."""
    return TODAY + timedelta(days=days)


async def propose(lending: Lending, user: User, **changes: Any) -> httpx.Response:
    """POST a proposal."""
    body = {
        "product_code": "CAR",
        "valid_from": after(10).isoformat(),
        "interest_rate": "0.071",
        "probability_of_default": "0.03",
        "loss_given_default": "0.3",
        "credit_conversion_factor": 0,
        "reason": "the market",
        **changes,
    }
    return await lending.approval.post("/product-proposals", json=body, headers=user.headers)


async def settle(
    lending: Lending, user: User, proposal: dict[str, Any], what: str = "confirmation", revision: int = 1
) -> httpx.Response:
    """POST what becomes of a proposal."""
    return await lending.approval.post(
        f"/product-proposals/{proposal['id']}/{what}",
        json={"comment": "too high"} if what == "rejection" else None,
        headers={**user.headers, "If-Match": f'"{revision}"'},
    )


async def parameters(lending: Lending, product: str, valid_from: date) -> Any:
    """The rate that a product has from a day on."""
    async with lending.lake.connect() as owner:
        return await owner.fetchval(
            "SELECT interest_rate FROM credit.product_parameters WHERE product_code = $1 AND valid_from = $2",
            product,
            valid_from,
        )


async def test_what_another_person_confirms_is_in_force_from_its_day_on(lending: Lending) -> None:
    senior, committee = lending.user("senior_officer"), lending.user("committee")
    made = await propose(lending, senior)
    assert (made.status_code, made.headers["ETag"]) == (201, '"1"'), made.text
    proposal = made.json()
    assert made.headers["Location"] == f"/product-proposals/{proposal['id']}"
    assert (proposal["interest_rate"], proposal["replaces"]["interest_rate"]) == ("0.071", "0.069000")
    assert await parameters(lending, "CAR", after(10)) is None

    settled = await settle(lending, committee, proposal)
    assert (settled.status_code, settled.json()["state"], settled.headers["ETag"]) == (
        200,
        "confirmed",
        '"2"',
    )
    assert str(await parameters(lending, "CAR", after(10))) == "0.071000"
    async with lending.lake.connect() as owner:
        actor = await owner.fetchval(
            "SELECT actor FROM journal.change WHERE table_name = 'credit.product_parameters' "
            "ORDER BY position DESC LIMIT 1"
        )
    assert actor == str(committee.id)
    read = await lending.approval.get(
        f"/product-proposals/{proposal['id']}", headers=lending.user("auditor").headers
    )
    assert (read.json()["confirmed_by"], read.json()["proposed_by"]) == (str(committee.id), str(senior.id))


async def test_nobody_confirms_or_rejects_their_own_and_only_the_committee_others(lending: Lending) -> None:
    committee = lending.user("committee")
    proposal = (await propose(lending, committee, valid_from=after(20).isoformat())).json()
    for what in ("confirmation", "rejection"):
        own = await settle(lending, committee, proposal, what)
        assert assert_problem(own, 403)["type"].endswith("second-person-needed")
        for role in ("senior_officer", "officer", "maker", "administrator"):
            assert_problem(await settle(lending, lending.user(role), proposal, what), 403)
    assert_problem(await settle(lending, lending.user("senior_officer"), proposal, "withdrawal"), 403)
    assert_problem(await propose(lending, lending.user("officer")), 403)
    assert (await settle(lending, committee, proposal, "withdrawal")).json()["state"] == "withdrawn"
    assert_problem(await settle(lending, lending.user("committee"), proposal, revision=2), 409)


async def test_a_rejected_proposal_changes_nothing_and_can_be_made_again(lending: Lending) -> None:
    senior, committee = lending.user("senior_officer"), lending.user("committee")
    day = after(30)
    proposal = (await propose(lending, senior, valid_from=day.isoformat())).json()
    again = await propose(lending, senior, valid_from=day.isoformat())
    assert assert_problem(again, 409)["proposal_id"] == proposal["id"]
    assert_problem(await settle(lending, committee, proposal, "rejection", 7), 412)
    rejected = (await settle(lending, committee, proposal, "rejection")).json()
    assert (rejected["state"], rejected["comment"], rejected["refused_by"]) == (
        "rejected",
        "too high",
        str(committee.id),
    )
    assert await parameters(lending, "CAR", day) is None
    assert (await propose(lending, senior, valid_from=day.isoformat())).status_code == 201


async def test_of_two_confirmations_one_succeeds(lending: Lending) -> None:
    day = after(40)
    proposal = (await propose(lending, lending.user("senior_officer"), valid_from=day.isoformat())).json()
    answers = await asyncio.gather(*(settle(lending, lending.user("committee"), proposal) for _ in range(4)))
    assert sorted(one.status_code for one in answers) == [200, 412, 412, 412]
    taken = await propose(lending, lending.user("senior_officer"), valid_from=day.isoformat())
    assert assert_problem(taken, 409)["type"].endswith("day-taken")


async def test_a_proposal_whose_day_has_come_is_not_confirmed(lending: Lending) -> None:
    proposal = (
        await propose(lending, lending.user("senior_officer"), valid_from=after(50).isoformat())
    ).json()
    async with lending.lake.connect() as owner:
        await owner.execute(
            "UPDATE approval.product_proposal SET valid_from = $2 WHERE id = $1",
            uuid.UUID(proposal["id"]),
            TODAY,
        )
    late = await settle(lending, lending.user("committee"), proposal)
    assert assert_problem(late, 409)["type"].endswith("day-over")
    assert await parameters(lending, "CAR", TODAY) is None


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"valid_from": TODAY.isoformat()}, "/body/valid_from"),
        ({"product_code": "NONE"}, "/body/product_code"),
        ({"interest_rate": "8.9e-2"}, "/body/interest_rate"),
        ({"interest_rate": "10.1"}, "/body/interest_rate"),
        ({"interest_rate": "-0.1"}, "/body/interest_rate"),
        ({"probability_of_default": "1.000001"}, "/body/probability_of_default"),
        ({"loss_given_default": "0.1234567"}, "/body/loss_given_default"),
        ({"credit_conversion_factor": True}, "/body/credit_conversion_factor"),
        ({"reason": " "}, "/body/reason"),
        ({"state": "confirmed"}, "/body/state"),
        ({"confirmed_by": str(uuid.UUID(int=1))}, "/body/confirmed_by"),
    ],
)
async def test_a_bad_proposal_is_pointed_at(lending: Lending, changes: dict[str, Any], pointer: str) -> None:
    assert_problem(await propose(lending, lending.user("committee"), **changes), 422, pointer)


async def test_the_list_is_filtered_and_paged(lending: Lending) -> None:
    senior = lending.user("senior_officer")
    made = [
        (await propose(lending, senior, product_code="EDUCATION", valid_from=after(day).isoformat())).json()[
            "id"
        ]
        for day in (60, 61, 62)
    ]
    await settle(lending, senior, {"id": made[1]}, "withdrawal")
    for state, expected in (("waiting", [made[0], made[2]]), (None, made)):
        found, follow = [], None
        while True:
            asked = {"product": "EDUCATION", "state": state, "limit": 1, "after": follow}
            parameters = {name: value for name, value in asked.items() if value is not None}
            page = (
                await lending.approval.get("/product-proposals", params=parameters, headers=senior.headers)
            ).json()
            found += [one["id"] for one in page["items"]]
            follow = page["next"]
            if follow is None:
                break
        assert found == expected


async def test_the_database_takes_no_confirmation_of_ones_own(lending: Lending) -> None:
    senior = lending.user("senior_officer")
    proposal = (await propose(lending, senior, valid_from=after(70).isoformat())).json()
    async with lending.lake.connect("approval") as connection:
        for statement, error in (
            (
                "UPDATE approval.product_proposal SET state = 'confirmed', confirmed_by = proposed_by, "
                "confirmed_at = proposed_at WHERE id = $1",
                asyncpg.CheckViolationError,
            ),
            (
                "UPDATE approval.product_proposal SET state = 'confirmed' WHERE id = $1",
                asyncpg.CheckViolationError,
            ),
            (
                "UPDATE approval.product_proposal SET interest_rate = 0 WHERE id = $1",
                asyncpg.InsufficientPrivilegeError,
            ),
            ("DELETE FROM approval.product_proposal WHERE id = $1", asyncpg.InsufficientPrivilegeError),
        ):
            with pytest.raises(error):
                await connection.execute(statement, uuid.UUID(proposal["id"]))
