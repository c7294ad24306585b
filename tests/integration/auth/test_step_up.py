"""Step-up (RFC 9470): who changes users has logged in within the last 15 minutes."""

from __future__ import annotations

from datetime import timedelta

from services.auth.accounts.users import Users
from tests.conftest import Database
from tests.integration.auth.conftest import PASSWORD, Clock, bearer, log_in
from tests.integration.auth.test_refresh import at, refresh

NEW = {"username": "max", "display_name": "Max", "password": "seven purple otters juggle", "roles": ["maker"]}


async def test_case_11_changing_users_needs_a_recent_login(
    users: Users, fresh_application: Database, encryption_key: bytes
) -> None:
    clock = Clock(timedelta(minutes=-20))
    assert await users.find("ann")
    async with at(clock, fresh_application, encryption_key) as client:
        login = (await log_in(client, "adam")).json()
        clock.offset = timedelta(0)
        # A refresh proves nothing about who sits there.
        old = bearer((await refresh(client, login["refresh_token"])).json()["access_token"])
        new = bearer((await log_in(client, "adam", PASSWORD)).json()["access_token"])

        refused = await client.post("/users", json=NEW, headers=old)
        read = await client.get("/users", headers=old)
        allowed = await client.post("/users", json=NEW, headers=new)

    challenge = refused.headers["www-authenticate"]
    assert refused.status_code == 401
    assert 'error="insufficient_user_authentication"' in challenge
    assert 'max_age="900"' in challenge
    assert (refused.json()["type"], refused.json()["max_age"]) == (
        "urn:creditmesh:problem:login-too-old",
        900,
    )
    assert (read.status_code, allowed.status_code) == (200, 201)
