import asyncio
from typing import Any

import asyncpg
import httpx
import jwt
import pytest

from services.auth.accounts.users import Users
from services.auth.commands import add_users
from services.auth.domain import NewUser
from services.lake.domain.roles import Role
from tests.conftest import Database
from tests.integration.auth.conftest import bearer, headers, log_in

NEW: dict[str, Any] = {
    "username": "Otto.Maker",
    "display_name": "Otto",
    "password": "a long enough password",
    "roles": ["maker"],
}
OTHER_PASSWORD = "seven purple otters juggle"


async def test_an_administrator_adds_a_user_who_can_log_in(client: httpx.AsyncClient) -> None:
    created = await client.post("/users", json=NEW, headers=await headers(client, "adam"))

    login = await log_in(client, "otto.maker", NEW["password"])
    assert created.status_code == 201
    assert NEW["password"] not in created.text
    assert login.status_code == 200


async def test_a_password_that_was_set_is_good_for_changing_it_alone(client: httpx.AsyncClient) -> None:
    await client.post("/users", json={**NEW, "roles": ["auditor"]}, headers=await headers(client, "adam"))
    first = (await log_in(client, "otto.maker", NEW["password"])).json()
    claims = jwt.decode(first["access_token"], options={"verify_signature": False})
    mine = bearer(first["access_token"])

    refused = await client.get("/events", headers=mine)
    body = {"old_password": NEW["password"], "new_password": OTHER_PASSWORD}
    changed = await client.put("/me/password", json=body, headers=mine)
    second = (await log_in(client, "otto.maker", OTHER_PASSWORD)).json()

    assert (first["roles"], first["password_change_required"]) == ([], True)
    assert (claims["scope"], claims["roles"]) == ("password:change", [])
    assert (refused.status_code, changed.status_code) == (403, 204)
    assert (second["roles"], second["password_change_required"]) == (["auditor"], False)
    assert (await client.get("/events", headers=bearer(second["access_token"]))).status_code == 200


async def test_a_password_that_was_set_is_not_kept_by_changing_it_to_itself(
    client: httpx.AsyncClient,
) -> None:
    await client.post("/users", json=NEW, headers=await headers(client, "adam"))
    mine = await headers(client, "otto.maker", NEW["password"])

    body = {"old_password": NEW["password"], "new_password": NEW["password"]}
    same = await client.put("/me/password", json=body, headers=mine)

    assert (same.status_code, same.json()["errors"][0]["pointer"]) == (422, "/body/new_password")


async def test_names_are_taken_whatever_their_case(client: httpx.AsyncClient) -> None:
    administrator = await headers(client, "adam")
    await client.post("/users", json=NEW, headers=administrator)

    again = await client.post("/users", json={**NEW, "username": "OTTO.maker"}, headers=administrator)

    assert (again.status_code, again.json()["title"]) == (409, "A user with this name exists")


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"password": "too short"}, "/body/password"),
        ({"password": "aaaaaaaaaaaa"}, "/body/password"),
        ({"password": "otto.maker.otto.maker"}, "/body/password"),
        ({"password": "Password1234!"}, "/body/password"),
        ({"username": "no spaces"}, "/body/username"),
        ({"roles": []}, "/body/roles"),
        ({"roles": ["king"]}, "/body/roles/0"),
        ({"display_name": "nul\x00"}, "/body/display_name"),
        ({"is_god": True}, "/body/is_god"),
    ],
)
async def test_what_is_no_user_is_refused_and_pointed_at(
    client: httpx.AsyncClient, change: dict[str, Any], pointer: str
) -> None:
    response = await client.post("/users", json={**NEW, **change}, headers=await headers(client, "adam"))

    assert (response.status_code, [error["pointer"] for error in response.json()["errors"]]) == (
        422,
        [pointer],
    )
    assert "too short" not in response.text


async def test_only_administrators_manage_users(client: httpx.AsyncClient) -> None:
    maker = await headers(client, "ann")

    assert (await client.get("/users", headers=maker)).status_code == 403
    assert (await client.post("/users", json=NEW, headers=maker)).status_code == 403
    assert (await client.get("/users")).status_code == 401


async def test_users_are_listed_in_pages(client: httpx.AsyncClient) -> None:
    administrator = await headers(client, "adam")
    await client.post("/users", json=NEW, headers=administrator)

    first = (await client.get("/users?limit=3", headers=administrator)).json()
    second = (await client.get(f"/users?limit=3&after={first['next']}", headers=administrator)).json()

    assert [user["username"] for user in first["items"]] == ["adam", "ann", "berta"]
    assert ([user["username"] for user in second["items"]], second["next"]) == (["ida", "Otto.Maker"], None)


@pytest.mark.parametrize("change", [{"disabled": True}, {"roles": ["auditor"]}])
async def test_a_change_ends_the_users_sessions(
    client: httpx.AsyncClient, users: Users, change: dict[str, Any]
) -> None:
    ann = await users.find("ann")
    assert ann
    session = await headers(client, "ann")

    changed = await client.patch(f"/users/{ann.id}", json=change, headers=await headers(client, "adam"))

    assert changed.status_code == 200
    assert (await client.get("/me", headers=session)).status_code == 401


async def test_a_disabled_user_cannot_log_in_and_is_not_told_why(
    client: httpx.AsyncClient, users: Users
) -> None:
    ann = await users.find("ann")
    assert ann
    await client.patch(f"/users/{ann.id}", json={"disabled": True}, headers=await headers(client, "adam"))

    refused = await log_in(client, "ann")

    assert (refused.status_code, refused.json()["title"]) == (401, "User name or password is wrong")


async def test_nobody_changes_their_own_roles(client: httpx.AsyncClient, users: Users) -> None:
    adam = await users.find("adam")
    assert adam

    response = await client.patch(
        f"/users/{adam.id}", json={"roles": ["administrator", "maker"]}, headers=await headers(client, "adam")
    )

    assert response.status_code == 403


async def test_two_administrators_cannot_remove_each_other_at_once(
    client: httpx.AsyncClient, users: Users
) -> None:
    adam = await users.find("adam")
    eve = await users.find("berta")
    assert adam
    assert eve
    both = [(adam, await headers(client, "berta")), (eve, await headers(client, "adam"))]

    answers = await asyncio.gather(
        *(
            client.patch(f"/users/{one.id}", json={"disabled": True}, headers=by, timeout=30)
            for one, by in both
        )
    )

    assert 200 in {answer.status_code for answer in answers}
    remaining = [await users.find(name) for name in ("adam", "berta")]
    assert [one.administers for one in remaining if one].count(True) == 1


async def test_an_unknown_user_is_not_found(client: httpx.AsyncClient) -> None:
    response = await client.patch(
        "/users/01980000-0000-7000-8000-000000000009",
        json={"disabled": True},
        headers=await headers(client, "adam"),
    )

    assert response.status_code == 404


async def test_commands_leave_an_existing_user_unchanged(users: Users, fresh_application: Database) -> None:
    before = await users.find("ann")
    new = [
        NewUser("ANN", "Other", "another long password", frozenset({Role.AUDITOR})),
        NewUser("carl", "Carl", "another long password", frozenset({Role.COMMITTEE})),
    ]

    lines = await add_users(fresh_application.url(), new)
    again = await add_users(fresh_application.url(), new)

    assert lines[0] == "ANN: exists, left unchanged"
    assert lines[1].startswith("carl: created with id ")
    assert again[1] == "carl: exists, left unchanged"
    assert await users.find("ann") == before


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM auth.users",
        "UPDATE auth.signing_keys SET public_key = ''",
        "CREATE TABLE auth.own (id integer)",
        "CREATE TABLE public.own (id integer)",
        "SELECT * FROM auth.alembic_version",
        "UPDATE auth.event SET actor = NULL",
        "DELETE FROM auth.event",
        "TRUNCATE auth.event",
        "DELETE FROM auth.proposals",
    ],
)
async def test_the_login_may_do_no_more_than_it_needs(fresh_application: Database, statement: str) -> None:
    async with fresh_application.connect("auth") as auth:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await auth.execute(statement)


@pytest.mark.parametrize("login", ["search", "sink", "relay"])
async def test_other_logins_see_nothing_of_it(fresh_application: Database, login: str) -> None:
    async with fresh_application.connect(login) as other:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await other.fetch("SELECT * FROM auth.users")
