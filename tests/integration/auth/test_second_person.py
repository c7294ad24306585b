"""Changes that need a second administrator, and their audit events."""

import asyncio
from typing import Any

import asyncpg
import httpx
import pytest

from services.auth.accounts.users import Users
from services.auth.domain import NewUser
from services.lake.domain.roles import OF_PEOPLE, POWERFUL, Role
from tests.conftest import Database
from tests.integration.auth.conftest import PASSWORD, headers, log_in

SECOND_PASSWORD = "seven purple otters juggle"


def new(role: str, name: str = "olga") -> dict[str, Any]:
    return {"username": name, "display_name": "Olga", "password": SECOND_PASSWORD, "roles": [role]}


async def settle(client: httpx.AsyncClient, proposal_id: str, how: str, by: str) -> httpx.Response:
    return await client.post(f"/proposals/{proposal_id}/{how}", headers=await headers(client, by))


async def id_of(users: Users, name: str) -> str:
    found = await users.find(name)
    assert found
    return str(found.id)


@pytest.mark.parametrize("role", sorted(OF_PEOPLE))
async def test_no_single_administrator_makes_a_user_who_decides_moves_money_or_grants_rights(
    client: httpx.AsyncClient, users: Users, role: Role
) -> None:
    answer = await client.post("/users", json=new(role), headers=await headers(client, "adam"))

    found = await users.find("olga")
    if role in POWERFUL:
        assert (answer.status_code, found) == (202, None)
        assert answer.json()["state"] == "pending"
        assert "password_hash" not in answer.text
        assert (await log_in(client, "olga", SECOND_PASSWORD)).status_code == 401
    else:
        assert answer.status_code == 201
        assert found


async def test_a_second_administrator_confirms_and_the_first_does_not(
    client: httpx.AsyncClient, users: Users
) -> None:
    proposed = await client.post("/users", json=new("officer"), headers=await headers(client, "adam"))
    proposal = proposed.json()["id"]

    waiting = await client.get("/proposals?state=pending", headers=await headers(client, "berta"))
    own = await settle(client, proposal, "confirmation", "adam")
    maker = await settle(client, proposal, "confirmation", "ann")
    auditor = await settle(client, proposal, "confirmation", "ida")
    confirmed = await settle(client, proposal, "confirmation", "berta")
    again = await settle(client, proposal, "confirmation", "berta")
    login = await log_in(client, "olga", SECOND_PASSWORD)

    assert proposed.headers["location"] == f"/proposals/{proposal}"
    assert [one["id"] for one in waiting.json()["items"]] == [proposal]
    assert [one.status_code for one in (own, maker, auditor, confirmed, again)] == [403, 403, 403, 200, 409]
    assert confirmed.json()["state"] == "confirmed"
    assert (login.json()["roles"], login.json()["password_change_required"]) == ([], True)
    created = await users.find("olga")
    assert created
    assert created.roles == {Role.OFFICER}


@pytest.mark.parametrize(
    "change",
    [
        {"roles": ["maker", "officer"]},
        {"roles": ["administrator"]},
        {"password": SECOND_PASSWORD},
        {"password": SECOND_PASSWORD, "disabled": True},
    ],
)
async def test_powerful_roles_and_passwords_of_others_are_proposed_and_change_nothing_yet(
    client: httpx.AsyncClient, users: Users, change: dict[str, Any]
) -> None:
    session, before = await headers(client, "ann"), await users.find("ann")
    assert before

    proposed = await client.patch(f"/users/{before.id}", json=change, headers=await headers(client, "adam"))

    assert proposed.status_code == 202
    assert await users.find("ann") == before
    assert (await client.get("/me", headers=session)).status_code == 200

    confirmed = await settle(client, proposed.json()["id"], "confirmation", "berta")

    after = await users.find("ann")
    assert confirmed.status_code == 200
    assert after
    assert after.roles == frozenset(change.get("roles", ["maker"]))
    assert after.must_change_password == ("password" in change)
    assert (await client.get("/me", headers=session)).status_code == 401


async def test_a_disabled_officer_is_not_brought_back_by_one_person(
    client: httpx.AsyncClient, users: Users
) -> None:
    otto = await users.add(NewUser("otto", "Otto", PASSWORD, frozenset({Role.OFFICER})))
    admin = await headers(client, "adam")

    off = await client.patch(f"/users/{otto.id}", json={"disabled": True}, headers=admin)
    on = await client.patch(f"/users/{otto.id}", json={"disabled": False}, headers=admin)
    taken = await client.patch(f"/users/{otto.id}", json={"roles": ["maker"]}, headers=admin)
    enabled = await client.patch(f"/users/{otto.id}", json={"disabled": False}, headers=admin)

    assert [one.status_code for one in (off, on, taken, enabled)] == [200, 202, 200, 200]


async def test_nobody_confirms_what_is_about_themselves(client: httpx.AsyncClient, users: Users) -> None:
    berta = await id_of(users, "berta")
    change = {"roles": ["administrator", "officer"]}
    proposed = await client.patch(f"/users/{berta}", json=change, headers=await headers(client, "adam"))

    answer = await settle(client, proposed.json()["id"], "confirmation", "berta")

    assert (proposed.status_code, answer.status_code) == (202, 403)


async def test_what_an_administrator_proposed_who_is_none_any_more_cannot_be_confirmed(
    client: httpx.AsyncClient, users: Users
) -> None:
    proposed = await client.post("/users", json=new("officer"), headers=await headers(client, "adam"))
    await client.patch(
        f"/users/{await id_of(users, 'adam')}",
        json={"disabled": True},
        headers=await headers(client, "berta"),
    )

    answer = await settle(client, proposed.json()["id"], "confirmation", "berta")

    assert answer.status_code == 409


async def test_a_proposal_for_a_user_who_has_changed_since_cannot_be_confirmed(
    client: httpx.AsyncClient, users: Users
) -> None:
    ann, admin = await id_of(users, "ann"), await headers(client, "adam")
    proposed = await client.patch(f"/users/{ann}", json={"roles": ["officer"]}, headers=admin)
    await client.patch(f"/users/{ann}", json={"roles": ["auditor"]}, headers=admin)

    answer = await settle(client, proposed.json()["id"], "confirmation", "berta")

    assert answer.status_code == 409


async def test_a_refused_or_expired_proposal_is_over_and_its_password_forgotten(
    client: httpx.AsyncClient, fresh_application: Database
) -> None:
    admin = await headers(client, "adam")
    refused, expired = [
        (await client.post("/users", json=new("officer", name), headers=admin)).json()["id"]
        for name in ("olga", "otto")
    ]

    assert (await settle(client, refused, "refusal", "berta")).json()["state"] == "refused"
    async with fresh_application.connect() as owner:
        await owner.execute(
            "UPDATE auth.proposals SET expires_at = now() - interval '1 second' WHERE id = $1", expired
        )
        left = await owner.fetchval("SELECT password_hash FROM auth.proposals WHERE id = $1", refused)

    answers = [await settle(client, one, "confirmation", "berta") for one in (refused, expired)]
    assert [one.status_code for one in answers] == [409, 409]
    assert left is None
    assert (await client.get(f"/proposals/{expired}", headers=admin)).json()["state"] == "expired"


async def test_two_confirmations_at_once_make_one_user(client: httpx.AsyncClient, users: Users) -> None:
    await users.add(
        NewUser("carl", "Carl", PASSWORD, frozenset({Role.ADMINISTRATOR}), must_change_password=False)
    )
    proposed = await client.post("/users", json=new("officer"), headers=await headers(client, "adam"))
    by = [await headers(client, name) for name in ("berta", "carl")]

    answers = await asyncio.gather(
        *(
            client.post(f"/proposals/{proposed.json()['id']}/confirmation", headers=one, timeout=30)
            for one in by
        )
    )

    assert sorted(answer.status_code for answer in answers) == [200, 409]


@pytest.mark.parametrize("person", ["proposed_by", "user_id"])
async def test_the_database_refuses_a_confirmation_by_the_same_person(
    client: httpx.AsyncClient, fresh_application: Database, users: Users, person: str
) -> None:
    change = {"roles": ["administrator", "officer"]}
    berta = await id_of(users, "berta")
    await client.patch(f"/users/{berta}", json=change, headers=await headers(client, "adam"))

    async with fresh_application.connect("auth") as auth:
        with pytest.raises(asyncpg.CheckViolationError):
            await auth.execute(
                f"UPDATE auth.proposals SET confirmed_by = {person}, confirmed_at = now(), password_hash = NULL"
            )


async def test_every_act_is_in_the_record_with_who_whom_and_where(
    client: httpx.AsyncClient, users: Users
) -> None:
    adam, berta = await id_of(users, "adam"), await id_of(users, "berta")
    proposed = await client.post("/users", json=new("officer"), headers=await headers(client, "adam"))
    await settle(client, proposed.json()["id"], "confirmation", "berta")
    await log_in(client, "olga", "a wrong password")
    await log_in(client, "Secret Name Typed", "a wrong password")

    olga = await id_of(users, "olga")
    auditor = await headers(client, "ida")
    about = (await client.get(f"/events?user={olga}", headers=auditor)).json()["items"]
    everything = (await client.get("/events?limit=200", headers=auditor)).json()
    refused = (await client.get("/events?kind=login.refused", headers=auditor)).json()["items"]

    assert [(one["kind"], one["actor"]) for one in reversed(about)] == [
        ("proposal.made", adam),
        ("proposal.confirmed", berta),
        ("user.created", berta),
        ("login.refused", None),
    ]
    assert {one["address"] for one in about} == {"127.0.0.1"}
    assert all(one["trace_id"] for one in about)
    assert len(refused) == 2
    assert all(len(one["name_sha256"]) == 64 for one in refused)
    assert "Secret Name Typed" not in str(everything)
    assert "argon2" not in str(everything)
    assert {"key.created", "login.accepted"} <= {one["kind"] for one in everything["items"]}


async def test_the_record_is_read_by_auditors_and_administrators_in_pages(client: httpx.AsyncClient) -> None:
    for name, status in (("ann", 403), ("ida", 200), ("adam", 200)):
        assert (await client.get("/events", headers=await headers(client, name))).status_code == status
    auditor = await headers(client, "ida")
    whole = (await client.get("/events", headers=auditor)).json()["items"]
    seen, after = [], ""
    while True:
        page = (await client.get(f"/events?limit=2{after}", headers=auditor)).json()
        seen += page["items"]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"

    assert [one["id"] for one in seen] == [one["id"] for one in whole]


async def test_not_even_the_owner_of_the_tables_rewrites_the_record(
    users: Users, fresh_application: Database
) -> None:
    assert await users.find("ann")
    async with fresh_application.connect() as owner:
        assert await owner.fetchval("SELECT count(*) FROM auth.event") > 0
        for statement in (
            "UPDATE auth.event SET actor = NULL",
            "DELETE FROM auth.event",
            "TRUNCATE auth.event",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await owner.execute(statement)
