"""Decisions: stages, all rules of four eyes, the lock of a revision, the states after a return."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import asyncpg
import pytest

from tests.integration.lending import Lending, User, assert_problem

UNKNOWN = str(uuid.uuid4())


async def in_lake(lending: Lending, application_id: str) -> dict[str, Any]:
    """What the lake says about an application."""
    identifier = uuid.UUID(application_id)
    async with lending.lake.connect() as connection:
        row = await connection.fetchrow("SELECT * FROM credit.application WHERE id = $1", identifier)
        assert row is not None
        decisions = await connection.fetch(
            "SELECT * FROM credit.decision WHERE application_id = $1", identifier
        )
        events = await connection.fetch(
            "SELECT * FROM credit.application_event WHERE application_id = $1 ORDER BY occurred_at",
            identifier,
        )
    return {**row, "decisions": decisions, "events": events}


async def test_one_stage_approves_a_small_amount(lending: Lending) -> None:
    officer = lending.user("officer")
    view = await lending.submitted(lending.user("maker"), amount="3999.99")
    response = await lending.decide(officer, view["id"], 1)
    record = response.json()
    assert (response.status_code, record["state"], response.headers["ETag"]) == (200, "APPROVED", '"2"')
    assert record["decided_at"] is not None
    assert [(one["stage"], one["status"]) for one in record["stages"]] == [("officer", "approved")]
    events = [(one["from_state"], one["to_state"]) for one in record["events"]]
    assert events == [(None, "SUBMITTED"), ("SUBMITTED", "IN_REVIEW"), ("IN_REVIEW", "APPROVED")]
    read = await lending.approval.get(f"/applications/{view['id']}", headers=officer.headers)
    assert read.json() == record


async def test_a_large_amount_needs_three_people_in_order(lending: Lending) -> None:
    view = await lending.submitted(lending.user("maker"), amount="10000")
    path = f"/applications/{view['id']}"
    first = lending.user("officer", "senior_officer", "committee")
    assert (await lending.decide(first, view["id"], 1)).json()["state"] == "IN_REVIEW"
    again = await lending.decide(first, view["id"], 2)
    assert assert_problem(again, 403)["type"].endswith("decided-already")
    jumped = await lending.decide(lending.user("committee"), view["id"], 2, stage="committee")
    assert assert_problem(jumped, 409)["type"].endswith("stage-not-due")
    not_theirs = await lending.decide(lending.user("officer"), view["id"], 2)
    assert assert_problem(not_theirs, 403)["type"].endswith("stage-not-yours")
    assert (await lending.decide(lending.user("senior_officer"), view["id"], 2)).status_code == 200
    record = (await lending.approval.get(path, headers=first.headers)).json()
    assert (record["due_stage"], record["band"]) == ("committee", "large")
    assert [one["status"] for one in record["stages"]] == ["approved", "approved", "due"]
    assert (await lending.decide(lending.user("committee"), view["id"], 3)).json()["state"] == "APPROVED"
    assert len({row["decided_by"] for row in (await in_lake(lending, view["id"]))["decisions"]}) == 3


@pytest.mark.parametrize("outcome", ["approve", "reject", "return"])
async def test_the_maker_never_decides_or_books_whatever_their_roles(lending: Lending, outcome: str) -> None:
    everything = lending.user("maker", "officer", "senior_officer", "committee", "administrator")
    view = await lending.submitted(everything)
    refused = await lending.decide(everything, view["id"], 1, outcome, reason_code="other")
    assert assert_problem(refused, 403)["type"].endswith("maker-cannot-decide")
    assert (await in_lake(lending, view["id"]))["decisions"] == []
    await lending.decide(lending.user("officer"), view["id"], 1)
    booked = await lending.act(lending.approval, everything, view["id"], "booking", 2)
    assert assert_problem(booked, 403)["type"].endswith("maker-cannot-decide")
    queue = (await lending.approval.get("/queue?limit=200", headers=everything.headers)).json()
    assert view["id"] not in {item["id"] for item in queue["items"]}


@pytest.mark.parametrize("login", ["approval", "creditmesh"])
async def test_four_eyes_hold_in_sql_too(lending: Lending, login: str) -> None:
    maker = lending.user("maker")
    view = await lending.submitted(maker)
    insert = (
        "INSERT INTO credit.decision (id, application_id, version, stage, outcome, maker, decided_by, decided_at) "
        "VALUES ($1, $2, 1, 'officer', 'approve', $3, $4, now() AT TIME ZONE 'UTC')"
    )
    identifier = uuid.UUID(view["id"])
    async with lending.lake.connect(login) as connection:
        with pytest.raises(asyncpg.CheckViolationError, match="four_eyes"):
            await connection.execute(insert, uuid.uuid4(), identifier, maker.id, maker.id)
        # To name another maker does not help: the version's is part of the foreign key.
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await connection.execute(insert, uuid.uuid4(), identifier, uuid.uuid4(), maker.id)


@pytest.mark.parametrize("login", ["auth", "intake", "search", "relay", "sink", "loader", "verifier"])
async def test_nobody_else_can_decide_at_all(lending: Lending, login: str) -> None:
    maker = lending.user("maker")
    view = await lending.submitted(maker)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with lending.lake.connect(login) as connection:
            await connection.execute(
                "INSERT INTO credit.decision (id, application_id, version, stage, outcome, maker, decided_by, "
                "decided_at) VALUES ($1, $2, 1, 'officer', 'approve', $3, $4, now())",
                uuid.uuid4(),
                uuid.UUID(view["id"]),
                maker.id,
                uuid.uuid4(),
            )


async def test_no_service_can_rewrite_a_version_or_a_decision(lending: Lending) -> None:
    view = await lending.submitted(lending.user("maker"))
    await lending.decide(lending.user("officer"), view["id"], 1)
    for login in ("intake", "approval", "search"):
        async with lending.lake.connect(login) as connection:
            for statement in (
                "UPDATE credit.application_version SET maker = gen_random_uuid()",
                "DELETE FROM credit.application_version",
                "UPDATE credit.decision SET decided_by = gen_random_uuid()",
                "DELETE FROM credit.decision",
                "UPDATE credit.application_event SET actor = gen_random_uuid()",
            ):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(statement)


async def test_case_24_of_two_parallel_decisions_one_succeeds_50_of_50(lending: Lending) -> None:
    maker = lending.user("maker")
    content = await lending.content(maker)
    for _ in range(50):
        view = (await lending.post(maker, content)).json()
        officers = [lending.user("officer") for _ in range(2)]
        responses = await asyncio.gather(*(lending.decide(one, view["id"], 1) for one in officers))
        assert sorted(response.status_code for response in responses) == [200, 412]
        assert_problem(next(one for one in responses if one.status_code == 412), 412)
        after = await in_lake(lending, view["id"])
        assert (len(after["decisions"]), len(after["events"]), after["revision"]) == (1, 3, 2)


async def test_a_withdrawal_and_a_decision_do_not_both_happen(lending: Lending) -> None:
    maker = lending.user("maker")
    for _ in range(5):
        view = await lending.submitted(maker)
        decided, withdrawn = await asyncio.gather(
            lending.decide(lending.user("officer"), view["id"], 1),
            lending.act(lending.intake, maker, view["id"], "withdrawal", 1),
        )
        assert sorted((decided.status_code, withdrawn.status_code)) == [200, 412]
        expected = "APPROVED" if decided.status_code == 200 else "WITHDRAWN"
        assert (await in_lake(lending, view["id"]))["state"] == expected


async def test_a_decision_that_the_database_refuses_changes_nothing(lending: Lending) -> None:
    """Somebody has written a decision past the service: its revision was not moved."""
    view = await lending.submitted(lending.user("maker"))
    async with lending.lake.connect("approval") as connection:
        await connection.execute(
            "INSERT INTO credit.decision (id, application_id, version, stage, outcome, maker, decided_by, decided_at) "
            "SELECT gen_random_uuid(), application_id, version, 'committee', 'approve', maker, $2, now() "
            "FROM credit.application_version WHERE application_id = $1",
            uuid.UUID(view["id"]),
            (officer := lending.user("officer")).id,
        )
    before = await in_lake(lending, view["id"])
    refused = await lending.decide(officer, view["id"], 1)
    assert refused.status_code in (403, 409)
    assert await in_lake(lending, view["id"]) == before


async def test_a_return_starts_the_stages_afresh_on_a_new_version(lending: Lending) -> None:
    maker, officer, senior = lending.user("maker"), lending.user("officer"), lending.user("senior_officer")
    content = await lending.content(maker, amount="5000", term_months=48)
    view = (await lending.post(maker, content)).json()
    await lending.decide(officer, view["id"], 1)
    returned = await lending.decide(
        senior, view["id"], 2, "return", reason_code="amount_or_term", comment="less"
    )
    assert returned.json()["state"] == "RETURNED"
    assert returned.json()["decided_at"] is None
    last = returned.json()["events"][-1]
    assert (last["reason_code"], last["comment"], last["role"]) == (
        "amount_or_term",
        "less",
        "senior_officer",
    )

    headers = {**maker.headers, "If-Match": returned.headers["ETag"]}
    better = {**content, "amount": "4500", "term_months": 12}
    saved = await lending.intake.put(f"/applications/{view['id']}/draft", json=better, headers=headers)
    assert (saved.status_code, saved.json()["version"]) == (200, 1)
    again = await lending.act(lending.intake, maker, view["id"], "submission", 4)
    assert (again.json()["version"], again.json()["state"]) == (2, "SUBMITTED")
    # A shorter term: the score is of the new data.
    assert again.json()["score"] == view["score"] + 45
    assert again.json()["submitted_at"] == view["submitted_at"]

    queue = (await lending.approval.get("/queue?limit=200", headers=officer.headers)).json()["items"]
    item = next(item for item in queue if item["id"] == view["id"])
    assert (item["stage"], item["decisions"]) == ("officer", [])
    assert [change["text"] for change in item["changes"]] == [
        "amount: 5,000.00 DEM → 4,500.00 DEM",
        "term: 48 months → 12 months",
        f"score: {view['score']} → {view['score'] + 45}",
    ]
    # The same officer decides again, on the new version; the decisions on the old one stay.
    assert (await lending.decide(officer, view["id"], 5)).status_code == 200
    final = (await lending.decide(senior, view["id"], 6)).json()
    assert final["state"] == "APPROVED"
    assert [(one["version"], one["stage"], one["outcome"]) for one in final["decisions"]] == [
        (1, "officer", "approve"),
        (1, "senior_officer", "return"),
        (2, "officer", "approve"),
        (2, "senior_officer", "approve"),
    ]
    assert [change["attribute"] for change in final["versions"][1]["changes"]] == ["amount", "term", "score"]


async def test_a_returned_version_may_be_submitted_unchanged(lending: Lending) -> None:
    maker = lending.user("maker")
    view = await lending.submitted(maker)
    await lending.decide(lending.user("officer"), view["id"], 1, "return", reason_code="other")
    again = (await lending.act(lending.intake, maker, view["id"], "submission", 2)).json()
    assert (again["version"], again["score"], again["parties"]) == (2, view["score"], view["parties"])


async def test_a_rejection_is_final(lending: Lending) -> None:
    officer = lending.user("officer")
    view = await lending.submitted(lending.user("maker"))
    rejected = (await lending.decide(officer, view["id"], 1, "reject", reason_code="low_score")).json()
    assert (rejected["state"], rejected["due_stage"]) == ("REJECTED", None)
    assert rejected["decided_at"] is not None
    refused = await lending.decide(lending.user("officer"), view["id"], 2)
    assert assert_problem(refused, 409)["allowed"] == []


BAD = [
    ({}, ["/body/outcome"]),
    ({"outcome": "maybe"}, ["/body/outcome"]),
    ({"outcome": "reject"}, ["/body"]),
    ({"outcome": "return"}, ["/body"]),
    ({"outcome": "reject", "reason_code": "mood"}, ["/body/reason_code"]),
    ({"outcome": "return", "reason_code": "low_score"}, ["/body/reason_code"]),
    ({"outcome": "approve", "comment": "x" * 1001}, ["/body/comment"]),
    ({"outcome": "approve", "comment": "\u0000"}, ["/body/comment"]),
    ({"outcome": "approve", "stage": "; DROP"}, ["/body/stage"]),
    ({"outcome": "approve", "on_behalf_of": UNKNOWN}, ["/body/on_behalf_of"]),
]


@pytest.mark.parametrize(("body", "pointers"), BAD)
async def test_bad_decisions_are_pointed_at_and_nothing_is_written(
    lending: Lending, body: dict[str, Any], pointers: list[str]
) -> None:
    view = await lending.submitted(lending.user("maker"))
    before = await in_lake(lending, view["id"])
    headers = {**lending.user("officer").headers, "If-Match": '"1"'}
    path = f"/applications/{view['id']}/decisions"
    assert_problem(await lending.approval.post(path, json=body, headers=headers), 422, *pointers)
    assert await in_lake(lending, view["id"]) == before


async def test_decisions_need_the_revision_that_was_seen(lending: Lending) -> None:
    officer = lending.user("officer")
    view = await lending.submitted(lending.user("maker"))
    path = f"/applications/{view['id']}/decisions"
    body = {"outcome": "approve"}
    assert_problem(await lending.approval.post(path, json=body, headers=officer.headers), 428)
    assert_problem(await lending.decide(officer, view["id"], 0), 412)
    assert_problem(await lending.decide(officer, UNKNOWN, 1), 404)


async def test_a_draft_is_not_up_for_decision(lending: Lending) -> None:
    maker, officer = lending.user("maker"), lending.user("officer")
    draft = (await lending.post(maker, {**await lending.content(maker), "submit": False})).json()
    assert_problem(await lending.decide(officer, draft["id"], 1), 404)
    both = lending.user("auditor", "officer")
    refused = await lending.decide(both, draft["id"], 1)
    assert assert_problem(refused, 409)["allowed"] == ["expire", "submit", "withdraw"]
    record = (await lending.approval.get(f"/applications/{draft['id']}", headers=maker.headers)).json()
    assert (record["versions"], record["due_stage"], record["stages"]) == ([], None, [])


@pytest.mark.parametrize("role", ["maker", "auditor", "administrator"])
async def test_scopes_are_required(lending: Lending, role: str) -> None:
    user: User = lending.user(role)
    for method, path in (
        ("GET", "/queue"),
        ("POST", f"/applications/{UNKNOWN}/decisions"),
        ("POST", f"/applications/{UNKNOWN}/booking"),
    ):
        assert_problem(await lending.approval.request(method, path), 401)
        assert_problem(await lending.approval.request(method, path, headers=user.headers), 403)
