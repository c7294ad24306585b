import asyncio
from collections import Counter

import httpx
import jwt
import pytest

from services.auth.accounts.users import Users
from services.auth.domain import FREE_ATTEMPTS
from services.auth.main import build_app
from services.chassis.testing import span_recorder
from services.chassis.web.health import CACHE_SECONDS
from services.chassis.web.identity import TokenVerifier
from tests.conftest import Database
from tests.integration.auth.conftest import PASSWORD, Wire, bearer, headers, log_in, served, settings


async def test_a_login_gives_a_token_that_the_key_set_verifies(client: httpx.AsyncClient) -> None:
    response = await log_in(client, "Ann")
    jwks = (await client.get("/.well-known/jwks.json")).json()

    body = response.json()
    caller = await TokenVerifier("creditmesh", jwks).verify(body["access_token"])
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    assert (body["token_type"], body["expires_in"], body["roles"]) == ("bearer", 600, ["maker"])
    assert (caller.username, caller.roles) == ("ann", frozenset({"maker"}))
    assert "applications:submit" in caller.scopes
    claims = jwt.decode(body["access_token"], options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 600


async def test_me_tells_who_is_logged_in(client: httpx.AsyncClient) -> None:
    body = (await client.get("/me", headers=await headers(client, "ann"))).json()

    assert (body["username"], body["display_name"], body["roles"]) == ("ann", "Ann", ["maker"])
    assert "password_hash" not in body
    assert "argon2" not in str(body)


async def test_case_13_unknown_wrong_and_disabled_look_the_same(
    client: httpx.AsyncClient, users: Users
) -> None:
    ida = await users.find("ida")
    assert ida
    admin = await headers(client, "adam")
    await client.patch(f"/users/{ida.id}", json={"disabled": True}, headers=admin)
    answers = [
        await log_in(client, "ida"),
        await log_in(client, "ann", "wrong password"),
        await log_in(client, "nobody", "wrong password"),
        await log_in(client, "nobody\x00 ' --", "wrong password"),
    ]

    bodies = [{**answer.json(), "trace_id": ""} for answer in answers]
    assert [answer.status_code for answer in answers] == [401] * 4
    assert all(body == bodies[0] for body in bodies)


@pytest.mark.parametrize("username", ["ann", "nobody"])
async def test_repeated_failures_lock_the_name_whether_a_user_has_it_or_not(
    client: httpx.AsyncClient, username: str
) -> None:
    refused = [(await log_in(client, username, "wrong password")).status_code for _ in range(FREE_ATTEMPTS)]
    locked = await log_in(client, username)

    assert refused == [401] * FREE_ATTEMPTS
    assert locked.status_code == 429
    assert 0 < int(locked.headers["retry-after"]) <= 60


async def test_guesses_sent_all_at_once_are_counted_too(client: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(log_in(client, "ann", f"wrong password {n}") for n in range(20)))

    statuses = Counter(answer.status_code for answer in answers)
    assert set(statuses) == {401, 429}
    # One more guess may be under way in each of the other slots when the last free one fails.
    assert statuses[401] <= FREE_ATTEMPTS + 1


async def test_a_success_forgets_the_failures_before_it(client: httpx.AsyncClient) -> None:
    for _ in range(2):
        for _ in range(FREE_ATTEMPTS - 1):
            assert (await log_in(client, "ann", "wrong password")).status_code == 401
        assert (await log_in(client, "ann")).status_code == 200


async def test_a_session_ends_with_the_logout_and_other_sessions_go_on(client: httpx.AsyncClient) -> None:
    first, second = await headers(client, "ann"), await headers(client, "ann")

    statuses = [
        (await client.post("/logout", headers=first)).status_code,
        (await client.get("/me", headers=first)).status_code,
        (await client.post("/logout", headers=first)).status_code,
        (await client.get("/me", headers=second)).status_code,
    ]

    assert statuses == [204, 401, 204, 200]


async def test_a_login_needs_the_form(client: httpx.AsyncClient) -> None:
    assert (await client.post("/token", data={"username": "ann"})).status_code == 422
    assert (await client.post("/token", json={"username": "ann", "password": PASSWORD})).status_code == 415
    refused = await client.post("/token", data={"grant_type": "x", "username": "ann", "password": PASSWORD})
    assert refused.status_code == 422
    assert PASSWORD not in refused.text


async def test_case_6_without_its_database_login_is_unavailable_and_tokens_still_verify(
    users: Users, fresh_application: Database, encryption_key: bytes
) -> None:
    assert await users.find("ann")
    async with Wire.to(fresh_application.url("auth")) as wire:
        app = build_app(settings(wire.url, encryption_key), span_recorder().telemetry)
        async with served(app) as client:
            token = (await log_in(client, "ann")).json()["access_token"]
            before = await client.get("/readyz")

            await wire.cut()
            login, me = await log_in(client, "ann"), await client.get("/me", headers=bearer(token))
            jwks = await client.get("/.well-known/jwks.json")
            await asyncio.sleep(CACHE_SECONDS)
            ready = await client.get("/readyz")

            await wire.mend()
            again = await log_in(client, "ann")

    assert (before.status_code, login.status_code, me.status_code, ready.status_code) == (200, 503, 503, 503)
    assert login.headers["content-type"] == "application/problem+json"
    assert "retry-after" in login.headers
    assert (await TokenVerifier("creditmesh", jwks.json()).verify(token)).username == "ann"
    assert again.status_code == 200


async def test_passwords_and_tokens_reach_neither_spans_nor_logs_nor_the_database(
    client: httpx.AsyncClient, fresh_application: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    recorder = span_recorder()
    recorder.clear()
    login = (await log_in(client, "ann")).json()
    token, refresh = login["access_token"], login["refresh_token"]
    form = {"grant_type": "refresh_token", "refresh_token": refresh}
    following = (await client.post("/token", data=form)).json()["refresh_token"]
    await log_in(client, "ann", "wrong password")

    spans = "".join(span.to_json() for span in recorder.spans)
    async with fresh_application.connect() as owner:
        stored = "".join(
            [
                str(row)
                for table in (
                    *("users", "sessions", "refresh_token", "login_failures", "signing_keys", "event"),
                    "proposals",
                )
                for row in await owner.fetch(f"SELECT * FROM auth.{table}")
            ]
        )
    printed = capsys.readouterr().out
    assert "POST /token" in spans
    assert "argon2id" in stored
    for secret in (PASSWORD, "wrong password", token, refresh, following):
        assert secret not in spans
        assert secret not in printed
        assert secret not in stored
    assert "argon2id" not in spans
