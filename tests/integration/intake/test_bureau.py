"""The credit bureau beside submissions: asked after them, kept before it is read, and never a rejection."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import SecretStr

from services.intake.bureau.adapters import BureauSilent
from services.intake.bureau.domain import MOST_ATTEMPTS, Person
from services.intake.bureau.repository import BureauRepository
from services.intake.bureau.worker import BureauWorker
from services.lake.database import Lake
from tests.conftest import Database
from tests.integration.gauges import gauge_becomes
from tests.integration.lending import Lending, User

DOWN = "http://127.0.0.1:1/reports"
FOUND = '{"outcome": "found",  "report": {"score": 700}}'


@dataclass
class FakeBureau:
    """A bureau that says what a test wants, and notes whom it was asked about."""

    says: str | Callable[[Person], str] = FOUND
    name: str = "fake"
    keys: list[str] = field(default_factory=list)

    async def ask(self, person: Person, key: str) -> str:
        self.keys.append(key)
        await asyncio.sleep(0.05)
        return self.says if isinstance(self.says, str) else self.says(person)

    async def aclose(self) -> None:
        """Nothing is open."""


def silent(_: Person) -> str:
    raise BureauSilent("it sleeps")


@dataclass
class Bureau:
    """The services, whose own bureau is down, and workers with bureaus of a test."""

    lending: Lending
    lake: Lake

    async def ask(self, bureau: FakeBureau, workers: int = 1) -> None:
        """Make what waits due, and have it asked."""
        async with self.lending.lake.connect() as connection:
            await connection.execute(
                "UPDATE intake.bureau_request SET next_attempt_at = now() AT TIME ZONE 'utc' - interval '1 s' "
                "WHERE outcome = 'waiting'"
            )
        asking = [BureauWorker(self.lake, BureauRepository(), bureau) for _ in range(workers)]
        await asyncio.gather(*(one.ask_due() for one in asking))

    async def rows(self, table: str = "intake.bureau_request") -> list[dict[str, Any]]:
        async with self.lending.lake.connect() as connection:
            return [dict(row) for row in await connection.fetch(f"SELECT * FROM {table}")]

    async def tried(self) -> None:
        """Wait until the services' own bureau has failed at everything."""
        for _ in range(100):
            if all(row["reason"] for row in await self.rows()):
                return
            await asyncio.sleep(0.1)
        raise AssertionError("nobody was asked about")

    async def submit(self, maker: User, **details: Any) -> dict[str, Any]:
        details.setdefault("national_id", str(uuid.uuid4().int)[:12])
        party = await self.lending.party(maker, **details)
        view = await self.lending.submitted(maker, parties=[{"party_id": party, "role": "borrower"}])
        return {**view, "party": party}

    async def seen(self, view: dict[str, Any], role: str = "officer") -> dict[str, Any]:
        """The record as an officer sees it."""
        headers = self.lending.user(role).headers
        answer = await self.lending.approval.get(f"/applications/{view['id']}", headers=headers)
        assert answer.status_code == 200, answer.text
        record: dict[str, Any] = answer.json()
        return record


@pytest.fixture
async def bureau(fresh_lake: Database, application: Database) -> AsyncIterator[Bureau]:
    opened = Lake.open(fresh_lake.url("intake"), service="test", pool_size=4)
    async with Lending.over(fresh_lake, application, bureau="http", bureau_url=DOWN) as lending:
        yield Bureau(lending, opened)
    await opened.dispose()


async def test_case_21_a_bureau_that_is_down_holds_nothing_up_and_rejects_nothing(bureau: Bureau) -> None:
    view = await bureau.submit(bureau.lending.user("maker"))
    assert view["state"] == "SUBMITTED"
    await bureau.tried()
    record = await bureau.seen(view)
    (said,) = record["bureau"]
    assert (record["state"], record["due_stage"]) == ("SUBMITTED", "officer")
    assert (said["party_id"], said["outcome"], said["reason"]) == (view["party"], "waiting", "no_answer")
    assert said["note"] == "The bureau has not answered."
    await gauge_becomes("credit_bureau_requests_unanswered", 1)
    assert await bureau.rows("credit.bureau_report") == []
    # The officer decides without it.
    officer = bureau.lending.user("officer")
    assert (await bureau.lending.decide(officer, view["id"], 1)).status_code == 200


async def test_case_21_a_bureau_that_never_answers_is_left_to_the_officer(bureau: Bureau) -> None:
    view = await bureau.submit(bureau.lending.user("maker"))
    await bureau.tried()
    for _ in range(MOST_ATTEMPTS):
        await bureau.ask(FakeBureau(silent))
    record = await bureau.seen(view)
    (said,) = record["bureau"]
    assert (said["outcome"], said["reason"], said["attempts"]) == ("inconclusive", "no_answer", MOST_ATTEMPTS)
    assert (record["state"], record["decisions"]) == ("SUBMITTED", [])


def failing(_: Person) -> str:
    raise AssertionError("nobody foresaw it")


async def test_a_request_that_fails_is_made_again_and_holds_no_other_up(bureau: Bureau) -> None:
    maker = bureau.lending.user("maker")
    views = [await bureau.submit(maker, national_id=f"40000000000{number}") for number in range(2)]
    await bureau.tried()
    fake = FakeBureau(lambda person: failing(person) if person.national_id == "400000000000" else FOUND)
    with pytest.raises(AssertionError, match="nobody foresaw it"):
        await bureau.ask(fake)
    assert len(fake.keys) == 2
    for view, outcome in zip(views, ("waiting", "found"), strict=True):
        assert (await bureau.seen(view))["bureau"][0]["outcome"] == outcome
    await bureau.ask(FakeBureau())
    assert (await bureau.seen(views[0]))["bureau"][0]["outcome"] == "found"


async def test_a_request_that_fails_each_time_ends(bureau: Bureau) -> None:
    view = await bureau.submit(bureau.lending.user("maker"))
    await bureau.tried()
    fake = FakeBureau(failing)
    # The first attempt was the services' own.
    for _ in range(MOST_ATTEMPTS - 1):
        with pytest.raises(AssertionError, match="nobody foresaw it"):
            await bureau.ask(fake)
    await bureau.ask(fake)
    assert len(fake.keys) == MOST_ATTEMPTS - 1
    (said,) = (await bureau.seen(view))["bureau"]
    assert (said["outcome"], said["reason"]) == ("inconclusive", "no_answer")


ANSWERS = [
    (FOUND, "found", None),
    ('{"outcome": "not_found"}', "not_found", None),
    ('{"outcome": "inconclusive", "why": "two people"}', "inconclusive", "not_sure"),
    ("<html>oh\0no</html>", "inconclusive", "unusable_answer"),
    ("", "inconclusive", "unusable_answer"),
    ('{"outcome": "rejected"}', "inconclusive", "unusable_answer"),
]


async def test_case_21_each_answer_is_kept_as_it_came_and_none_is_a_rejection(bureau: Bureau) -> None:
    maker = bureau.lending.user("maker")
    views = [await bureau.submit(maker, national_id=f"30000000000{number}") for number in range(len(ANSWERS))]
    await bureau.tried()
    await bureau.ask(FakeBureau(lambda person: ANSWERS[int((person.national_id or "")[-1])][0]))
    reports = {str(row["party_id"]): row for row in await bureau.rows("credit.bureau_report")}
    for view, (raw, outcome, reason) in zip(views, ANSWERS, strict=True):
        report = reports.pop(view["party"])
        assert (report["provider"], report["raw_response"]) == ("fake", raw.replace("\0", "\ufffd"))
        record = await bureau.seen(view)
        (said,) = record["bureau"]
        assert (said["outcome"], said["reason"], said["note"] is None) == (outcome, reason, reason is None)
        assert said["answered_at"] is not None
        assert (record["state"], record["decisions"]) == ("SUBMITTED", [])
    assert reports == {}
    # Once answered, it is asked no more.
    again = FakeBureau()
    await bureau.ask(again)
    assert again.keys == []


async def test_an_answer_that_was_kept_is_read_and_not_asked_for_again(bureau: Bureau) -> None:
    view = await bureau.submit(bureau.lending.user("maker"))
    await bureau.tried()
    await bureau.ask(FakeBureau())
    # A process was killed after it had kept the answer and before it had read it.
    async with bureau.lending.lake.connect() as connection:
        await connection.execute(
            "UPDATE intake.bureau_request SET outcome = 'waiting', reason = NULL, answered_at = NULL"
        )
    again = FakeBureau('{"outcome": "not_found"}')
    await bureau.ask(again)
    assert again.keys == []
    assert (await bureau.seen(view))["bureau"][0]["outcome"] == "found"
    assert len(await bureau.rows("credit.bureau_report")) == 1


async def test_two_workers_make_one_inquiry_for_each_person(bureau: Bureau) -> None:
    maker = bureau.lending.user("maker")
    for _ in range(5):
        await bureau.submit(maker)
    await bureau.tried()
    fake = FakeBureau()
    await bureau.ask(fake, workers=3)
    assert len(fake.keys) == len(set(fake.keys)) == 5
    assert len(await bureau.rows("credit.bureau_report")) == 5


async def test_people_are_asked_about_once_each_and_organisations_are_not(bureau: Bureau) -> None:
    maker = bureau.lending.user("maker")
    borrower = await bureau.lending.party(maker, national_id="100000000001")
    firm = await bureau.lending.party(maker, kind="organisation", full_name="Trading House")
    unknown = await bureau.lending.party(maker)
    parts = [(borrower, "borrower"), (firm, "guarantor"), (unknown, "co-borrower")]
    view = await bureau.lending.submitted(
        maker, parties=[{"party_id": party, "role": role} for party, role in parts]
    )
    await bureau.tried()
    fake = FakeBureau()
    await bureau.ask(fake)
    assert [key.endswith(borrower) for key in fake.keys] == [True]
    said = {one["party_id"]: (one["outcome"], one["reason"]) for one in (await bureau.seen(view))["bureau"]}
    assert said == {borrower: ("found", None), unknown: ("inconclusive", "no_national_id")}
    # Who sees no personal data does not see what is known of people either.
    assert (await bureau.seen(view, "analyst"))["bureau"] == []
    assert len((await bureau.seen(view, "auditor"))["bureau"]) == 2


async def test_nobody_is_asked_about_for_a_draft_or_after_a_withdrawal(bureau: Bureau) -> None:
    maker = bureau.lending.user("maker")
    await bureau.lending.post(maker, {**await bureau.lending.content(maker), "submit": False})
    assert await bureau.rows() == []
    view = await bureau.submit(maker)
    await bureau.tried()
    await bureau.lending.act(bureau.lending.intake, maker, view["id"], "withdrawal", 1)
    fake = FakeBureau()
    await bureau.ask(fake)
    assert fake.keys == []
    (row,) = await bureau.rows()
    assert (row["outcome"], row["reason"], row["next_attempt_at"]) == ("inconclusive", "not_needed", None)


async def test_the_next_version_is_asked_about_and_the_old_one_no_more(bureau: Bureau) -> None:
    maker, officer = bureau.lending.user("maker"), bureau.lending.user("officer")
    view = await bureau.submit(maker)
    await bureau.lending.decide(officer, view["id"], 1, "return", reason_code="other")
    submitted = await bureau.lending.act(bureau.lending.intake, maker, view["id"], "submission", 2)
    assert submitted.status_code == 200, submitted.text
    await bureau.tried()
    fake = FakeBureau()
    await bureau.ask(fake)
    assert fake.keys == [f"{view['id']}-2-{view['party']}"]
    assert {row["version"]: row["outcome"] for row in await bureau.rows()} == {1: "inconclusive", 2: "found"}
    assert [one["outcome"] for one in (await bureau.seen(view))["bureau"]] == ["found"]


async def test_the_simulated_bureau_answers_without_being_told(lake: Database, application: Database) -> None:
    key = SecretStr("a key of a simulation")
    async with Lending.over(lake, application, bureau="simulated", bureau_key=key) as lending:
        maker = lending.user("maker")
        party = await lending.party(maker, national_id="200000000002")
        view = await lending.submitted(maker, parties=[{"party_id": party, "role": "borrower"}])
        for _ in range(100):
            answer = await lending.approval.get(
                f"/applications/{view['id']}", headers=lending.user("officer").headers
            )
            if answer.json()["bureau"][0]["outcome"] != "waiting":
                break
            await asyncio.sleep(0.05)
        (said,) = answer.json()["bureau"]
        assert (said["provider"], said["attempts"]) == ("simulated", 1)
        assert said["outcome"] in {"found", "not_found", "inconclusive"}


async def test_without_a_bureau_nobody_is_asked_about(lake: Database, application: Database) -> None:
    async with Lending.over(lake, application) as lending:
        view = await lending.submitted(lending.user("maker"))
        answer = await lending.approval.get(
            f"/applications/{view['id']}", headers=lending.user("officer").headers
        )
        assert answer.json()["bureau"] == []
