"""The bureau without a database: what its answers say, when it is asked again, and that it never rejects anything."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from services.intake.bureau.adapters import BureauSilent, HttpBureau, SimulatedBureau
from services.intake.bureau.domain import (
    MOST_ATTEMPTS,
    BureauRequest,
    Outcome,
    Person,
    Reason,
    read,
)
from services.intake.settings import IntakeSettings

NOW = datetime(2026, 1, 31, tzinfo=UTC)
SOME = uuid.UUID(int=1)
PERSON = Person(SOME, "Nguyễn Văn Đạt", date(1980, 2, 29), "012345678901")
REQUEST = BureauRequest(SOME, 1, SOME, Outcome.WAITING, None, 0, NOW, None, None)


@pytest.mark.parametrize(
    ("raw", "outcome", "reason"),
    [
        ('{"outcome": "found", "report": {}}', Outcome.FOUND, None),
        ('{"outcome": "not_found"}', Outcome.NOT_FOUND, None),
        ('{"outcome": "inconclusive"}', Outcome.INCONCLUSIVE, Reason.NOT_SURE),
        ('{"outcome": "waiting"}', Outcome.INCONCLUSIVE, Reason.UNUSABLE_ANSWER),
        ('{"outcome": "rejected"}', Outcome.INCONCLUSIVE, Reason.UNUSABLE_ANSWER),
        ('{"outcome": ["found"]}', Outcome.INCONCLUSIVE, Reason.UNUSABLE_ANSWER),
        ("{}", Outcome.INCONCLUSIVE, Reason.UNUSABLE_ANSWER),
        ("[]", Outcome.INCONCLUSIVE, Reason.UNUSABLE_ANSWER),
        ("null", Outcome.INCONCLUSIVE, Reason.UNUSABLE_ANSWER),
        ("", Outcome.INCONCLUSIVE, Reason.UNUSABLE_ANSWER),
        ("<html>found</html>", Outcome.INCONCLUSIVE, Reason.UNUSABLE_ANSWER),
        ('HTTP 403\n{"outcome": "found"}', Outcome.INCONCLUSIVE, Reason.UNUSABLE_ANSWER),
    ],
)
def test_case_21_whatever_is_not_clear_is_inconclusive(
    raw: str, outcome: Outcome, reason: Reason | None
) -> None:
    report = read(raw)
    assert (report.outcome, report.reason, report.raw) == (outcome, reason, raw)


def test_case_21_a_silent_bureau_is_asked_again_and_then_left_to_the_officer() -> None:
    request, waits = REQUEST, []
    for _ in range(MOST_ATTEMPTS):
        request = request.claimed(NOW, timedelta(seconds=90)).silent(NOW)
        if request.next_attempt_at is not None:
            assert (request.outcome, request.reason) == (Outcome.WAITING, Reason.NO_ANSWER)
            waits.append((request.next_attempt_at - NOW).total_seconds())
    assert waits == [5, 10, 20, 40, 80, 160, 320, 600, 600, 600, 600]
    assert (request.outcome, request.reason) == (Outcome.INCONCLUSIVE, Reason.NO_ANSWER)
    assert (request.next_attempt_at, request.answered_at) == (None, NOW)


async def test_the_simulated_bureau_says_the_same_of_the_same_person_in_every_spelling() -> None:
    bureau = SimulatedBureau("a key of a test")
    first = await bureau.ask(PERSON, "1")
    for spelt in ("0123 4567 8901", "012.345.678-901"):
        assert await bureau.ask(replace(PERSON, national_id=spelt, full_name="x"), "2") == first
    other = SimulatedBureau("another key")
    people = [replace(PERSON, national_id=f"{number:012d}") for number in range(1000)]
    said = [await bureau.ask(one, "") for one in people]
    assert [await other.ask(one, "") for one in people] != said
    counts = Counter(read(raw).outcome for raw in said)
    assert 860 < counts[Outcome.FOUND] < 940
    assert counts[Outcome.NOT_FOUND] > 20
    assert counts[Outcome.INCONCLUSIVE] > 10
    assert sum(counts.values()) == 1000
    assert not any("012345" in raw for raw in said)


def http_bureau(answer: Any, seconds: float = 1.0, url: str = "http://bureau.test/reports") -> HttpBureau:
    return HttpBureau(url, token="t", seconds=seconds, transport=httpx.MockTransport(answer))


@pytest.mark.parametrize("path", ["/reports", "/reports/", "/reports?t=1", "/", "/a%20b/c?t=%2F"])
async def test_the_bureau_is_asked_with_a_key_a_token_and_a_deadline(path: str) -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, text='{"outcome":"found"}')

    url = f"http://bureau.test{path}"
    bureau = http_bureau(answer, url=url)
    assert await bureau.ask(PERSON, REQUEST.key) == '{"outcome":"found"}'
    (request,) = seen
    assert request.url == httpx.URL(url)
    assert request.url.raw_path == path.encode()
    assert json.loads(request.content) == {
        "national_id": "012345678901",
        "full_name": "Nguyễn Văn Đạt",
        "birth_date": "1980-02-29",
    }
    assert request.headers["idempotency-key"] == REQUEST.key
    assert request.headers["authorization"] == "Bearer t"
    assert 0 < int(request.headers["x-request-timeout-ms"]) <= 1000
    # What is asked is in the body alone: addresses are in traces and logs.
    assert "0123" not in str(request.url)
    await bureau.aclose()


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503])
async def test_case_21_a_bureau_that_cannot_now_is_silent(status: int) -> None:
    bureau = http_bureau(lambda _: httpx.Response(status, text='{"outcome":"found"}'))
    with pytest.raises(BureauSilent, match=str(status)):
        await bureau.ask(PERSON, "k")
    await bureau.aclose()


@pytest.mark.parametrize("status", [301, 302, 307, 401, 403, 404, 405, 410])
async def test_case_21_a_bureau_that_is_set_wrong_is_silent_and_an_error(status: int) -> None:
    bureau = http_bureau(lambda _: httpx.Response(status, text='{"outcome":"found"}'))
    with capture_logs() as logs, pytest.raises(BureauSilent, match=str(status)):
        await bureau.ask(PERSON, "k")
    assert logs == [{"event": "the bureau does not take requests", "status": status, "log_level": "error"}]
    await bureau.aclose()


@pytest.mark.parametrize("charset", ["hex", "rot13", "utf-16", "nothing", "latin-1"])
async def test_an_answer_is_utf_8_whatever_its_header_says(charset: str) -> None:
    said = '{"outcome":"found","report":{"city":"Huế"}}'.encode()
    headers = {"Content-Type": f"application/json; charset={charset}"}
    for content, text in ((said, said.decode()), (said + b"\xff", said.decode() + "\ufffd")):
        bureau = http_bureau(lambda _, content=content: httpx.Response(200, headers=headers, content=content))
        assert await bureau.ask(PERSON, "k") == text
        await bureau.aclose()


@pytest.mark.parametrize("status", [400, 422])
async def test_what_else_it_answers_is_kept_and_says_nothing(status: int) -> None:
    bureau = http_bureau(lambda _: httpx.Response(status, text='{"outcome":"found"}'))
    raw = await bureau.ask(PERSON, "k")
    assert raw.startswith(f"HTTP {status}\n")
    assert read(raw).outcome is Outcome.INCONCLUSIVE
    await bureau.aclose()


async def test_case_21_a_slow_bureau_and_one_that_is_down_are_silent() -> None:
    async def slow(_: httpx.Request) -> httpx.Response:
        await asyncio.sleep(5)
        return httpx.Response(200)

    def down(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    for answer, seconds in ((slow, 0.05), (down, 1.0)):
        bureau = http_bureau(answer, seconds)
        with pytest.raises(BureauSilent):
            await bureau.ask(PERSON, "k")
        await bureau.aclose()


async def test_case_21_while_too_many_fail_the_breaker_asks_nobody() -> None:
    asked = 0

    def failing(_: httpx.Request) -> httpx.Response:
        nonlocal asked
        asked += 1
        return httpx.Response(500)

    bureau = http_bureau(failing)
    for _ in range(60):
        with pytest.raises(BureauSilent):
            await bureau.ask(PERSON, "k")
    assert asked < 30
    with pytest.raises(BureauSilent, match="ServerUnavailable"):
        await bureau.ask(PERSON, "k")
    await bureau.aclose()


@pytest.mark.parametrize(
    ("wrong", "missing"), [({"bureau": "simulated"}, "BUREAU_KEY"), ({"bureau": "http"}, "BUREAU_URL")]
)
def test_a_bureau_is_set_with_what_it_needs(wrong: dict[str, Any], missing: str) -> None:
    common = {"http_port": 0, "auth_jwks_url": "http://x/y", "lake_url": "postgresql+asyncpg://a@b/c"}
    common["person_tag_key"] = "k" * 32
    with pytest.raises(ValueError, match=missing):
        IntakeSettings(**common, **wrong)
