"""The caller's own sessions, revocation of a token (RFC 7009), and the metadata (RFC 8414)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt
import pytest
from fastapi import FastAPI
from limits import parse

from services.chassis.web.limits.rates import RouteClass
from tests.conftest import Database
from tests.integration.auth.conftest import bearer, headers, log_in

NOBODY = "01980000-0000-7000-8000-000000000009"


async def refresh(client: httpx.AsyncClient, login: dict[str, Any]) -> httpx.Response:
    form = {"grant_type": "refresh_token", "refresh_token": login["refresh_token"]}
    return await client.post("/token", data=form)


def sid(login: dict[str, Any]) -> str:
    found: str = jwt.decode(login["access_token"], options={"verify_signature": False})["sid"]
    return found


async def test_everybody_lists_their_own_sessions_alone(client: httpx.AsyncClient) -> None:
    first, second = (await log_in(client, "ann")).json(), (await log_in(client, "ann")).json()
    await log_in(client, "adam")
    mine = bearer(second["access_token"])

    page = (await client.get("/sessions", headers=mine, params={"limit": 1})).json()
    rest = (await client.get("/sessions", headers=mine, params={"limit": 1, "after": page["next"]})).json()

    assert [one["id"] for one in page["items"] + rest["items"]] == [sid(second), sid(first)]
    assert [one["current"] for one in page["items"] + rest["items"]] == [True, False]
    assert rest["next"] is None
    shown = page["items"][0]
    times = {name: datetime.fromisoformat(shown[name]) for name in shown if name.endswith("_at")}
    assert times["expires_at"] - times["started_at"] == timedelta(minutes=60)
    assert times["ends_at"] - times["started_at"] == timedelta(hours=12)
    assert (shown["network"], shown["amr"]) == ("127.0.0.1", ["pwd"])


async def test_one_session_is_listed_once_however_often_it_is_refreshed(client: httpx.AsyncClient) -> None:
    login = (await log_in(client, "ann")).json()
    again = (await refresh(client, login)).json()
    again = (await refresh(client, again)).json()

    items = (await client.get("/sessions", headers=bearer(again["access_token"]))).json()["items"]

    assert [one["id"] for one in items] == [sid(login)]
    assert items[0]["last_used_at"] > items[0]["started_at"]


async def test_another_session_of_ones_own_is_ended(
    client: httpx.AsyncClient, fresh_application: Database
) -> None:
    lost, mine = (await log_in(client, "ann")).json(), (await log_in(client, "ann")).json()
    own = bearer(mine["access_token"])

    assert (await client.delete(f"/sessions/{sid(lost)}", headers=own)).status_code == 204

    assert (await refresh(client, lost)).status_code == 400
    assert (await client.get("/me", headers=bearer(lost["access_token"]))).status_code == 401
    assert (await client.get("/me", headers=own)).status_code == 200
    assert [one["id"] for one in (await client.get("/sessions", headers=own)).json()["items"]] == [sid(mine)]
    assert (await client.delete(f"/sessions/{sid(lost)}", headers=own)).status_code == 404
    async with fresh_application.connect() as owner:
        kinds = await owner.fetch("SELECT details->>'session' FROM auth.event WHERE kind = 'session.ended'")
    assert [row[0] for row in kinds] == [sid(lost)]


async def test_a_session_of_somebody_else_is_not_there(client: httpx.AsyncClient) -> None:
    foreign, mine = (await log_in(client, "adam")).json(), await headers(client, "ann")

    answers = [await client.delete(f"/sessions/{one}", headers=mine) for one in (sid(foreign), NOBODY)]

    bodies = [{**answer.json(), "trace_id": "", "instance": ""} for answer in answers]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert bodies[0] == bodies[1]
    assert (await refresh(client, foreign)).status_code == 200


async def test_one_logs_out_everywhere(client: httpx.AsyncClient) -> None:
    first, second = (await log_in(client, "ann")).json(), (await log_in(client, "ann")).json()
    other = (await log_in(client, "adam")).json()

    assert (await client.delete("/sessions", headers=bearer(first["access_token"]))).status_code == 204

    assert [(await refresh(client, login)).status_code for login in (first, second, other)] == [400, 400, 200]
    assert set((await client.get("/revocations")).json()["sids"]) == {sid(first), sid(second)}


@pytest.mark.parametrize("name", ["access_token", "refresh_token"])
@pytest.mark.parametrize("hint", [None, "access_token", "nonsense"])
async def test_a_revoked_token_ends_its_session(
    client: httpx.AsyncClient, name: str, hint: str | None
) -> None:
    login, other = (await log_in(client, "ann")).json(), (await log_in(client, "ann")).json()
    form = {"token": login[name]} | ({"token_type_hint": hint} if hint else {})

    revoked = await client.post("/revoke", data=form)

    assert (revoked.status_code, revoked.content) == (200, b"")
    assert (await refresh(client, login)).status_code == 400
    assert (await client.get("/me", headers=bearer(login["access_token"]))).status_code == 401
    assert (await client.post("/revoke", data=form)).status_code == 200
    assert (await refresh(client, other)).status_code == 200


async def test_what_is_no_token_of_ours_revokes_nothing(client: httpx.AsyncClient) -> None:
    login = (await log_in(client, "ann")).json()
    forged = jwt.encode({"sid": sid(login)}, key="x" * 32, algorithm="HS256")

    statuses = [
        (await client.post("/revoke", data={"token": token})).status_code
        for token in ("none", "a.b.c", forged, "ü\x00", "x" * 4096)
    ]

    assert statuses == [200] * 5
    assert (await client.post("/revoke", data={})).status_code == 422
    assert (await refresh(client, login)).status_code == 200


async def test_the_metadata_names_endpoints_that_are_there(client: httpx.AsyncClient) -> None:
    plain = await client.get("/.well-known/oauth-authorization-server")
    openid = await client.get("/.well-known/openid-configuration")

    found = plain.json()
    paths = (await client.get("/openapi.json")).json()["paths"]
    token = jwt.decode(
        (await log_in(client, "ann")).json()["access_token"], options={"verify_signature": False}
    )
    assert found["issuer"] == token["iss"]
    assert {urlsplit(found[one]).netloc for one in found if one.endswith(("_endpoint", "_uri"))} == {"auth"}
    for endpoint, method in (
        ("token_endpoint", "post"),
        ("revocation_endpoint", "post"),
        ("introspection_endpoint", "post"),
        ("jwks_uri", "get"),
    ):
        assert method in paths[urlsplit(found[endpoint]).path]
    assert set(found["grant_types_supported"]) == {"password", "refresh_token", "client_credentials"}
    assert set(token["scope"].split()) <= set(found["scopes_supported"])
    assert openid.json() == found | {
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["EdDSA"],
    }
    assert plain.headers["cache-control"] == "no-store"


async def test_verifiers_are_never_refused_keys_or_ended_sessions(
    app: FastAPI, client: httpx.AsyncClient
) -> None:
    app.state.rate_limits._items[RouteClass.READ] = parse("1/hour")

    answers = [await client.get("/users") for _ in range(2)]
    polled = [
        (await client.get(path)).status_code
        for path in ("/revocations", "/.well-known/jwks.json")
        for _ in range(3)
    ]

    assert [one.status_code for one in answers] == [401, 429]
    assert polled == [200] * 6
