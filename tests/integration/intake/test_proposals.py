"""Changes of a loan that need two people: one proposes, another confirms, and the confirmation makes the change."""

from __future__ import annotations

import uuid
from datetime import timedelta
from decimal import Decimal
from typing import Any

import asyncpg
import httpx
import pytest

from tests.integration.intake.proposing import assert_reason, loan_of, proposed, read, today
from tests.integration.lending import Lending, assert_problem


async def test_a_loan_is_written_off_recovered_and_corrected_by_two(
    lending: Lending, loan: dict[str, Any]
) -> None:
    clerk, committee = lending.user("servicing"), lending.user("committee")
    answer = await lending.propose(clerk, loan["loan_id"], "write-off", amount="1200")
    proposal = answer.json()
    assert (answer.status_code, answer.headers["ETag"]) == (201, '"1"')
    assert answer.headers["Location"] == f"/proposals/{proposal['id']}"
    assert (proposal["state"], proposal["proposed_by"]) == ("waiting", str(clerk.id))
    assert proposal["effective_on"] == today().isoformat()
    before = await loan_of(lending, loan)
    assert (before["written_off"], len(before["transactions"])) == ("0.0000", 1), "nothing counts yet"

    confirmed = await lending.settle(committee, proposal["id"])
    assert (confirmed.status_code, confirmed.headers["ETag"]) == (200, '"2"')
    assert (confirmed.json()["state"], confirmed.json()["confirmed_by"]) == ("confirmed", str(committee.id))
    assert await read(lending, f"/proposals/{proposal['id']}") == confirmed.json()
    written = await loan_of(lending, loan)
    assert (written["written_off"], written["outstanding_principal"]) == ("1200.0000", "0.0000")
    last = written["transactions"][-1]
    assert (last["proposal_id"], last["recorded_by"], last["confirmed_by"]) == (
        proposal["id"],
        str(clerk.id),
        str(committee.id),
    )
    (written_off,) = await read(lending, f"/loans/{loan['loan_id']}/classifications")
    assert (written_off["classification"], written_off["effective_from"], written_off["effective_to"]) == (
        "written-off",
        today().isoformat(),
        None,
    )

    recovered = await proposed(lending, loan, "recovery", amount="50")
    assert (await lending.settle(lending.user("servicing"), recovered["id"])).status_code == 200
    (back,) = [one for one in (await loan_of(lending, loan))["transactions"] if one["kind"] == "recovery"]
    for undone, amount in ((back, "50"), (last, "1200")):
        body = {"amount": amount, "reverses": undone["id"]}
        reversal = await proposed(lending, loan, "reversal", **body)
        assert (await lending.settle(lending.user("servicing"), reversal["id"])).status_code == 200
    view = await loan_of(lending, loan)
    assert [Decimal(view[name]) for name in ("written_off", "recovered", "outstanding_principal")] == [
        0,
        0,
        1200,
    ]
    (ended,) = await read(lending, f"/loans/{loan['loan_id']}/classifications")
    assert (ended["effective_to"], ended["ending_proposal_id"]) == (today().isoformat(), reversal["id"])
    kinds = [one["kind"] for one in (await read(lending, f"/loans/{loan['loan_id']}/proposals"))["items"]]
    assert kinds == ["write-off", "recovery", "reversal", "reversal"]


async def test_a_classification_has_its_days_and_sets_the_flag(
    lending: Lending, loan: dict[str, Any]
) -> None:
    clerk, first, second = (
        lending.user("servicing"),
        today() - timedelta(days=90),
        today() - timedelta(days=30),
    )

    async def classify(*, ends: bool, on: Any, what: str = "default") -> httpx.Response:
        body = {"classification": what, "ends": ends, "effective_on": on.isoformat()}
        return await lending.by_two(clerk, loan["loan_id"], "classification", **body)

    assert_problem(await classify(ends=True, on=first), 409)
    assert (await classify(ends=False, on=first)).status_code == 200
    assert (await loan_of(lending, loan))["defaulted"]
    assert_problem(await classify(ends=False, on=second), 409)
    assert_problem(await classify(ends=True, on=first - timedelta(days=1)), 422, "/body/effective_on")
    assert (await classify(ends=False, on=second, what="restructured")).status_code == 200
    assert (await classify(ends=True, on=second)).status_code == 200
    view = await loan_of(lending, loan)
    assert (view["defaulted"], view["restructured"]) == (False, True)
    assert_problem(await classify(ends=False, on=first), 422, "/body/effective_on")
    assert_problem(await classify(ends=False, on=today() + timedelta(days=2)), 422, "/body/effective_on")
    assert_problem(await classify(ends=False, on=first, what="written-off"), 422, "/body/classification")
    rows = await read(lending, f"/loans/{loan['loan_id']}/classifications")
    assert [(one["classification"], one["effective_from"], one["effective_to"]) for one in rows] == [
        ("default", first.isoformat(), second.isoformat()),
        ("restructured", second.isoformat(), None),
    ]
    assert {one["proposed_by"] for one in rows} == {str(clerk.id)}


async def test_nobody_confirms_or_rejects_what_they_propose(lending: Lending, loan: dict[str, Any]) -> None:
    both = lending.user("servicing", "committee")
    proposal = (await lending.propose(both, loan["loan_id"], "write-off", amount="10")).json()
    for what in ("confirmation", "rejection"):
        assert_reason(await lending.settle(both, proposal["id"], what), 403, "own_proposal")
    # Whatever the service believes.
    async with lending.lake.connect() as lake:
        with pytest.raises(asyncpg.CheckViolationError, match="second_person"):
            await lake.execute(
                "UPDATE credit.loan_proposal SET state = 'confirmed', confirmed_by = proposed_by,"
                " confirmed_at = now() WHERE id = $1",
                uuid.UUID(proposal["id"]),
            )


async def test_who_approved_or_booked_a_loan_does_not_confirm_its_write_off(lending: Lending) -> None:
    # Approved by one and booked by another.
    view, approver, booker = (
        await lending.submitted(lending.user("maker")),
        *(lending.user("officer") for _ in range(2)),
    )
    assert (await lending.decide(approver, view["id"], 1)).status_code == 200
    loan = (await lending.book(booker, view["id"], 2, {})).json()
    for kind, body in (
        ("write-off", {"amount": "10"}),
        ("classification", {"classification": "default"}),
    ):
        proposal = await proposed(lending, loan, kind, **body)
        for person in (approver, booker):
            granter = lending.user("committee", id=person.id)
            refused = await lending.settle(granter, proposal["id"])
            assert_reason(refused, 403, "granted_the_loan")
            queue = await lending.intake.get("/proposals?confirmable=true", headers=granter.headers)
            assert proposal["id"] not in {one["id"] for one in queue.json()["items"]}
        async with lending.lake.connect() as lake:
            with pytest.raises(asyncpg.CheckViolationError, match="not_the_booker"):
                await lake.execute(
                    "UPDATE credit.loan_proposal SET state = 'confirmed', confirmed_by = booked_by,"
                    " confirmed_at = now() WHERE id = $1",
                    uuid.UUID(proposal["id"]),
                )
        assert (await lending.settle(lending.user("committee"), proposal["id"])).status_code == 200
    # Money that comes back judges nobody's decision.
    recovery = await proposed(lending, loan, "recovery", amount="10")
    same = lending.user("senior_officer", id=approver.id)
    assert (await lending.settle(same, recovery["id"])).status_code == 200


@pytest.mark.parametrize(
    ("amount", "confirms"),
    [
        ("3999.99", {"servicing": False, "senior_officer": True, "committee": True}),
        ("4000", {"servicing": False, "senior_officer": False, "committee": True}),
    ],
)
async def test_the_band_of_the_amount_says_who_confirms(
    lending: Lending, amount: str, confirms: dict[str, bool]
) -> None:
    maker, stages = lending.user("maker"), ("officer", "senior_officer")
    view = await lending.submitted(maker, amount="9000", term_months=24)
    for revision, stage in enumerate(stages, start=1):
        assert (await lending.decide(lending.user(stage), view["id"], revision)).status_code == 200
    loan = (await lending.book(lending.user("officer"), view["id"], 3, {})).json()
    proposal = await proposed(lending, loan, "write-off", amount=amount)
    for role, allowed in confirms.items():
        person = lending.user(role)
        queue = await lending.intake.get(
            "/proposals", params={"confirmable": "true", "limit": 200}, headers=person.headers
        )
        assert (proposal["id"] in {one["id"] for one in queue.json()["items"]}) == allowed
        if not allowed:
            for what in ("confirmation", "rejection"):
                refused = await lending.settle(person, proposal["id"], what)
                assert_reason(refused, 403, "role_of_band")
    assert (await lending.settle(lending.user("committee"), proposal["id"])).status_code == 200


async def test_several_small_write_offs_find_no_lesser_role(lending: Lending) -> None:
    maker, stages = lending.user("maker"), ("officer", "senior_officer")
    view = await lending.submitted(maker, amount="9000", term_months=24)
    for revision, stage in enumerate(stages, start=1):
        assert (await lending.decide(lending.user(stage), view["id"], revision)).status_code == 200
    loan = (await lending.book(lending.user("officer"), view["id"], 3, {})).json()
    senior = lending.user("senior_officer")
    first, second = [await proposed(lending, loan, "write-off", amount="3000") for _ in range(2)]

    async def waiting() -> set[str]:
        parameters = {"confirmable": "true", "limit": 200}
        page = await lending.intake.get("/proposals", params=parameters, headers=senior.headers)
        return {one["id"] for one in page.json()["items"]} & {first["id"], second["id"]}

    assert await waiting() == {first["id"], second["id"]}
    assert (await lending.settle(senior, first["id"])).status_code == 200
    assert await waiting() == set()
    assert_reason(await lending.settle(senior, second["id"]), 403, "role_of_band")
    # What is reversed counts no more.
    written = (await loan_of(lending, loan))["transactions"][-1]
    undone = await proposed(lending, loan, "reversal", amount="3000", reverses=written["id"])
    assert (await lending.settle(senior, undone["id"])).status_code == 200
    assert await waiting() == {second["id"]}
    assert (await lending.settle(senior, second["id"])).status_code == 200


async def test_what_no_band_has_is_not_proposed(lending: Lending, loan: dict[str, Any]) -> None:
    async with lending.lake.connect() as lake:
        before = await lake.fetch("DELETE FROM credit.servicing_band WHERE kind = 'recovery' RETURNING *")
        try:
            assert (
                await lending.by_two(lending.user("servicing"), loan["loan_id"], "write-off", amount="5")
            ).status_code == 200
            refused = await lending.propose(
                lending.user("servicing"), loan["loan_id"], "recovery", amount="5"
            )
            assert "No band of recovery has 5.0000 DEM" in assert_problem(refused, 409)["detail"]
        finally:
            await lake.executemany(
                "INSERT INTO credit.servicing_band VALUES ($1, $2, $3, $4, $5, $6)",
                [tuple(row.values()) for row in before],
            )
