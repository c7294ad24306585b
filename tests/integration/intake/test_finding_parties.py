"""Parties are found by what is exactly theirs, by who may see it, and told apart from those that may be the same."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from prometheus_client import REGISTRY, generate_latest

from services.chassis.testing import span_recorder
from services.chassis.web.identity import Caller
from services.intake.domain import Sought
from services.intake.parties.repository import select_found
from services.intake.parties.tags import PersonTags, TagKeys
from services.lake.database import Lake
from tests.integration.lending import TAG_KEY, Lending, User, assert_problem

BORN = "1986-04-01"


@pytest.fixture(autouse=True)
def no_upkeep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the tests fill: the service itself could come between."""

    async def nothing(*_: object) -> None:
        """Fill nothing."""

    monkeypatch.setattr(PersonTags, "keep_filled", nothing)


def somebody() -> dict[str, Any]:
    """Details that nobody else has."""
    number = uuid.uuid4().int
    return {
        "kind": "person",
        "full_name": f"Trần Thị {number % 10**6}".translate(str.maketrans("0123456789", "abcdefghij")),
        "birth_date": BORN,
        "national_id": f"AB {number % 10**9:09d}",
        "email": f"tran.{number % 10**12}@example.com",
        "phone": f"+8491{number % 10**7:07d}",
    }


async def add(
    lending: Lending, maker: User, details: dict[str, Any], key: str | None = None
) -> dict[str, Any]:
    response = await lending.intake.post("/parties", json=details, headers=maker.creating(key))
    assert response.status_code == 201, response.text
    view: dict[str, Any] = response.json()
    return view


async def found(lending: Lending, user: User, **sought: Any) -> list[str]:
    response = await lending.intake.get("/parties", params=sought, headers=user.headers)
    assert response.status_code == 200, response.text
    return [one["id"] for one in response.json()["items"]]


@asynccontextmanager
async def tagging(lending: Lending, keys: str = TAG_KEY) -> AsyncIterator[tuple[PersonTags, Lake]]:
    lake = Lake.open(lending.lake.url("intake"), service="test-tags", pool_size=2)
    yield PersonTags(TagKeys(keys)), lake
    await lake.dispose()


async def test_a_party_is_found_by_each_of_its_values_in_any_spelling(lending: Lending) -> None:
    maker, details = lending.user("maker"), somebody()
    made = await add(lending, maker, details)
    other = await add(lending, maker, somebody())
    for sought in (
        {"national_id": details["national_id"]},
        {"national_id": details["national_id"].lower().replace(" ", "-")},
        {"email": details["email"].upper()},
        {"phone": f"{details['phone'][:3]} {details['phone'][3:6]}-{details['phone'][6:]}"},
        {"email": details["email"], "phone": details["phone"]},
    ):
        assert await found(lending, maker, **sought) == [made["id"]], sought
    assert await found(lending, maker, email=details["email"], phone=other["phone"]) == []
    assert await found(lending, maker, email="nobody@example.com") == []
    # A number is not found as something else.
    digits = details["phone"].removeprefix("+")
    assert await found(lending, maker, national_id=digits) == []


async def test_what_is_sought_must_be_given_and_valid(lending: Lending) -> None:
    maker = lending.user("maker")

    async def refused(*pointers: str, **sought: str) -> None:
        response = await lending.intake.get("/parties", params=sought, headers=maker.headers)
        assert_problem(response, 422, *pointers)
        assert not any(value in response.text for value in sought.values())

    await refused("/query/national_id", "/query/email", "/query/phone")
    await refused("/query/email", email="no-address-of-anybody")
    await refused("/query/phone", phone="0912345678901")
    await refused("/query/national_id", national_id="!!!")
    await refused("/query/name", name="Somebody Unsaid")


async def test_a_change_moves_a_party_to_its_new_values(lending: Lending) -> None:
    maker, details, new = lending.user("maker"), somebody(), somebody()
    made = await add(lending, maker, details)
    changes = {"email": new["email"], "phone": None}
    headers = {**maker.headers, "If-Match": '"1"'}
    changed = await lending.intake.patch(f"/parties/{made['id']}", json=changes, headers=headers)
    assert changed.status_code == 200

    assert await found(lending, maker, email=new["email"]) == [made["id"]]
    assert await found(lending, maker, national_id=details["national_id"]) == [made["id"]]
    assert await found(lending, maker, email=details["email"]) == []
    assert await found(lending, maker, phone=details["phone"]) == []


async def test_nobody_finds_what_they_do_not_see_unmasked(lending: Lending) -> None:
    maker, details = lending.user("maker"), somebody()
    made = await add(lending, maker, details)
    seen = {
        role: await found(lending, lending.user(role), email=details["email"])
        for role in ("maker", "officer", "servicing", "auditor")
    }
    assert not any(seen.values()), seen
    for role in ("analyst", "administrator"):
        response = await lending.intake.get(
            "/parties", params={"email": details["email"]}, headers=lending.user(role).headers
        )
        assert_problem(response, 403)
    # Officers read the parties of what they decide on; an auditor sees them masked, and finds nothing.
    await lending.submitted(maker, parties=[{"party_id": made["id"], "role": "borrower"}])
    assert await found(lending, lending.user("officer"), email=details["email"]) == [made["id"]]
    assert await found(lending, lending.user("auditor"), email=details["email"]) == []
    assert await found(lending, lending.user("maker"), email=details["email"]) == []


async def test_many_with_one_number_come_in_pages_for_one_caller(lending: Lending) -> None:
    maker, phone = lending.user("maker"), somebody()["phone"]
    made = [(await add(lending, maker, {**somebody(), "phone": phone}))["id"] for _ in range(5)]
    pages: list[list[str]] = []
    after: dict[str, Any] = {}
    while True:
        response = await lending.intake.get(
            "/parties", params={"phone": phone, "limit": 2, **after}, headers=maker.headers
        )
        page = response.json()
        pages.append([one["id"] for one in page["items"]])
        if page["next"] is None:
            break
        after = {"after": page["next"]}
        assert phone.removeprefix("+") not in page["next"]
    assert pages == [made[:2], made[2:4], made[4:]]
    for user, sought in ((lending.user("maker"), phone), (maker, "+84912345678")):
        foreign = await lending.intake.get(
            "/parties", params={"phone": sought, "limit": 2, **after}, headers=user.headers
        )
        assert_problem(foreign, 400)


async def test_two_of_three_make_a_possible_duplicate(lending: Lending) -> None:
    maker, details = lending.user("maker"), somebody()
    first = await add(lending, maker, details)
    assert first["possible_duplicates"] == []
    twin = {**details, "national_id": None, "phone": None, "full_name": details["full_name"].upper()}
    second = await add(lending, maker, {**twin, "email": details["email"].upper()})
    assert second["possible_duplicates"] == [first["id"]]
    new = somebody()
    for one in (
        {**new, "email": details["email"]},
        {**new, "national_id": None, "full_name": details["full_name"], "birth_date": BORN},
        {**new, "national_id": None, "phone": details["phone"]},
        # The same name on another day is another person.
        {**new, "national_id": None, "email": details["email"], "birth_date": "1986-04-02"}
        | {"full_name": details["full_name"]},
    ):
        assert (await add(lending, maker, one))["possible_duplicates"] == [], one
    third = await add(lending, maker, twin)
    assert third["possible_duplicates"] == [first["id"], second["id"]]


async def test_a_confirmed_second_party_is_a_possible_duplicate_when_more_is_equal(lending: Lending) -> None:
    maker, details = lending.user("maker"), somebody()
    first = await add(lending, maker, details)
    body = {"national_id": details["national_id"], "reason": "Recorded twice at the branch."}
    confirmed = await lending.intake.post(
        "/national-id-confirmations", json=body, headers=lending.user("officer").creating()
    )
    assert confirmed.status_code == 201
    second = await add(
        lending,
        maker,
        {**somebody(), "national_id": details["national_id"]} | {"full_name": details["full_name"]},
    )
    assert second["possible_duplicates"] == [first["id"]]


async def test_nothing_tells_of_a_duplicate_that_is_hidden(lending: Lending) -> None:
    maker, other, details = lending.user("maker"), lending.user("maker"), somebody()
    await add(lending, maker, details)
    twin = {**details, "national_id": None}
    hidden = await add(lending, other, twin)
    unknown = await add(lending, other, {**somebody(), "national_id": None})
    assert hidden["possible_duplicates"] == unknown["possible_duplicates"] == []
    assert hidden.keys() == unknown.keys()


async def test_a_repeated_request_names_the_duplicates_of_now(lending: Lending) -> None:
    maker, details = lending.user("maker"), {**somebody(), "national_id": None}
    first = await add(lending, maker, details, key="twins")
    second = await add(lending, maker, details)
    again = await add(lending, maker, details, key="twins")
    assert again == {**first, "possible_duplicates": [second["id"]]}


async def test_parties_that_others_wrote_are_tagged_and_found(lending: Lending) -> None:
    maker, written, ids = lending.user("maker"), [somebody() for _ in range(3)], []
    async with lending.lake.connect() as connection:
        for one in written:
            ids.append(uuid.uuid4())
            await connection.execute(
                "INSERT INTO credit.party (id, kind, full_name, email, phone, created_by, created_at, revision)"
                " VALUES ($1, 'person', $2, $3, $4, $5, now(), 1)",
                ids[-1],
                one["full_name"],
                one["email"].upper(),
                "(024) 3825-" + one["phone"][-4:],
                maker.id,
            )
    email = written[0]["email"]
    async with tagging(lending) as (tags, lake):
        assert await tags.fill(lake) >= 3
        assert await tags.fill(lake) == 0
        assert await found(lending, maker, email=email) == [str(ids[0])]
        # A script that changes a party counts its revision up.
        async with lending.lake.connect() as connection:
            await connection.execute(
                "UPDATE credit.party SET email = NULL, revision = revision + 1 WHERE id = $1", ids[0]
            )
        assert await tags.fill(lake) == 1
    assert await found(lending, maker, email=email) == []


async def test_a_change_before_the_first_tags_is_tagged_later(lending: Lending) -> None:
    maker, details = lending.user("maker"), somebody()
    made = await add(lending, maker, details)
    async with lending.lake.connect() as connection:
        await connection.execute("DELETE FROM intake.person_tag WHERE party_id = $1", uuid.UUID(made["id"]))
    headers = {**maker.headers, "If-Match": '"1"'}
    new = somebody()["email"]
    changed = await lending.intake.patch(f"/parties/{made['id']}", json={"email": new}, headers=headers)
    assert changed.status_code == 200
    async with tagging(lending) as (tags, lake):
        assert await tags.fill(lake) == 1
    assert await found(lending, maker, email=new) == [made["id"]]


async def test_one_process_tags_at_a_time(lending: Lending) -> None:
    maker = lending.user("maker")
    made = await add(lending, maker, somebody())
    async with lending.lake.connect() as connection:
        await connection.execute("DELETE FROM intake.person_tag WHERE party_id = $1", uuid.UUID(made["id"]))
    async with tagging(lending) as (tags, lake):
        async with lake.transaction(actor="test") as other:
            assert await other.try_lock("intake:person-tags")
            assert await tags.fill(lake) == 0
        assert await tags.fill(lake) == 1


async def test_a_key_is_replaced_while_everybody_is_found(lending: Lending) -> None:
    maker, details, new = lending.user("maker"), somebody(), "another key of a test that tags parties"
    made = await add(lending, maker, details)
    sought = {"email": details["email"]}

    async def tags_of() -> Any:
        async with lending.lake.connect() as connection:
            return await connection.fetchrow(
                "SELECT * FROM intake.person_tag WHERE party_id = $1", uuid.UUID(made["id"])
            )

    old = await tags_of()
    async with tagging(lending, f"{new},{TAG_KEY}") as (both, lake), lake.reading() as reader:
        caller = Caller(maker.id, "maker", frozenset({"maker"}), frozenset())

        async def is_found(keys: str) -> bool:
            wanted = PersonTags(TagKeys(keys)).of(Sought(**sought))
            return (await reader.execute(select_found(wanted, caller, None, 2))).first() is not None

        assert await is_found(f"{new},{TAG_KEY}")
        assert not await is_found(new)
        while await both.fill(lake):
            pass
        assert await is_found(new)
        assert not await is_found(TAG_KEY)
        assert await is_found(f"{new},{TAG_KEY}")
    now = await tags_of()
    assert now["key_id"] != old["key_id"]
    assert now["email_tag"] != old["email_tag"]
    # Back, for the other tests of this module.
    async with tagging(lending) as (tags, lake):
        while await tags.fill(lake):
            pass
    assert await tags_of() == old


async def test_what_is_sought_is_in_no_log_span_or_metric(
    lending: Lending, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    maker, details = lending.user("maker"), somebody()
    await add(lending, maker, details)
    recorder = span_recorder()
    recorder.clear()
    secrets = {name: details[name] for name in ("national_id", "email", "phone")}
    for name, value in secrets.items():
        assert len(await found(lending, maker, **{name: value})) == 1
    for wrong in ({"email": f"{secrets['email']}@"}, {"phone": f"{secrets['phone']}x"}):
        response = await lending.intake.get("/parties", params=wrong, headers=maker.headers)
        assert response.status_code == 422
        assert not any(value in response.text for value in secrets.values())

    assert [span.name for span in recorder.spans].count("GET /parties") == 5
    spans = json.dumps([json.loads(span.to_json()) for span in recorder.spans])
    written = capfd.readouterr()
    emitted = [spans, caplog.text, written.out, written.err, generate_latest(REGISTRY).decode()]
    for value in secrets.values():
        for spelt in (value, value.lower(), value.replace(" ", "+"), value.replace("@", "%40"), value[3:]):
            assert not any(spelt in one for one in emitted), spelt
