"""The table of access: every role, every route, own and foreign things; what lists, searches and names give away."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from services.lake.domain.roles import Role
from tests.conftest import Database
from tests.integration.lending import Lending, User, assert_problem
from tests.security.access_world import PERSONAL, ROUTES, SEES, World, outcome

SERVICES = ("intake", "approval", "search")
NAME = "Nguyễn Văn Đạt"


@pytest.fixture(scope="module")
async def world(lake: Database, application: Database) -> AsyncIterator[World]:
    async with Lending.over(lake, application) as lending:
        yield await World.over(lending)


async def documented(client: httpx.AsyncClient) -> set[tuple[str, str]]:
    paths = (await client.get("/openapi.json")).json()["paths"]
    return {(method.upper(), path) for path, methods in paths.items() for method in methods}


async def test_every_route_has_an_entry_in_the_table(world: World) -> None:
    found = {(service, *route) for service in SERVICES for route in await documented(world.client(service))}

    assert found == set(ROUTES), (
        "say in tests/security/access_world.py who may call a new route, and what it is about"
    )


@pytest.mark.parametrize("key", ROUTES, ids=" ".join)
async def test_case_14_each_role_meets_what_the_table_says(
    world: World, key: tuple[str, str, str], record_property: Callable[[str, object], None]
) -> None:
    route = ROUTES[key]
    things = world.things[route.thing] if route.thing else {("", ""): None}
    seen: dict[tuple[Any, ...], str] = {}
    expected: dict[tuple[Any, ...], str] = {}
    for place, thing in things.items():
        seen["nobody", place] = outcome(await world.call(key, {}, thing))
        expected["nobody", place] = "no token"
        for role, caller in world.callers.items():
            seen[role, place] = outcome(await world.call(key, caller.headers, thing))
            if role not in route.roles:
                expected[role, place] = "no scope"
            elif thing is None or route.sees(role, place):
                expected[role, place] = "seen"
            else:
                expected[role, place] = "hidden"

    assert seen == expected
    record_property("calls", len(seen))


@pytest.mark.parametrize("key", [key for key, route in ROUTES.items() if route.thing], ids=" ".join)
async def test_case_14_what_is_hidden_looks_like_what_does_not_exist(
    world: World, key: tuple[str, str, str], record_property: Callable[[str, object], None]
) -> None:
    route, calls = ROUTES[key], 0
    nothing = str(uuid.uuid4())
    for role in route.roles:
        for place, thing in world.things[route.thing or ""].items():
            if route.sees(role, place):
                continue
            hidden = await world.call(key, world.callers[role].headers, thing)
            missing = await world.call(key, world.callers[role].headers, nothing)
            bodies = [
                {
                    name: str(value).replace(str(one), "…")
                    for name, value in answer.json().items()
                    if name != "trace_id"
                }
                for answer, one in ((hidden, thing), (missing, nothing))
            ]
            calls += 2
            assert bodies[0] == bodies[1]
    record_property("calls", calls)


def visible(world: World, role: Role, *stages: str) -> set[str]:
    return {
        thing
        for place, thing in world.things["application"].items()
        if place[0] in stages and role in SEES[place]
    }


async def pages(
    client: httpx.AsyncClient, path: str, caller: User, **parameters: Any
) -> list[dict[str, Any]]:
    """Every item, one a page: the cursor carries the condition too."""
    items: list[dict[str, Any]] = []
    after: dict[str, str] = {}
    while True:
        response = await client.get(path, params={**parameters, "limit": 1, **after}, headers=caller.headers)
        assert response.status_code == 200, response.text
        page = response.json()
        items += page["items"]
        if page["next"] is None:
            return items
        after = {"after": page["next"]}


@pytest.mark.parametrize("role", sorted(set(Role) - {Role.ADMINISTRATOR}))
async def test_lists_hold_what_single_reads_show(world: World, role: Role) -> None:
    caller = world.callers[role]

    found = await pages(world.lending.search, "/applications", caller)
    loans = await pages(world.lending.intake, "/loans", caller)

    assert {one["id"] for one in found} == visible(world, role, "submitted", "loan")
    assert {one["application_id"] for one in loans} == visible(world, role, "loan")


@pytest.mark.parametrize("role", [Role.OFFICER, Role.SENIOR_OFFICER, Role.COMMITTEE])
async def test_the_queue_holds_nothing_of_ones_own(world: World, role: Role) -> None:
    maker = world.callers[Role.MAKER]
    both = world.lending.user("maker", role, id=maker.id)

    waiting = {one["id"] for one in await pages(world.lending.approval, "/queue", both)}

    own = {thing for place, thing in world.things["application"].items() if place[1] == "own"}
    assert not waiting & own
    assert (world.things["application"]["submitted", "foreign"] in waiting) == (role == Role.OFFICER)


@pytest.mark.parametrize(("service", "path"), [("search", "/applications"), ("approval", "/queue")])
async def test_case_16_another_callers_cursor_is_refused(world: World, service: str, path: str) -> None:
    client, caller = world.client(service), world.callers[Role.OFFICER]
    first = (await client.get(path, params={"limit": 1}, headers=caller.headers)).json()

    page = {"limit": 1, "after": first["next"]}
    own = await client.get(path, params={**page, "limit": 2}, headers=caller.headers)
    foreign = await client.get(path, params=page, headers=world.lending.user("officer").headers)

    assert own.status_code == 200
    assert first["items"][0]["id"] not in {one["id"] for one in own.json()["items"]}
    assert_problem(foreign, 400)


@pytest.mark.parametrize("source", ["replica", "lake"])
@pytest.mark.parametrize(
    ("role", "name", "shows"),
    [
        (Role.MAKER, NAME, PERSONAL["email"]),
        (Role.OFFICER, NAME, PERSONAL["email"]),
        (Role.SERVICING, NAME, PERSONAL["email"]),
        (Role.AUDITOR, NAME, "n•••@example.com"),
        (Role.ANALYST, None, None),
    ],
)
async def test_personal_data_is_clear_masked_or_absent(
    world: World, source: str, role: Role, name: str | None, shows: str | None
) -> None:
    application = world.things["application"]["loan", "own"]
    headers = world.callers[role].headers

    answer = await world.lending.search.get(
        f"/applications/{application}", params={"source": source}, headers=headers
    )
    approval = await world.lending.approval.get(f"/applications/{application}", headers=headers)

    (party,) = answer.json()["parties"]
    assert (party["full_name"], party["email"]) == (name, shows)
    assert [one["full_name"] for one in approval.json()["parties"]] == [name]
    if role in {Role.AUDITOR, Role.ANALYST}:
        for secret in (*PERSONAL.values(), "1990-01-02", "222345678901"):
            assert secret not in answer.text
        assert (party["birth_date"], party["phone"] in {None, "•••678"}) == (None, True)
    else:
        assert party["birth_date"] == "1990-01-02"


async def test_the_audit_shows_what_a_version_froze_of_its_parties_masked(world: World) -> None:
    application = world.things["application"]["loan", "own"]
    headers = world.callers[Role.AUDITOR].headers

    answer = await world.lending.search.get(f"/applications/{application}/audit", headers=headers)

    (frozen,) = [
        one["image"] for one in answer.json()["items"] if one["table"] == "credit.application_version_party"
    ]
    assert (frozen["full_name"], frozen["national_id"], frozen["birth_date"]) == (NAME, "•••901", None)
    for secret in (PERSONAL["email"], PERSONAL["phone"], "222345678901", "1990-01-02"):
        assert secret not in answer.text


async def test_who_sees_a_party_masked_does_not_store_the_mask(world: World) -> None:
    both = world.lending.user("officer", "auditor")
    party = world.things["party"]["draft", "foreign"]
    headers = {**both.headers, "If-Match": '"1"'}

    seen = await world.lending.intake.get(f"/parties/{party}", headers=both.headers)
    changed = await world.lending.intake.patch(
        f"/parties/{party}", json={"phone": "+84900000000"}, headers=headers
    )

    assert (seen.status_code, seen.json()["national_id"]) == (200, "•••901")
    assert changed.status_code == 404


async def test_auditors_see_every_party_masked(world: World) -> None:
    headers = world.callers[Role.AUDITOR].headers
    for party in world.things["party"].values():
        body = (await world.lending.intake.get(f"/parties/{party}", headers=headers)).json()

        assert (body["full_name"], body["email"]) == (NAME, "n•••@example.com")
        assert body["birth_date"] is None
        assert body["national_id"] == "•••901"


@pytest.mark.parametrize(
    ("role", "words", "found"),
    [
        (Role.OFFICER, "dat", True),
        (Role.OFFICER, "nguyen.van", True),
        (Role.AUDITOR, "dat", True),
        (Role.AUDITOR, "example", False),
        (Role.ANALYST, "dat", False),
        (Role.ANALYST, "example", False),
        (Role.ANALYST, "radio", True),
        (Role.SERVICING, "dat", True),
    ],
)
async def test_nobody_finds_by_what_they_do_not_see(
    world: World, role: Role, words: str, found: bool
) -> None:
    items = await pages(world.lending.search, "/applications", world.callers[role], q=words)

    assert {one["id"] for one in items} == (visible(world, role, "submitted", "loan") if found else set())
    assert {one["borrower_name"] for one in items} <= ({None} if role == Role.ANALYST else {NAME})
    fields = {mark["field"] for one in items for mark in one["highlights"]}
    assert fields <= ({"purpose"} if role == Role.ANALYST else {"borrower_name"})


async def test_rights_add_up_and_personal_data_is_clear_only_where_a_role_makes_it_so(world: World) -> None:
    maker = world.callers[Role.MAKER]
    both = world.lending.user("maker", "analyst", id=maker.id)

    items = await pages(world.lending.search, "/applications", both)
    by_name = await pages(world.lending.search, "/applications", both, q="dat")

    own = visible(world, Role.MAKER, "submitted", "loan")
    assert {one["id"] for one in items} == visible(world, Role.ANALYST, "submitted", "loan")
    assert {one["id"] for one in items if one["borrower_name"] is not None} == own
    assert {one["id"] for one in by_name} == own


async def test_a_foreign_party_cannot_be_put_on_ones_own_application(world: World) -> None:
    lending = world.lending
    for roles in (("maker",), ("maker", "auditor")):
        caller = lending.user(*roles, id=world.callers[Role.MAKER].id)
        foreign = world.things["party"]["draft", "foreign"]
        body = {**world.content, "parties": [{"party_id": foreign, "role": "borrower"}], "submit": False}

        answer = await lending.post(caller, body)

        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (
            422,
            "/body/parties/0/party_id",
        )


async def test_what_a_maker_saves_after_a_return_is_not_the_officers_to_read(world: World) -> None:
    lending, maker, officer = world.lending, world.callers[Role.MAKER], world.callers[Role.OFFICER]
    view = await lending.submitted(maker, purpose="furniture")
    returned = await lending.decide(
        officer, view["id"], 1, "return", reason_code="incomplete_documents", comment="payslip"
    )
    assert returned.status_code == 200, returned.text
    saved = {**world.content, "purpose": "secret plans", "parties": view["parties"]}
    headers = {**maker.headers, "If-Match": '"2"'}
    draft = await lending.intake.put(f"/applications/{view['id']}/draft", json=saved, headers=headers)
    assert draft.status_code == 200, draft.text

    read = {
        role: (await lending.intake.get(f"/applications/{view['id']}", headers=caller.headers)).json()[
            "purpose"
        ]
        for role, caller in world.callers.items()
        if role in {Role.MAKER, Role.OFFICER, Role.AUDITOR}
    }

    assert read == {Role.MAKER: "secret plans", Role.OFFICER: "furniture", Role.AUDITOR: "secret plans"}
    await lending.act(lending.intake, maker, view["id"], "withdrawal", 3)


async def test_a_kept_answer_is_given_again_to_its_own_caller_alone(world: World) -> None:
    lending, maker, other = world.lending, world.callers[Role.MAKER], world.lending.user("maker")
    body = {**world.content, "submit": False}
    key = str(uuid.uuid4())

    first = await lending.post(maker, body, key)
    again = await lending.post(maker, body, key)
    foreign = await lending.post(other, body, key)

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["idempotency-replayed"] == "true"
    # For the other maker the key is new, and the party is none that they may use.
    assert foreign.status_code == 422
