"""The sessions on the server: what is stored, when tokens are refreshed, what happens while auth is away."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import timedelta

import httpx
import pytest

from services.chassis.web.http import HttpClient
from services.dashboard.clients import auth as auth_client
from tests.integration.dashboard.conftest import Desk


async def test_the_table_holds_neither_the_cookie_nor_a_token(desk: Desk) -> None:
    browser = await desk.logged_in("mia")
    value = browser.http.cookies["session"]
    async with desk.database.connect() as owner:
        row = await owner.fetchrow(
            "SELECT *, session::text AS whole FROM dashboard.session WHERE cookie_sha256 = $1",
            hashlib.sha256(value.encode()).digest(),
        )
    assert row is not None
    assert value not in row["whole"]
    stored = bytes(row["tokens_encrypted"])
    # A token of auth begins with the base64 of {"alg".
    assert b"eyJhbGci" not in stored
    assert value.encode() not in stored


async def test_a_refresh_token_is_used_once_however_many_ask(desk: Desk) -> None:
    browser = await desk.logged_in("mia")
    desk.clock.offset = timedelta(minutes=9, seconds=30)
    try:
        answers = await asyncio.gather(*(browser.http.get("/_dash-dependencies") for _ in range(20)))
        assert [answer.status_code for answer in answers] == [200] * 20
        async with desk.database.connect() as owner:
            used = await owner.fetch(
                "SELECT count(used_at) AS used, bool_or(s.revoked_at IS NOT NULL) AS ended "
                "FROM auth.refresh_token JOIN auth.sessions s ON s.id = session_id "
                "GROUP BY session_id ORDER BY max(refresh_token.issued_at) DESC LIMIT 1"
            )
        assert (used[0]["used"], used[0]["ended"]) == (1, False)
    finally:
        desk.clock.offset = timedelta()


async def test_while_auth_is_away_a_session_goes_on_as_long_as_its_token(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = await desk.logged_in("mia")

    async def away(*_: object, **__: object) -> httpx.Response:
        raise auth_client.AuthUnreachable("auth does not answer")

    monkeypatch.setattr(auth_client.Auth, "_call", away)
    try:
        desk.clock.offset = timedelta(minutes=5)
        assert (await browser.http.get("/search")).status_code == 200
        desk.clock.offset = timedelta(minutes=11)
        answer = await browser.http.get("/search")
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
    finally:
        desk.clock.offset = timedelta()
    login = await desk.browser().log_in("mia")
    assert login.status_code == 503
    assert 'role="alert"' in login.text


async def test_one_request_of_a_session_waits_for_a_slow_auth_and_the_next_ones_do_not(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = await desk.logged_in("mia")
    asked = 0

    async def slow(*_: object, **__: object) -> httpx.Response:
        nonlocal asked
        asked += 1
        await asyncio.sleep(60)
        raise AssertionError("nobody waits a minute")

    monkeypatch.setattr(auth_client, "CHECK_SECONDS", 0.2)
    monkeypatch.setattr(HttpClient, "request", slow)
    try:
        for seconds, calls in ((31, 1), (32, 1), (35, 1), (37, 2), (38, 2)):
            desk.clock.offset = timedelta(seconds=seconds)
            assert (await browser.http.get("/search")).status_code == 200
            assert asked == calls
    finally:
        desk.clock.offset = timedelta()


async def test_a_new_role_counts_within_thirty_seconds(desk: Desk) -> None:
    browser = await desk.logged_in("ada")
    async with desk.database.connect() as owner:
        await owner.execute("UPDATE auth.users SET roles = '{administrator}' WHERE username = 'ada'")
    desk.clock.offset = timedelta(seconds=31)
    try:
        assert (await browser.http.get("/search")).status_code == 403
    finally:
        desk.clock.offset = timedelta()
