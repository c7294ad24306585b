"""Refresh tokens: one child each, the same answer again for 10 s, and the end of the session at any other repeat."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import jwt
import pytest
from prometheus_client import REGISTRY

from services.auth.accounts.users import Users
from services.auth.domain import NewUser
from services.auth.main import build_app
from services.auth.tokens.refresh import GRACE
from services.chassis.testing import span_recorder
from services.chassis.web.identity import TokenVerifier
from services.chassis.web.problems import Unauthenticated
from services.chassis.web.revocations import Revocations
from services.lake.domain.roles import Role
from tests.conftest import Database
from tests.integration.auth.conftest import (
    PASSWORD,
    Clock,
    bearer,
    headers,
    log_in,
    quick_passwords,
    served,
    settings,
)

BEYOND_GRACE = GRACE + timedelta(seconds=1)


@asynccontextmanager
async def at(
    clock: Clock, database: Database, encryption_key: bytes, **changed: Any
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of auth, whose time is that of `clock`."""
    configured = settings(database.url("auth"), encryption_key).model_copy(update=changed)
    async with served(
        build_app(configured, span_recorder().telemetry, clock=clock, passwords=quick_passwords())
    ) as client:
        yield client


@pytest.fixture
async def clock() -> Clock:
    return Clock()


@pytest.fixture
async def auth(
    clock: Clock, users: Users, fresh_application: Database, encryption_key: bytes
) -> AsyncIterator[httpx.AsyncClient]:
    assert await users.find("ann")
    async with at(clock, fresh_application, encryption_key) as client:
        yield client


async def refresh(client: httpx.AsyncClient, token: str) -> httpx.Response:
    return await client.post("/token", data={"grant_type": "refresh_token", "refresh_token": token})


async def logged_in(client: httpx.AsyncClient, username: str = "ann") -> str:
    token: str = (await log_in(client, username)).json()["refresh_token"]
    return token


async def following(client: httpx.AsyncClient, token: str) -> str:
    response = await refresh(client, token)
    assert response.status_code == 200, response.text
    child: str = response.json()["refresh_token"]
    return child


def is_refused(response: httpx.Response) -> bool:
    """Whether it has the status and the members of RFC 6749, 5.2."""
    body = response.json()
    return (
        (response.status_code, body.get("error"), body.get("type"))
        == (400, "invalid_grant", "urn:creditmesh:problem:invalid-grant")
        and "error_description" in body
        and response.headers["cache-control"] == "no-store"
    )


def claims(response: httpx.Response) -> dict[str, Any]:
    found: dict[str, Any] = jwt.decode(response.json()["access_token"], options={"verify_signature": False})
    return found


def reuses() -> float:
    return REGISTRY.get_sample_value("auth_refresh_reuse_total") or 0.0


async def test_a_refresh_goes_on_with_the_session_and_its_login(
    auth: httpx.AsyncClient, clock: Clock
) -> None:
    login = await log_in(auth, "ann")
    clock.offset = timedelta(minutes=59)
    again = await refresh(auth, login.json()["refresh_token"])

    before, after = claims(login), claims(again)
    assert again.status_code == 200
    assert again.headers["cache-control"] == "no-store"
    assert login.json()["refresh_expires_in"] == again.json()["refresh_expires_in"] == 3600
    for same in ("sub", "sid", "auth_time", "amr", "scope", "roles", "client_id", "username"):
        assert before[same] == after[same], same
    assert after["exp"] - after["iat"] == 600
    assert before["jti"] != after["jti"]
    assert len(login.json()["refresh_token"]) == 43  # 256 bits


async def test_case_2_refreshing_at_once_100_times_gives_one_child_in_one_session(
    auth: httpx.AsyncClient, fresh_application: Database
) -> None:
    token = await logged_in(auth)
    answers = await asyncio.gather(*(refresh(auth, token) for _ in range(100)))

    async with fresh_application.connect() as owner:
        stored = await owner.fetch("SELECT parent_id, used_at FROM auth.refresh_token ORDER BY issued_at")
        ended = await owner.fetchval("SELECT count(*) FROM auth.sessions WHERE revoked_at IS NOT NULL")
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1
    assert len({claims(answer)["sid"] for answer in answers}) == 1
    assert [(row["parent_id"] is None, row["used_at"] is None) for row in stored] == [
        (True, False),
        (False, True),
    ]
    assert ended == 0


async def test_case_3_a_parent_after_its_child_was_used_ends_the_session_everywhere(
    client: httpx.AsyncClient, fresh_application: Database
) -> None:
    login = await log_in(client, "ann")
    parent = login.json()["refresh_token"]
    child = await following(client, parent)
    last = await refresh(client, child)
    jwks = (await client.get("/.well-known/jwks.json")).json()
    counted = reuses()

    repeated = await refresh(client, parent)

    # A service that polls now; the intervals of polling are tested in test_revocation.py.
    polled = Revocations("http://auth/revocations", transport=client._transport)
    verifier = TokenVerifier("creditmesh", jwks, revocations=polled)
    assert is_refused(repeated)
    for response in (login, last):
        with pytest.raises(Unauthenticated, match="ended"):
            await verifier.verify(response.json()["access_token"])
    assert (await client.get("/me", headers=bearer(last.json()["access_token"]))).status_code == 401
    # The thief's branch, or the user's: there is no way on.
    assert is_refused(await refresh(client, last.json()["refresh_token"]))
    assert reuses() == counted + 1
    async with fresh_application.connect() as owner:
        event = await owner.fetchrow("SELECT * FROM auth.event WHERE kind = 'refresh.reused'")
    assert event["object"] is not None
    assert event["actor"] is None, "nobody knows who it was"


async def test_case_4_no_refresh_after_logout(auth: httpx.AsyncClient) -> None:
    login = await log_in(auth, "ann")
    await auth.post("/logout", headers=bearer(login.json()["access_token"]))

    assert is_refused(await refresh(auth, login.json()["refresh_token"]))


@pytest.mark.parametrize("change", [{"roles": ["auditor"]}, {"disabled": True}])
async def test_case_4_no_refresh_after_a_change_of_the_user(
    users: Users, fresh_application: Database, encryption_key: bytes, change: dict[str, Any]
) -> None:
    ann, clock = await users.find("ann"), Clock(timedelta(minutes=-30))
    assert ann
    async with at(clock, fresh_application, encryption_key) as auth:
        token = await logged_in(auth)
        # By now the access token has expired: the refresh token alone keeps the session, which must end all the same.
        clock.offset = timedelta(0)
        changed = await auth.patch(f"/users/{ann.id}", json=change, headers=await headers(auth, "adam"))

        assert changed.status_code == 200
        assert is_refused(await refresh(auth, token))


async def test_case_4_no_refresh_of_other_sessions_after_a_new_password(auth: httpx.AsyncClient) -> None:
    mine, other = await log_in(auth, "ann"), await logged_in(auth)
    body = {"old_password": PASSWORD, "new_password": "seven purple otters juggle"}
    own = bearer(mine.json()["access_token"])
    assert (await auth.put("/me/password", json=body, headers=own)).status_code == 204

    assert is_refused(await refresh(auth, other))
    assert (await refresh(auth, mine.json()["refresh_token"])).status_code == 200


async def test_case_4_no_refresh_after_the_absolute_end_or_an_hour_of_rest(
    auth: httpx.AsyncClient, clock: Clock
) -> None:
    token, rested = await logged_in(auth), await logged_in(auth)
    for minutes in range(50, 12 * 60, 50):
        clock.offset = timedelta(minutes=minutes)
        token = await following(auth, token)
    clock.offset = timedelta(minutes=12 * 60 - 1)
    last = await refresh(auth, token)
    clock.offset = timedelta(hours=12)

    assert is_refused(await refresh(auth, rested))
    assert is_refused(await refresh(auth, last.json()["refresh_token"]))
    # No access token outlives the session either.
    assert last.json()["expires_in"] <= 60
    assert last.json()["refresh_expires_in"] <= 60


async def test_case_5_an_old_generation_within_the_grace_ends_the_session(auth: httpx.AsyncClient) -> None:
    parent = await logged_in(auth)
    newest = await following(auth, await following(auth, parent))

    assert is_refused(await refresh(auth, parent))
    assert is_refused(await refresh(auth, newest))


@pytest.mark.parametrize(("after", "answered"), [(GRACE - timedelta(seconds=1), True), (BEYOND_GRACE, False)])
async def test_the_newest_refresh_is_answered_again_for_ten_seconds(
    auth: httpx.AsyncClient, clock: Clock, after: timedelta, answered: bool
) -> None:
    parent = await logged_in(auth)
    child = await following(auth, parent)
    clock.offset = after
    again = await refresh(auth, parent)

    if answered:
        assert again.json()["refresh_token"] == child
    else:
        assert is_refused(again)
    assert (await refresh(auth, child)).status_code == (200 if answered else 400)


async def test_only_the_session_of_the_repeated_token_ends(auth: httpx.AsyncClient, clock: Clock) -> None:
    parent, other = await logged_in(auth), await logged_in(auth)
    await following(auth, parent)
    clock.offset = BEYOND_GRACE

    assert is_refused(await refresh(auth, parent))
    assert (await refresh(auth, other)).status_code == 200


@pytest.mark.parametrize("token", ["", "x", "x" * 43, "ünsinn", "a\x00b", " "])
async def test_what_is_no_refresh_token_is_refused_alike(auth: httpx.AsyncClient, token: str) -> None:
    response = await refresh(auth, token)

    # The form of an empty value is that of a missing one.
    assert is_refused(response) if token else response.status_code == 422


async def test_who_must_change_the_password_gets_no_refresh_token(
    auth: httpx.AsyncClient, users: Users
) -> None:
    await users.add(NewUser("new", "New", PASSWORD, frozenset({Role.MAKER})))

    body = (await log_in(auth, "new")).json()

    assert body["password_change_required"]
    assert (body["refresh_token"], body["refresh_expires_in"]) == (None, None)


async def test_the_lifetimes_are_settings(
    clock: Clock, users: Users, fresh_application: Database, encryption_key: bytes
) -> None:
    assert await users.find("ann")
    changed = {"auth_refresh_idle_minutes": 5, "auth_session_hours": 1}
    async with at(clock, fresh_application, encryption_key, **changed) as client:
        token = await logged_in(client)
        clock.offset = timedelta(minutes=4)
        token = await following(client, token)
        clock.offset = timedelta(minutes=9)
        assert is_refused(await refresh(client, token))


async def test_refresh_tokens_are_stored_as_hashes_and_forgotten_when_their_session_is_over(
    clock: Clock, users: Users, fresh_application: Database, encryption_key: bytes
) -> None:
    assert await users.find("ann")
    async with at(clock, fresh_application, encryption_key) as client:
        parent = await logged_in(client)
        child = await following(client, parent)
    async with fresh_application.connect() as owner:
        stored = str(await owner.fetch("SELECT * FROM auth.refresh_token"))
        kept = await owner.fetchval("SELECT count(*) FROM auth.refresh_token")
        clock.offset = timedelta(hours=26)
        async with at(clock, fresh_application, encryption_key):
            # It deletes at its first look at the keys.
            async with asyncio.timeout(10):
                while await owner.fetchval("SELECT count(*) FROM auth.refresh_token"):
                    await asyncio.sleep(0.01)

    assert kept == 2
    assert parent not in stored
    assert child not in stored
