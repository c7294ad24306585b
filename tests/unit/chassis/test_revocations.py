"""The list of ended sessions as a verifier keeps it."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from uuid import UUID

import httpx
import pytest
from uuid_utils.compat import uuid7

from services.chassis.settings import ServiceSettings
from services.chassis.testing import TokenMaker
from services.chassis.web.identity import TokenVerifier
from services.chassis.web.problems import Unauthenticated, Unavailable
from services.chassis.web.revocations import FIRST_POLL_SECONDS, POLL_SECONDS, Revocations

URL = "http://auth.test/revocations"


class Auth:
    """The list as auth publishes it; it may be down."""

    def __init__(self) -> None:
        self.sids: list[UUID] = []
        self.answer: Callable[[], httpx.Response] | None = None
        self.statuses: list[int] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        response = self.answer() if self.answer else self._list(request)
        self.statuses.append(response.status_code)
        return response

    def _list(self, request: httpx.Request) -> httpx.Response:
        tag = f'"{len(self.sids)}"'
        if request.headers.get("if-none-match") == tag:
            return httpx.Response(304, headers={"ETag": tag})
        return httpx.Response(200, json={"sids": [str(sid) for sid in self.sids]}, headers={"ETag": tag})


class Clock:
    """A clock that is moved by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def polled(auth: Auth, clock: Clock | None = None) -> Revocations:
    return Revocations(URL, transport=httpx.MockTransport(auth), clock=clock or Clock())


async def one_poll(revocations: Revocations, auth: Auth) -> None:
    before = len(auth.statuses)
    polling = asyncio.create_task(revocations.keep())
    while len(auth.statuses) == before:
        await asyncio.sleep(0)
    await asyncio.sleep(0.01)
    polling.cancel()
    with suppress(asyncio.CancelledError):
        await polling


async def test_a_token_of_an_ended_session_is_refused_after_the_next_poll(tokens: TokenMaker) -> None:
    auth, session = Auth(), uuid7()
    revocations = polled(auth)
    verifier = TokenVerifier("creditmesh", tokens.jwks(), revocations=revocations)
    mine, other = tokens.token(sid=str(session)), tokens.token()
    await verifier.verify(mine)
    auth.sids.append(session)

    await one_poll(revocations, auth)

    with pytest.raises(Unauthenticated, match="ended"):
        await verifier.verify(mine)
    await verifier.verify(other)
    assert POLL_SECONDS < 5


async def test_an_unchanged_list_is_not_sent_again() -> None:
    auth, session = Auth(), uuid7()
    auth.sids.append(session)
    revocations = polled(auth)

    for _ in range(3):
        await one_poll(revocations, auth)

    assert auth.statuses == [200, 304, 304]
    assert await revocations.has_ended(session)


@pytest.mark.parametrize(
    "answer",
    [
        lambda: httpx.Response(503),
        lambda: httpx.Response(200, text="<html>"),
        lambda: httpx.Response(200, json={"sids": ["no id"]}),
        lambda: httpx.Response(200, json=[]),
        lambda: httpx.Response(200, json={"sids": 1}),
    ],
)
async def test_case_6_while_auth_is_down_the_last_list_goes_on_and_its_age_grows(
    answer: Callable[[], httpx.Response],
) -> None:
    auth, session, clock = Auth(), uuid7(), Clock()
    auth.sids.append(session)
    revocations = polled(auth, clock)
    await one_poll(revocations, auth)
    auth.answer = answer
    clock.now = 30.0
    await one_poll(revocations, auth)

    assert await revocations.has_ended(session)
    assert not await revocations.has_ended(uuid7())
    assert revocations.age_seconds() == 30.0
    auth.answer = None
    await one_poll(revocations, auth)
    assert revocations.age_seconds() == 0.0


async def test_without_any_list_nobody_is_let_in_and_auth_is_not_flooded() -> None:
    auth = Auth()
    auth.answer = lambda: httpx.Response(503)
    revocations = polled(auth)

    for _ in range(5):
        with pytest.raises(Unavailable):
            await revocations.has_ended(uuid7())

    assert auth.statuses == [503]


async def test_the_first_list_is_asked_for_again_soon() -> None:
    auth, clock = Auth(), Clock()
    auth.answer = lambda: httpx.Response(503)
    revocations = polled(auth, clock)
    with pytest.raises(Unavailable):
        await revocations.has_ended(uuid7())

    auth.answer = None
    clock.now = FIRST_POLL_SECONDS

    assert not await revocations.has_ended(uuid7())
    assert FIRST_POLL_SECONDS < POLL_SECONDS / 4


@pytest.mark.parametrize(
    ("jwks", "own", "expected"),
    [
        (None, None, None),
        ("http://auth:1/.well-known/jwks.json", None, "http://auth:1/revocations"),
        ("http://auth:1/.well-known/jwks.json", "http://other/ended", "http://other/ended"),
    ],
)
def test_a_service_that_verifies_tokens_asks_for_ended_sessions_unless_told_where(
    jwks: str | None, own: str | None, expected: str | None
) -> None:
    settings = ServiceSettings(http_port=0, auth_jwks_url=jwks, auth_revocations_url=own)

    assert settings.revocations_url == expected
