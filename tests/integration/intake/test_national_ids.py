"""One national id, one party, unless an officer confirms another: for every spelling and order of requests."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter

import asyncpg
import httpx
import pytest

from services.intake.parties.national_ids import FILL_LOCK, NationalIds, key_of
from services.lake.database import Lake
from tests.integration.lending import Lending, User, assert_problem


def new_id() -> str:
    """A national id that nobody has."""
    number = uuid.uuid4().int % 10**9
    return f"ab-{number // 10**6:03d}.{number // 10**3 % 10**3:03d}/{number % 10**3:03d}"


async def add(lending: Lending, user: User, national_id: str) -> httpx.Response:
    body = {"kind": "person", "full_name": "Lê Văn An", "national_id": national_id}
    return await lending.intake.post("/parties", json=body, headers=user.creating())


async def confirm(lending: Lending, user: User, national_id: str) -> httpx.Response:
    body = {"national_id": national_id, "reason": "Twins, passports seen."}
    return await lending.intake.post("/national-id-confirmations", json=body, headers=user.creating())


def spellings(national_id: str) -> list[str]:
    """The same id as others would write it."""
    plain = national_id.replace("-", "").replace(".", "").replace("/", "")
    wide = "".join(chr(ord(one) + 0xFEE0) if one.isalnum() else one for one in national_id)
    return [
        national_id,
        national_id.upper(),
        plain,
        f" {plain[:5]} {plain[5:]} ",
        national_id.replace("-", " - "),
        wide,
    ]


async def test_a_national_id_is_on_record_once_whatever_its_spelling(lending: Lending) -> None:
    maker, other, national_id = lending.user("maker"), lending.user("maker"), new_id()
    first = await add(lending, maker, national_id)
    assert first.status_code == 201
    for spelling in spellings(national_id):
        refused = assert_problem(await add(lending, maker, spelling), 409)
        assert refused["type"] == "urn:creditmesh:problem:duplicate-national-id"
        assert refused["own_parties"] == [first.json()["id"]]
        # Of another's party only that it is there.
        assert assert_problem(await add(lending, other, spelling), 409)["own_parties"] == []
    assert (await add(lending, other, new_id())).status_code == 201


async def test_a_change_is_held_to_it_too(lending: Lending) -> None:
    maker, taken = lending.user("maker"), new_id()
    await add(lending, maker, taken)
    mine = (await add(lending, maker, new_id())).json()
    path, headers = f"/parties/{mine['id']}", {**maker.headers, "If-Match": '"1"'}
    refused = await lending.intake.patch(path, json={"national_id": taken}, headers=headers)
    assert_problem(refused, 409)
    # Its own, spelt otherwise, is no duplicate; and one that is given up is free again.
    same = await lending.intake.patch(
        path, json={"national_id": mine["national_id"].lower()}, headers=headers
    )
    assert same.status_code == 200, same.text
    cleared = await lending.intake.patch(
        path, json={"national_id": None}, headers={**headers, "If-Match": '"2"'}
    )
    assert cleared.status_code == 200
    assert (await add(lending, maker, mine["national_id"])).status_code == 201


async def test_of_many_at_once_one_is_put_on_record(lending: Lending) -> None:
    makers, national_id = [lending.user("maker") for _ in range(10)], new_id()
    ways = spellings(national_id)
    answers = await asyncio.gather(
        *(add(lending, maker, ways[place % len(ways)]) for place, maker in enumerate(makers))
    )
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 9}


async def test_an_officer_confirms_another_person_with_a_reason_once(lending: Lending) -> None:
    maker, officer, national_id = lending.user("maker"), lending.user("officer"), new_id()
    assert_problem(await confirm(lending, officer, national_id), 409)
    first = (await add(lending, maker, national_id)).json()
    assert_problem(await confirm(lending, maker, national_id), 403)
    confirmed = await confirm(lending, officer, national_id.upper())
    assert (confirmed.status_code, confirmed.json()["parties"]) == (201, [first["id"]])
    # Sent again it is the same.
    assert (await confirm(lending, officer, national_id)).json()["id"] == confirmed.json()["id"]
    second = await add(lending, maker, national_id)
    assert second.status_code == 201
    assert_problem(await add(lending, maker, national_id), 409)
    async with lending.lake.connect() as connection:
        row = await connection.fetchrow(
            "SELECT confirmed_by, used_by, party_id, reason FROM intake.national_id_confirmation WHERE id = $1",
            uuid.UUID(confirmed.json()["id"]),
        )
    assert row is not None
    assert tuple(row) == (officer.id, maker.id, uuid.UUID(second.json()["id"]), "Twins, passports seen.")


async def test_nobody_confirms_for_themselves(lending: Lending) -> None:
    both, national_id = lending.user("maker", "officer"), new_id()
    await add(lending, both, national_id)
    assert (await confirm(lending, both, national_id)).status_code == 201
    assert_problem(await add(lending, both, national_id), 409)
    async with lending.lake.connect() as connection:
        with pytest.raises(asyncpg.CheckViolationError):
            await connection.execute(
                "UPDATE intake.national_id_confirmation SET used_by = confirmed_by, used_at = now(), "
                "party_id = (SELECT min(id::text)::uuid FROM credit.party) WHERE confirmed_by = $1",
                both.id,
            )


async def test_two_at_once_use_one_confirmation_once(lending: Lending) -> None:
    maker, national_id = lending.user("maker"), new_id()
    await add(lending, maker, national_id)
    await confirm(lending, lending.user("officer"), national_id)
    answers = await asyncio.gather(*(add(lending, lending.user("maker"), national_id) for _ in range(5)))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 4}


async def test_what_others_have_written_is_found_soon(lending: Lending) -> None:
    maker, national_id = lending.user("maker"), new_id()
    async with lending.lake.connect() as connection:
        await connection.execute(
            "INSERT INTO credit.party (id, kind, full_name, national_id, created_by, created_at, revision) "
            "VALUES ($1, 'person', 'Imported', $2, $1, now() AT TIME ZONE 'UTC', 1)",
            uuid.uuid4(),
            national_id.upper(),
        )
    lake = Lake.open(lending.lake.url("intake"), service="test", pool_size=1)
    try:
        assert await NationalIds().fill(lake) >= 1
        assert await NationalIds().fill(lake) == 0
    finally:
        await lake.dispose()
    assert_problem(await add(lending, maker, national_id), 409)


async def test_a_change_waits_for_those_who_add_missing_keys(lending: Lending) -> None:
    maker, other, old, new = lending.user("maker"), lending.user("maker"), new_id(), new_id()
    party_id = uuid.uuid4()
    async with lending.lake.connect() as connection:
        filling = connection.transaction()
        await filling.start()
        # As `fill` does: it has found the party, and is adding its key.
        await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", FILL_LOCK)
        async with lending.lake.connect() as writer:
            await writer.execute(
                "INSERT INTO credit.party (id, kind, full_name, national_id, created_by, created_at, revision) "
                "VALUES ($1, 'person', 'Imported', $2, $3, now() AT TIME ZONE 'UTC', 1)",
                *(party_id, old, maker.id),
            )
        await connection.execute(
            "INSERT INTO intake.party_national_id VALUES ($1, $2)", party_id, key_of(old)
        )
        headers = {**maker.headers, "If-Match": '"1"'}
        changing = asyncio.create_task(
            lending.intake.patch(f"/parties/{party_id}", json={"national_id": new}, headers=headers)
        )
        waiting = (
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        async with asyncio.timeout(5):
            while not await connection.fetchval(waiting):
                await asyncio.sleep(0.01)
        await filling.commit()
    changed = await changing
    assert changed.status_code == 200, changed.text
    # The old one is free, the new one is taken.
    assert (await add(lending, other, old)).status_code == 201
    assert_problem(await add(lending, other, new), 409)
