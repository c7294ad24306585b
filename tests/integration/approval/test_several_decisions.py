"""Several decisions in one request: each stands alone, and each is answered. The reasons that they may have."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import httpx
import pytest

from services.approval.domain import ReasonCode
from services.approval.repository import ApprovalRepository
from services.chassis.deadline import HEADER
from tests.integration.lending import Lending, User, assert_problem


async def decide(lending: Lending, officer: User, *decisions: dict[str, Any]) -> httpx.Response:
    """POST several decisions."""
    return await lending.approval.post(
        "/decisions", json={"decisions": list(decisions)}, headers=officer.headers
    )


def on(identifier: str, revision: int = 1, outcome: str = "approve", **more: Any) -> dict[str, Any]:
    """One of them."""
    return {"application_id": identifier, "revision": revision, "outcome": outcome, **more}


async def test_what_the_time_was_too_short_for_is_said(lending: Lending) -> None:
    maker, officer = lending.user("maker"), lending.user("officer")
    first, stuck, last = [(await lending.submitted(maker, amount="100"))["id"] for _ in range(3)]
    decisions = {"decisions": [on(first), on(stuck), on(last)]}
    async with lending.lake.connect() as other, other.transaction():
        await other.execute("SELECT FROM credit.application WHERE id = $1 FOR UPDATE", uuid.UUID(stuck))
        answer = await lending.approval.post(
            "/decisions", json=decisions, headers={**officer.headers, HEADER: "3000"}
        )
    assert answer.status_code == 207, answer.text
    assert [one["status"] for one in answer.json()["items"]] == [200, 504, 504]
    for identifier, state in ((first, "APPROVED"), (stuck, "SUBMITTED"), (last, "SUBMITTED")):
        record = await lending.approval.get(f"/applications/{identifier}", headers=officer.headers)
        assert record.json()["state"] == state


async def test_each_is_decided_or_refused_for_itself(lending: Lending) -> None:
    maker, officer = lending.user("maker"), lending.user("officer")
    approved, rejected, stale, forwarded, claimed = [
        (await lending.submitted(maker, amount=amount))["id"]
        for amount in ("100", "200", "300", "4000", "500")
    ]
    unknown = str(uuid.uuid4())
    other = lending.user("officer")
    await lending.approval.put(f"/applications/{claimed}/claim", headers=other.headers)
    answer = await decide(
        lending,
        officer,
        on(approved),
        on(unknown),
        on(rejected, outcome="reject", reason_code="low_score", comment="no"),
        on(stale, 7),
        on(forwarded),
        on(claimed),
    )
    assert answer.status_code == 207, answer.text
    body = answer.json()
    assert (body["decided"], body["refused"]) == (3, 3)
    assert [(one["application_id"], one["status"], one.get("state")) for one in body["items"]] == [
        (approved, 200, "APPROVED"),
        (unknown, 404, None),
        (rejected, 200, "REJECTED"),
        (stale, 412, None),
        (forwarded, 200, "IN_REVIEW"),
        (claimed, 409, None),
    ]
    for one in body["items"]:
        path = f"/applications/{one['application_id']}"
        record = (await lending.approval.get(path, headers=officer.headers)).json()
        if one["status"] == 200:
            assert (record["state"], record["revision"]) == (one["state"], one["revision"])
            assert "problem" not in one
        else:
            problem = one["problem"]
            assert (problem["status"], problem["instance"]) == (one["status"], f"{path}/decisions")
            assert problem["type"].startswith("urn:creditmesh:problem:")
            if one["application_id"] == claimed:
                assert problem["claimed_by"] == str(other.id)
            if one["status"] != 404:
                assert record["decisions"] == []


async def test_case_24_of_two_that_decide_on_the_same_each_is_decided_once(lending: Lending) -> None:
    maker = lending.user("maker")
    content = await lending.content(maker)
    ids = [(await lending.post(maker, content)).json()["id"] for _ in range(20)]
    answers = await asyncio.gather(
        *(decide(lending, lending.user("officer"), *(on(one) for one in ids)) for _ in range(2))
    )
    found = [[item["status"] for item in answer.json()["items"]] for answer in answers]
    assert [sorted(pair) for pair in zip(*found, strict=True)] == [[200, 412]] * len(ids)


async def test_what_was_decided_is_told_though_the_next_one_fails(
    lending: Lending, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker, officer = lending.user("maker"), lending.user("officer")
    ids = [(await lending.submitted(maker))["id"] for _ in range(3)]
    events = ApprovalRepository.add_events

    async def broken(self: ApprovalRepository, tx: Any, made: Any) -> None:
        if str(made[0].application_id) == ids[1]:
            raise RuntimeError("broken")
        await events(self, tx, made)

    monkeypatch.setattr(ApprovalRepository, "add_events", broken)
    body = (await decide(lending, officer, *(on(one) for one in ids))).json()
    assert [one["status"] for one in body["items"]] == [200, 500, 200]
    assert "broken" not in str(body)
    record = await lending.approval.get(f"/applications/{ids[1]}", headers=officer.headers)
    assert (record.json()["state"], record.json()["revision"]) == ("SUBMITTED", 1)


@pytest.mark.parametrize(
    ("decisions", "pointers"),
    [
        ([], ["/body/decisions"]),
        ([on(str(uuid.UUID(int=one))) for one in range(51)], ["/body/decisions"]),
        ([on(str(uuid.UUID(int=7))), on(str(uuid.UUID(int=7)), 2)], ["/body/decisions"]),
        ([on("x", -1)], ["/body/decisions/0/application_id", "/body/decisions/0/revision"]),
        ([on(str(uuid.UUID(int=7)), outcome="reject")], ["/body/decisions/0"]),
        ([on(str(uuid.UUID(int=7)), 1, "reject", state="BOOKED")], ["/body/decisions/0/state"]),
    ],
)
async def test_a_bad_request_decides_nothing(
    lending: Lending, decisions: list[dict[str, Any]], pointers: list[str]
) -> None:
    assert_problem(await decide(lending, lending.user("officer"), *decisions), 422, *pointers)


async def test_every_reason_says_in_three_languages_what_it_is_for(lending: Lending) -> None:
    answer = await lending.approval.get("/reason-codes", headers=lending.user("maker").headers)
    reasons = answer.json()
    assert [one["code"] for one in reasons] == list(ReasonCode)
    for one in reasons:
        assert one["outcomes"]
        assert set(one["outcomes"]) <= {"reject", "return"}
        assert len({one["labels"][language] for language in ("en", "vi", "pt")}) == 3
