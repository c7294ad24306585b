"""Service clients: two administrators for each secret, the grant client_credentials, and introspection (RFC 7662)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import jwt
import pytest

from services.auth.accounts.users import Users
from services.auth.domain import FREE_ATTEMPTS
from services.chassis.web.identity import TokenVerifier
from tests.conftest import Database
from tests.integration.auth.conftest import Clock, bearer, headers, log_in
from tests.integration.auth.test_refresh import at

BODY = {
    "name": "portal",
    "display_name": "Partner portal",
    "scopes": ["applications:read", "applications:submit"],
}


@dataclass
class World:
    """A client of auth, with two administrators who are logged in."""

    http: httpx.AsyncClient
    adam: dict[str, str]
    berta: dict[str, str]

    async def created(self, **changes: Any) -> dict[str, Any]:
        """A client whose secret waits."""
        response = await self.http.post("/clients", json={**BODY, **changes}, headers=self.adam)
        assert response.status_code == 201, response.text
        body: dict[str, Any] = response.json()
        return body

    async def confirm(self, made: dict[str, Any], by: dict[str, str] | None = None) -> httpx.Response:
        place = f"/clients/{made['client_id']}/secrets/{made['secret_id']}/confirmation"
        return await self.http.post(place, headers=by or self.berta)

    async def working(self) -> dict[str, Any]:
        """A client whose secret works."""
        made = await self.created()
        assert (await self.confirm(made)).status_code == 200
        return made

    async def replaced(self, made: dict[str, Any], **body: Any) -> httpx.Response:
        return await self.http.post(f"/clients/{made['client_id']}/secrets", json=body, headers=self.adam)

    async def token(self, made: dict[str, Any], **changes: Any) -> httpx.Response:
        form = {name: made[name] for name in ("client_id", "client_secret")} | changes
        return await self.http.post("/token", data={"grant_type": "client_credentials", **form})


@pytest.fixture
async def world(client: httpx.AsyncClient) -> World:
    return World(client, await headers(client, "adam"), await headers(client, "berta"))


def is_refused(response: httpx.Response) -> bool:
    return (response.status_code, response.json().get("error")) == (401, "invalid_client")


async def test_a_secret_works_once_a_second_administrator_has_confirmed_it(world: World) -> None:
    made = await world.created()

    before = await world.token(made)
    alone = await world.confirm(made, by=world.adam)
    confirmed = await world.confirm(made)
    after = await world.token(made)
    again = await world.confirm(made)

    assert is_refused(before)
    assert (alone.status_code, alone.json()["type"]) == (403, "urn:creditmesh:problem:second-person-needed")
    assert (confirmed.status_code, after.status_code, again.status_code) == (200, 200, 404)
    assert [one["state"] for one in confirmed.json()["secrets"]] == ["active"]
    claims = jwt.decode(after.json()["access_token"], options={"verify_signature": False})
    assert (claims["sub"], claims["client_id"]) == (made["client_id"], made["client_id"])
    assert (claims["roles"], claims["sid"]) == (["service"], made["secret_id"])
    assert claims["scope"] == after.json()["scope"] == "applications:read applications:submit"
    assert "refresh_token" not in after.json()
    assert not {"auth_time", "amr"} & claims.keys()
    jwks = (await world.http.get("/.well-known/jwks.json")).json()
    caller = await TokenVerifier("creditmesh", jwks).verify(after.json()["access_token"])
    assert (caller.username, caller.roles, caller.auth_time) == ("portal", frozenset({"service"}), None)


async def test_case_8_scopes_never_exceed_the_clients(world: World) -> None:
    made = await world.working()

    fewer = await world.token(made, scope="applications:read")
    beyond = [
        await world.token(made, scope=scope)
        for scope in ("parties:read", "applications:read users:manage", "applications:decide", "nonsense")
    ]

    assert (fewer.status_code, fewer.json()["scope"]) == (200, "applications:read")
    assert {(one.status_code, one.json()["error"]) for one in beyond} == {(400, "invalid_scope")}
    for scope in ("applications:decide", "loans:service", "users:manage", "parties:correct"):
        body = {**BODY, "name": "other", "scopes": [scope]}
        assert (await world.http.post("/clients", json=body, headers=world.adam)).status_code == 422


async def test_case_8_whatever_is_wrong_with_a_client_is_answered_alike(world: World) -> None:
    made, waiting = await world.working(), await world.created(name="waiting")
    disabled = await world.created(name="disabled")
    await world.confirm(disabled)
    place = f"/clients/{disabled['client_id']}"
    assert (await world.http.patch(place, json={"disabled": True}, headers=world.adam)).status_code == 200
    unknown = "01980000-0000-7000-8000-000000000009"

    answers = [
        await world.token(made, client_secret="x" * 43),
        await world.token(made, client_secret=""),
        await world.token(made, client_id=unknown),
        await world.token(made, client_id="no id \x00"),
        await world.token(made, client_id=waiting["client_id"]),
        await world.token(waiting),
        await world.token(disabled),
        await world.http.post("/token", data={"grant_type": "client_credentials"}),
    ]

    bodies = [{**answer.json(), "trace_id": ""} for answer in answers]
    assert all(is_refused(answer) for answer in answers)
    assert all(body == bodies[0] for body in bodies)
    assert {answer.headers["www-authenticate"] for answer in answers} == {'Basic realm="creditmesh"'}


async def test_a_network_that_fails_often_waits_and_a_right_secret_never_does(
    world: World, fresh_application: Database
) -> None:
    made = await world.working()

    statuses = [
        (await world.token(made, client_secret=f"wrong {n}")).status_code for n in range(FREE_ATTEMPTS + 3)
    ]

    assert statuses == [401] * FREE_ATTEMPTS + [429] * 3
    assert (await world.token(made)).status_code == 200
    async with fresh_application.connect() as owner:
        events = await owner.fetchval("SELECT count(*) FROM auth.event WHERE kind = 'client.refused'")
    assert events == FREE_ATTEMPTS


async def test_a_client_may_send_its_secret_by_basic_authentication(world: World) -> None:
    made = await world.working()
    basic = httpx.BasicAuth(made["client_id"], made["client_secret"])
    wrong = httpx.BasicAuth(made["client_id"], "wrong")

    form = {"grant_type": "client_credentials"}
    assert (await world.http.post("/token", data=form, auth=basic)).status_code == 200
    assert is_refused(await world.http.post("/token", data=form, auth=wrong))


async def test_a_new_secret_replaces_the_one_before_with_its_tokens(world: World) -> None:
    made = await world.working()
    token = (await world.token(made)).json()["access_token"]
    given_up = (await world.replaced(made)).json()
    made_anew = (await world.replaced(made, scopes=["parties:read"])).json()

    assert (await world.confirm(given_up)).status_code == 404, "one secret waits at a time"
    assert (await world.token(made)).status_code == 200, "the old one works until the new one is confirmed"
    assert (await world.confirm(made_anew)).status_code == 200
    assert is_refused(await world.token(made))
    after = await world.token(made_anew)
    assert (after.status_code, after.json()["scope"]) == (200, "parties:read")
    # Every service refuses the tokens of the old secret at its next poll.
    assert (await world.http.get("/revocations")).json() == {"sids": [made["secret_id"]]}
    form = {"token": token, "client_id": made["client_id"], "client_secret": made_anew["client_secret"]}
    assert (await world.http.post("/introspect", data=form)).json() == {"active": False}


async def test_without_scopes_a_new_secret_has_those_of_the_one_before(world: World) -> None:
    made = await world.working()

    again = (await world.replaced(made)).json()

    assert again["client"]["secrets"][-1]["scopes"] == BODY["scopes"]


async def test_a_disabled_client_ends_at_once_and_needs_two_people_to_come_back(world: World) -> None:
    made = await world.working()
    place = f"/clients/{made['client_id']}"

    disabled = await world.http.patch(place, json={"disabled": True}, headers=world.adam)
    none = await world.replaced(made, scopes=["parties:read"])
    enabled = await world.http.patch(place, json={"disabled": False}, headers=world.adam)

    assert (disabled.json()["disabled"], disabled.json()["secrets"]) == (True, [])
    assert none.status_code == 409
    assert (enabled.json()["disabled"], enabled.json()["secrets"]) == (False, [])
    assert is_refused(await world.token(made))
    assert (await world.http.get("/revocations")).json() == {"sids": [made["secret_id"]]}
    unsaid = await world.replaced(made)
    assert unsaid.status_code == 422, "nothing says which scopes"
    back = (await world.replaced(made, scopes=["parties:read"])).json()
    assert is_refused(await world.token(back))
    await world.confirm(back)
    assert (await world.token(back)).status_code == 200


async def test_a_refused_secret_never_works(world: World) -> None:
    made = await world.created()
    place = f"/clients/{made['client_id']}/secrets/{made['secret_id']}"

    refused = await world.http.post(f"{place}/refusal", headers=world.adam)

    assert (refused.status_code, refused.json()["secrets"]) == (200, [])
    assert (await world.confirm(made)).status_code == 404
    assert is_refused(await world.token(made))


async def test_a_secret_is_confirmed_in_time_and_while_its_proposer_administers(
    users: Users, fresh_application: Database, encryption_key: bytes
) -> None:
    clock, adam = Clock(timedelta(hours=-73)), await users.find("adam")
    assert adam
    async with at(clock, fresh_application, encryption_key) as client:
        world = World(client, {}, {})
        clock.offset = timedelta(0)
        world.adam, world.berta = await headers(client, "adam"), await headers(client, "berta")
        clock.offset = timedelta(hours=-73)
        late = await world.created()
        clock.offset = timedelta(0)
        orphan = await world.created(name="orphan")

        assert (await world.confirm(late)).status_code == 404
        change = {"disabled": True}
        changed = await client.patch(f"/users/{adam.id}", json=change, headers=world.berta)
        assert changed.status_code == 200
        answer = await world.confirm(orphan)

    assert (answer.status_code, answer.json()["type"]) == (409, "urn:creditmesh:problem:proposal-outdated")


async def test_clients_ask_about_access_tokens(world: World) -> None:
    made = await world.working()
    login = (await log_in(world.http, "ann")).json()
    own = (await world.token(made)).json()["access_token"]
    basic = httpx.BasicAuth(made["client_id"], made["client_secret"])

    async def asked(token: str) -> dict[str, Any]:
        response = await world.http.post("/introspect", data={"token": token}, auth=basic)
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found

    of_ann, of_client = await asked(login["access_token"]), await asked(own)
    assert (of_ann["active"], of_ann["username"], of_ann["token_type"]) == (True, "ann", "bearer")
    assert of_ann["scope"] == "applications:read applications:submit parties:read parties:write"
    assert (of_client["active"], of_client["client_id"]) == (True, made["client_id"])
    assert "auth_time" not in of_client
    for nothing in (login["refresh_token"], "none", "a.b.c", own[:-6] + "AAAAAA"):
        assert await asked(nothing) == {"active": False}
    await world.http.post("/logout", headers=bearer(login["access_token"]))
    assert await asked(login["access_token"]) == {"active": False}


async def test_nobody_else_asks_about_tokens(world: World) -> None:
    login = (await log_in(world.http, "ann")).json()
    form = {"token": login["access_token"]}

    assert is_refused(await world.http.post("/introspect", data=form))
    assert is_refused(await world.http.post("/introspect", data=form, headers=world.adam))


async def test_a_program_is_no_user(world: World) -> None:
    token = (await world.token(await world.working())).json()["access_token"]

    for method, path in (("GET", "/me"), ("GET", "/sessions"), ("DELETE", "/sessions")):
        assert (await world.http.request(method, path, headers=bearer(token))).status_code == 401
    for path in ("/users", "/clients", "/events"):
        assert (await world.http.get(path, headers=bearer(token))).status_code == 403
    user = {
        "username": "max",
        "display_name": "Max",
        "password": "seven purple otters juggle",
        "roles": ["service"],
    }
    assert (await world.http.post("/users", json=user, headers=world.adam)).status_code == 422


async def test_the_token_of_a_program_cannot_be_revoked_and_the_answer_says_so(world: World) -> None:
    token = (await world.token(await world.working())).json()["access_token"]

    answer = await world.http.post("/revoke", data={"token": token})

    assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_token_type")


async def test_names_are_taken_once_and_listed_without_secrets(world: World) -> None:
    made = await world.created()

    taken = await world.http.post("/clients", json={**BODY, "name": "Portal"}, headers=world.berta)
    listed = await world.http.get("/clients", headers=world.berta)
    one = await world.http.get(f"/clients/{made['client_id']}", headers=world.berta)

    assert taken.status_code == 409
    assert [item["name"] for item in listed.json()["items"]] == ["portal"]
    assert one.json() == listed.json()["items"][0] == made["client"]
    assert made["client_secret"] not in listed.text


async def test_what_happens_to_clients_is_recorded_and_secrets_are_not(
    world: World, fresh_application: Database
) -> None:
    made = await world.working()
    await world.token(made)
    await world.token(made, client_secret="wrong")

    async with fresh_application.connect() as owner:
        kinds = await owner.fetch("SELECT kind FROM auth.event WHERE kind LIKE 'client.%' ORDER BY at, id")
        stored = str(await owner.fetch("SELECT * FROM auth.client_secret")) + str(
            await owner.fetch("SELECT * FROM auth.event")
        )
    assert [row["kind"].removeprefix("client.") for row in kinds] == [
        "created",
        "secret_made",
        "secret_confirmed",
        "accepted",
        "refused",
    ]
    assert made["client_secret"] not in stored
