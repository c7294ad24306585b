"""Every role on every route of auth, and who must change their password first."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import httpx

from services.auth.accounts.users import Users
from services.auth.domain import NewUser
from services.lake.domain.roles import OF_PEOPLE, Role
from tests.integration.auth.conftest import PASSWORD, headers

NOBODY = "01980000-0000-7000-8000-000000000009"
OPEN, EVERYBODY = frozenset({"nobody"}), frozenset({"must change", *OF_PEOPLE})
ADMINISTRATORS: frozenset[str] = frozenset({Role.ADMINISTRATOR})
REVIEWERS: frozenset[str] = frozenset({Role.ADMINISTRATOR, Role.AUDITOR})
# Who gets past authentication and scope; none of these calls changes anything.
ROUTES: Mapping[tuple[str, str], tuple[frozenset[str], dict[str, Any]]] = {
    ("POST", "/token"): (OPEN, {"data": {"username": "ann"}}),
    # Without a client's secret it is 401 whoever calls: tested in test_clients.py.
    ("POST", "/introspect"): (frozenset(), {"data": {"token": "none"}}),
    ("GET", "/.well-known/jwks.json"): (OPEN, {}),
    ("GET", "/.well-known/oauth-authorization-server"): (OPEN, {}),
    ("GET", "/.well-known/openid-configuration"): (OPEN, {}),
    ("GET", "/revocations"): (OPEN, {}),
    ("POST", "/revoke"): (OPEN, {"data": {"token": "none"}}),
    ("GET", "/sessions"): (EVERYBODY, {}),
    ("DELETE", "/sessions/{session_id}"): (EVERYBODY, {}),
    ("GET", "/me"): (EVERYBODY, {}),
    ("PUT", "/me/password"): (EVERYBODY, {"json": {}}),
    ("GET", "/users"): (REVIEWERS, {}),
    ("POST", "/users"): (ADMINISTRATORS, {"json": {}}),
    ("PATCH", "/users/{user_id}"): (ADMINISTRATORS, {"json": {"disabled": False}}),
    ("POST", "/users/{user_id}/reset-codes"): (ADMINISTRATORS, {}),
    ("POST", "/users/{user_id}/reset-codes/{code_id}/confirmation"): (ADMINISTRATORS, {}),
    ("POST", "/password-resets"): (OPEN, {"json": {}}),
    ("DELETE", "/users/{user_id}/otp"): (ADMINISTRATORS, {}),
    ("POST", "/me/otp/confirmation"): (EVERYBODY, {"json": {}}),
    ("POST", "/me/otp/recovery-codes"): (EVERYBODY, {"json": {}}),
    ("POST", "/me/otp/removal"): (EVERYBODY, {"json": {}}),
    ("POST", "/me/otp"): (EVERYBODY, {}),
    ("GET", "/proposals"): (REVIEWERS, {}),
    ("GET", "/proposals/{proposal_id}"): (REVIEWERS, {}),
    ("POST", "/proposals/{proposal_id}/confirmation"): (ADMINISTRATORS, {}),
    ("POST", "/proposals/{proposal_id}/refusal"): (ADMINISTRATORS, {}),
    ("GET", "/events"): (REVIEWERS, {}),
    ("GET", "/clients"): (REVIEWERS, {}),
    ("POST", "/clients"): (ADMINISTRATORS, {"json": {}}),
    ("GET", "/clients/{client_id}"): (REVIEWERS, {}),
    ("PATCH", "/clients/{client_id}"): (ADMINISTRATORS, {"json": {"disabled": True}}),
    ("POST", "/clients/{client_id}/secrets"): (ADMINISTRATORS, {"json": {}}),
    ("POST", "/clients/{client_id}/secrets/{secret_id}/confirmation"): (ADMINISTRATORS, {}),
    ("POST", "/clients/{client_id}/secrets/{secret_id}/refusal"): (ADMINISTRATORS, {}),
    # Last: they end the sessions.
    ("DELETE", "/sessions"): (EVERYBODY, {}),
    ("POST", "/logout"): (EVERYBODY, {}),
}


async def test_each_role_meets_what_the_table_says(client: httpx.AsyncClient, users: Users) -> None:
    for role in OF_PEOPLE:
        await users.add(NewUser(f"u.{role}", role, PASSWORD, frozenset({role}), must_change_password=False))
    await users.add(NewUser("u.new", "New", PASSWORD, frozenset({Role.ADMINISTRATOR})))
    callers: dict[str, dict[str, str]] = {role: await headers(client, f"u.{role}") for role in OF_PEOPLE}
    callers["must change"] = await headers(client, "u.new")
    callers["nobody"] = {}
    documented = (await client.get("/openapi.json")).json()["paths"]
    found = {(method.upper(), path) for path, methods in documented.items() for method in methods}

    seen: dict[tuple[str, ...], bool] = {}
    expected: dict[tuple[str, ...], bool] = {}
    for (method, path), (allowed, options) in ROUTES.items():
        for name, own in callers.items():
            place = re.sub(r"\{[a-z_]+\}", NOBODY, path)
            answer = await client.request(method, place, headers=own, **options)
            assert answer.status_code < 500, answer.text
            no_scope = "insufficient_scope" in answer.headers.get("www-authenticate", "")
            # After as many wrong secrets of clients as here, their network is refused by 429.
            seen[method, path, name] = answer.status_code not in {401, 429} and not no_scope
            expected[method, path, name] = allowed is OPEN or name in allowed

    assert found == set(ROUTES), "say here who may call a new route"
    assert seen == expected
