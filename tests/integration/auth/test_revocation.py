"""Ended sessions, from auth to the services that verify its tokens."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
import jwt
import pytest
import uvicorn
from fastapi import Depends, FastAPI

from services.auth.accounts.passwords import Passwords
from services.auth.accounts.users import Users
from services.auth.main import build_app
from services.chassis.settings import ServiceSettings
from services.chassis.testing import span_recorder
from services.chassis.web.app import create_app
from services.chassis.web.identity import Caller, authenticated
from services.chassis.web.input.body_limit import bounded_router
from tests.conftest import Database
from tests.integration.auth.conftest import PASSWORD, bearer, headers, log_in, settings

WITHIN_SECONDS = 5.0
NEW = "seven purple otters juggle"


@asynccontextmanager
async def listening(app: FastAPI) -> AsyncIterator[str]:
    """The address of `app` behind a socket."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving


def another_service(auth: str) -> FastAPI:
    """A service that knows of auth no more than where its keys are."""
    router = bounded_router()

    @router.get("/who")
    async def who(caller: Annotated[Caller, Depends(authenticated)]) -> str:
        return caller.username

    return create_app(
        service="example",
        title="Example",
        summary="A service for tests.",
        settings=ServiceSettings(http_port=0, auth_jwks_url=f"{auth}/.well-known/jwks.json"),
        telemetry=span_recorder().telemetry,
        routers=[router],
    )


@pytest.mark.parametrize("how", ["log out", "disable", "roles", "own password", "repeated refresh"])
async def test_an_ended_session_is_refused_by_every_service_within_five_seconds(
    users: Users, fresh_application: Database, encryption_key: bytes, how: str
) -> None:
    ann = await users.find("ann")
    assert ann
    auth_app = build_app(settings(fresh_application.url("auth"), encryption_key), span_recorder().telemetry)
    async with listening(auth_app) as address, httpx.AsyncClient(base_url=address) as auth:
        while (await auth.get("/.well-known/jwks.json")).status_code == 503:
            await asyncio.sleep(0.01)
        app = another_service(address)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://example") as service,
        ):
            login = (await log_in(auth, "ann")).json()
            ended = bearer(login["access_token"])
            other, admin = await headers(auth, "ann"), await headers(auth, "adam")
            assert (await service.get("/who", headers=ended)).status_code == 200
            assert (await service.get("/who", headers=other)).status_code == 200

            if how == "log out":
                await auth.post("/logout", headers=ended)
            elif how == "repeated refresh":
                tokens = [login["refresh_token"]]
                for _ in range(2):
                    form = {"grant_type": "refresh_token", "refresh_token": tokens[-1]}
                    tokens.append((await auth.post("/token", data=form)).json()["refresh_token"])
                form = {"grant_type": "refresh_token", "refresh_token": tokens[0]}
                assert (await auth.post("/token", data=form)).status_code == 400
            elif how == "own password":
                body = {"old_password": PASSWORD, "new_password": NEW}
                assert (await auth.put("/me/password", json=body, headers=other)).status_code == 204
            else:
                change: dict[str, Any] = {"disabled": True} if how == "disable" else {"roles": ["auditor"]}
                answer = await auth.patch(f"/users/{ann.id}", json=change, headers=admin)
                assert answer.status_code == 200
            started = time.monotonic()
            while (await service.get("/who", headers=ended)).status_code == 200:
                assert time.monotonic() - started < WITHIN_SECONDS
                await asyncio.sleep(0.05)

            refused = await service.get("/who", headers=ended)
            assert refused.status_code == 401
            assert "ended" in refused.json()["detail"]
            goes_on = how in {"log out", "own password", "repeated refresh"}
            assert (await service.get("/who", headers=other)).status_code == (200 if goes_on else 401)


async def test_the_list_holds_ended_sessions_and_answers_304_while_it_stays(
    client: httpx.AsyncClient,
) -> None:
    empty = await client.get("/revocations")
    mine = await headers(client, "ann")
    session = jwt.decode(mine["Authorization"].split()[1], options={"verify_signature": False})["sid"]
    await client.post("/logout", headers=mine)
    await asyncio.sleep(0.6)

    ended = await client.get("/revocations", headers={"If-None-Match": empty.headers["etag"]})
    same = await client.get("/revocations", headers={"If-None-Match": ended.headers["etag"]})

    assert (empty.json(), ended.json()) == ({"sids": []}, {"sids": [session]})
    assert (ended.status_code, same.status_code, same.content) == (200, 304, b"")


async def test_ones_own_password_needs_the_old_one_and_ends_the_other_sessions(
    client: httpx.AsyncClient,
) -> None:
    mine, other = await headers(client, "ann"), await headers(client, "ann")

    wrong = await client.put(
        "/me/password", json={"old_password": "no idea", "new_password": NEW}, headers=mine
    )
    missing = await client.put("/me/password", json={"new_password": NEW}, headers=mine)
    done = await client.put(
        "/me/password", json={"old_password": PASSWORD, "new_password": NEW}, headers=mine
    )

    assert (wrong.status_code, missing.status_code, done.status_code) == (403, 422, 204)
    assert (await client.get("/me", headers=mine)).status_code == 200
    assert (await client.get("/me", headers=other)).status_code == 401
    assert (await log_in(client, "ann")).status_code == 401
    assert (await log_in(client, "ann", NEW)).status_code == 200


async def test_a_stolen_token_is_no_way_to_guess_the_password(client: httpx.AsyncClient) -> None:
    mine = await headers(client, "ann")

    statuses = [
        (
            await client.put(
                "/me/password", json={"old_password": f"guess {n}", "new_password": NEW}, headers=mine
            )
        ).status_code
        for n in range(7)
    ]

    assert statuses == [403] * 5 + [429] * 2


async def test_administrators_change_their_own_password_with_the_old_one_too(
    client: httpx.AsyncClient, users: Users
) -> None:
    adam = await users.find("adam")
    assert adam

    answer = await client.patch(
        f"/users/{adam.id}", json={"password": NEW}, headers=await headers(client, "adam")
    )

    assert answer.status_code == 403


async def test_a_login_under_way_while_the_user_is_disabled_opens_no_session(
    client: httpx.AsyncClient, users: Users, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = await users.find("ann")
    assert ann
    admin = await headers(client, "adam")
    matches = Passwords.matches

    async def slowly(self: Passwords, encoded: str | None, password: str) -> bool:
        found = await matches(self, encoded, password)
        answer = await client.patch(f"/users/{ann.id}", json={"disabled": True}, headers=admin)
        assert answer.status_code == 200
        return found

    monkeypatch.setattr(Passwords, "matches", slowly)

    assert (await log_in(client, "ann")).status_code == 401


async def test_the_claims_are_those_of_an_access_token(client: httpx.AsyncClient) -> None:
    token = (await log_in(client, "ann")).json()["access_token"]
    claims = jwt.decode(token, options={"verify_signature": False})

    assert jwt.get_unverified_header(token)["typ"] == "at+jwt"
    assert claims.keys() >= {
        *("iss", "aud", "sub", "sid", "jti", "iat", "exp", "auth_time", "amr", "scope", "roles", "client_id")
    }
    assert claims["exp"] - claims["iat"] == 600
    assert claims["sid"] != claims["jti"]
    assert (await client.get("/me", headers=bearer(token))).status_code == 200


async def test_a_session_is_listed_until_its_tokens_expire_whatever_lifetime_new_ones_have(
    client: httpx.AsyncClient, fresh_application: Database
) -> None:
    long, short = await headers(client, "ann"), await headers(client, "ann")
    sids = [
        jwt.decode(one["Authorization"].split()[1], options={"verify_signature": False})["sid"]
        for one in (long, short)
    ]
    for one in (long, short):
        await client.post("/logout", headers=one)
    async with fresh_application.connect() as owner:
        # Ended half an hour ago; one by a token of an hour, from before the setting was changed.
        for sid, minutes in zip(sids, (30, -1), strict=True):
            await owner.execute(
                "UPDATE auth.sessions SET revoked_at = now() - interval '30 minutes', "
                "expires_at = now() + $2 * interval '1 minute' WHERE id = $1",
                sid,
                minutes,
            )
    await asyncio.sleep(0.6)

    assert (await client.get("/revocations")).json() == {"sids": [sids[0]]}
