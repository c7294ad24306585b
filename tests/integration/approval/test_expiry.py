"""Expiry: what waits for too long ends, by the system's hand; what somebody moves on at that moment does not."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.approval.expiry.repository import ExpiryRepository
from services.approval.expiry.service import Expiry
from services.approval.main import main
from services.approval.repository import ApprovalRepository
from services.lake.database import Lake
from services.lake.domain.roles import SYSTEM_ACTOR
from services.platform.components.mesh import run_once
from tests.conftest import Database
from tests.integration.lending import Lending

LONG = timedelta(days=90)


@pytest.fixture(scope="module")
async def opened(lake: Database) -> AsyncIterator[Lake]:
    """The module's lake with approval's login."""
    made = Lake.open(lake.url("approval"), service="test", pool_size=2)
    yield made
    await made.dispose()


def expiry(opened: Lake, *, days: float = 0) -> Expiry:
    """Expiry as it would run this many days from now."""
    return Expiry(
        opened,
        ApprovalRepository(),
        ExpiryRepository(),
        lambda: datetime.now(UTC) + timedelta(days=days),
    )


async def states(lending: Lending, ids: Iterable[str]) -> dict[str, str]:
    """The states of applications, as the lake has them."""
    async with lending.lake.connect() as owner:
        rows = await owner.fetch("SELECT id, state FROM credit.application")
    wanted = set(ids)
    return {str(row["id"]): row["state"] for row in rows if str(row["id"]) in wanted}


async def test_what_waits_for_too_long_ends_in_every_state_but_draft(lending: Lending, opened: Lake) -> None:
    maker, officer = lending.user("maker"), lending.user("officer")

    async def submitted(**changes: Any) -> str:
        return str((await lending.submitted(maker, **changes))["id"])

    draft = (await lending.post(maker, {**await lending.content(maker), "submit": False})).json()["id"]
    waiting, in_review, returned, approved, rejected = [
        await submitted(amount=amount) for amount in ("500", "4000", "500", "500", "500")
    ]
    await lending.decide(officer, in_review, 1)
    await lending.decide(officer, returned, 1, "return", reason_code="other")
    await lending.decide(officer, approved, 1)
    await lending.decide(officer, rejected, 1, "reject", reason_code="low_score")
    ids = (draft, waiting, in_review, returned, approved, rejected)
    before = await states(lending, ids)

    early = await expiry(opened, days=89).expire(LONG)
    assert early.found.total() == 0
    dry = await expiry(opened, days=91).expire(LONG, dry_run=True)
    assert (dict(dry.found), dry.expired.total()) == (
        {"SUBMITTED": 1, "IN_REVIEW": 1, "RETURNED": 1, "APPROVED": 1},
        0,
    )
    assert await states(lending, ids) == before

    done = await expiry(opened, days=91).expire(LONG)
    assert (done.expired, done.changed) == (dry.found, 0)
    assert await states(lending, ids) == {
        **before,
        **dict.fromkeys((waiting, in_review, returned, approved), "EXPIRED"),
    }
    record = (await lending.approval.get(f"/applications/{approved}", headers=officer.headers)).json()
    assert (record["revision"], record["events"][-1]["from_state"], record["events"][-1]["to_state"]) == (
        3,
        "APPROVED",
        "EXPIRED",
    )
    assert (record["events"][-1]["actor"], record["events"][-1]["role"]) == (str(SYSTEM_ACTOR), "system")
    assert record["decided_at"] is not None
    async with lending.lake.connect() as owner:
        actor = await owner.fetchval(
            "SELECT actor FROM journal.change WHERE table_name = 'credit.application' ORDER BY position DESC LIMIT 1"
        )
    assert actor == "approval-expiry"
    assert (await expiry(opened, days=91).expire(LONG)).found.total() == 0
    # An expired application is over.
    assert (await lending.book(officer, approved, 3, {})).status_code == 409


async def test_a_decision_of_a_stage_or_a_claim_moves_it_on(lending: Lending, opened: Lake) -> None:
    maker = lending.user("maker")
    decided, claimed = [(await lending.submitted(maker, amount="4000"))["id"] for _ in range(2)]
    earlier = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=100)
    async with lending.lake.connect() as owner:
        for identifier in (decided, claimed):
            await owner.execute(
                "UPDATE credit.application SET submitted_at = $2 WHERE id = $1",
                uuid.UUID(identifier),
                earlier,
            )
            await owner.execute(
                "UPDATE credit.application_event SET occurred_at = $2 WHERE application_id = $1",
                uuid.UUID(identifier),
                earlier,
            )
    await lending.decide(lending.user("officer"), decided, 1)
    path = f"/applications/{claimed}/claim"
    put = await lending.approval.put(path, headers=lending.user("officer").headers)
    assert put.status_code == 200, put.text
    assert (await expiry(opened).expire(LONG, dry_run=True)).found.total() == 0
    assert dict((await expiry(opened, days=1).expire(LONG)).expired) == {"SUBMITTED": 1}
    assert await states(lending, (decided, claimed)) == {decided: "IN_REVIEW", claimed: "EXPIRED"}


async def test_of_a_booking_and_an_expiry_one_succeeds(lending: Lending, opened: Lake) -> None:
    maker, officer = lending.user("maker"), lending.user("officer")
    content = await lending.content(maker)
    outcomes = set()
    for _ in range(10):
        view = (await lending.post(maker, content)).json()
        await lending.decide(officer, view["id"], 1)
        booked, done = await asyncio.gather(
            lending.book(officer, view["id"], 2, {}), expiry(opened, days=200).expire(LONG)
        )
        state = (await states(lending, [view["id"]]))[view["id"]]
        if booked.status_code == 200:
            assert (state, done.expired["APPROVED"]) == ("BOOKED", 0)
        else:
            assert booked.status_code in {409, 412}, booked.text
            assert (state, done.expired["APPROVED"]) == ("EXPIRED", 1)
        async with lending.lake.connect() as owner:
            loans = await owner.fetchval(
                "SELECT count(*) FROM credit.loan WHERE application_id = $1", uuid.UUID(view["id"])
            )
        assert loans == (state == "BOOKED")
        outcomes.add(state)
    assert outcomes <= {"BOOKED", "EXPIRED"}


async def test_what_changed_after_it_was_found_is_left_alone(
    lending: Lending, opened: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = await lending.submitted(lending.user("maker"))
    waiting = ExpiryRepository.waiting

    async def then_decided(self: ExpiryRepository, *arguments: Any) -> Any:
        rows = await waiting(self, *arguments)
        await lending.decide(lending.user("officer"), view["id"], 1)
        return rows

    monkeypatch.setattr(ExpiryRepository, "waiting", then_decided)
    done = await expiry(opened, days=200).expire(LONG)
    assert done.changed == 1
    assert await states(lending, [view["id"]]) == {view["id"]: "APPROVED"}


async def test_the_command_prints_one_line_of_json(lending: Lending, lake: Database) -> None:
    await lending.submitted(lending.user("maker"))
    environment = {"LAKE_URL": lake.url("approval")}
    said = await run_once(
        "services.approval.main", "expire", "--older-than", "9999d", "--dry-run", environment=environment
    )
    assert json.loads(said.splitlines()[-1]) == {
        "older_than_days": 9999,
        "dry_run": True,
        "found": {},
        "expired": {},
        "changed_meanwhile": 0,
    }


@pytest.mark.parametrize("wrong", [["--older-than", "90"], ["--older-than", "0d"], []])
def test_the_command_refuses_what_it_does_not_understand(wrong: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["expire", *wrong])
    assert ended.value.code == 2
