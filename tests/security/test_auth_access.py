"""The table of access on auth: every role on every route, and who must change their password first."""

from __future__ import annotations

import re
from collections.abc import Callable

import httpx

from services.auth.accounts.users import Users
from services.auth.domain import NewUser
from services.lake.domain.roles import OF_PEOPLE, Role
from tests.integration.auth.conftest import (  # noqa: F401 - fixtures
    PASSWORD,
    app,
    client,
    encryption_key,
    headers,
    users,
)
from tests.security.access_world import AUTH_ROUTES, OPEN

NOBODY = "01980000-0000-7000-8000-000000000009"


async def test_case_14_each_role_meets_what_the_table_says(
    client: httpx.AsyncClient,  # noqa: F811
    users: Users,  # noqa: F811
    record_property: Callable[[str, object], None],
) -> None:
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
    for (method, path), (allowed, options) in AUTH_ROUTES.items():
        for name, own in callers.items():
            place = re.sub(r"\{[a-z_]+\}", NOBODY, path)
            answer = await client.request(method, place, headers=own, **options)
            assert answer.status_code < 500, answer.text
            no_scope = "insufficient_scope" in answer.headers.get("www-authenticate", "")
            # After as many wrong secrets of clients as here, their network is refused by 429.
            seen[method, path, name] = answer.status_code not in {401, 429} and not no_scope
            expected[method, path, name] = allowed is OPEN or name in allowed

    assert found == set(AUTH_ROUTES), "say in tests/security/access_world.py who may call a new route"
    record_property("calls", len(seen))
    assert seen == expected
