"""A repeated POST shows what the first one made, as it is now, for as long as its key is kept; nothing else is kept."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from services.intake.idempotency import DELETE_ROWS, KEPT, Answers
from services.lake.database import Lake
from tests.integration.lending import Lending, User, assert_problem, rows_of

PERSON = {"kind": "person", "full_name": "Phạm Thị Lan", "email": "lan@example.com"}


async def put_on_record(lending: Lending, maker: User, key: str, **changes: Any) -> httpx.Response:
    return await lending.intake.post("/parties", json={**PERSON, **changes}, headers=maker.creating(key))


async def test_fifty_parallel_requests_with_one_key_make_one_party(lending: Lending) -> None:
    maker, before = lending.user("maker"), await rows_of(lending)

    async def until_answered() -> httpx.Response:
        while (response := await put_on_record(lending, maker, "one")).status_code in {409, 503, 504}:
            if response.status_code == 409:
                assert response.json()["type"] == "urn:creditmesh:problem:request-in-flight"
            await asyncio.sleep(0.2)
        return response

    responses = await asyncio.gather(*(until_answered() for _ in range(50)))

    assert {response.status_code for response in responses} == {201}
    assert len({response.content for response in responses}) == 1
    assert len({(one.headers["Location"], one.headers["ETag"]) for one in responses}) == 1
    assert Counter(one.headers.get("Idempotency-Replayed") for one in responses) == {None: 1, "true": 49}
    after = await rows_of(lending)
    made = {name: after[name] - before[name] for name in after if after[name] != before[name]}
    assert made == {"credit.party": 1, "intake.idempotency_key": 1}


async def test_a_party_is_shown_again_as_it_is_now(lending: Lending) -> None:
    maker = lending.user("maker")
    first = await put_on_record(lending, maker, "changed")
    path, headers = first.headers["Location"], {**maker.headers, "If-Match": '"1"'}
    changed = await lending.intake.patch(path, json={"email": None}, headers=headers)

    again = await put_on_record(lending, maker, "changed")

    shown = {**changed.json(), "possible_duplicates": []}
    assert (again.status_code, again.headers["ETag"], again.json()) == (201, '"2"', shown)
    assert again.headers["Location"] == path
    other = await put_on_record(lending, maker, "changed", full_name="Phạm Thị Mai")
    assert_problem(other, 422, "/header/Idempotency-Key")
    assert (await put_on_record(lending, lending.user("maker"), "changed")).json()["id"] != first.json()["id"]


async def test_a_key_is_one_for_all_that_its_caller_creates(lending: Lending) -> None:
    maker = lending.user("maker")
    content = await lending.content(maker)
    assert (await put_on_record(lending, maker, "shared")).status_code == 201
    assert_problem(await lending.post(maker, content, "shared"), 422, "/header/Idempotency-Key")


async def test_an_application_is_shown_again_as_it_is_now(lending: Lending) -> None:
    maker = lending.user("maker")
    body = await lending.content(maker)
    first = await lending.post(maker, body, "shown")
    await lending.act(lending.intake, maker, first.json()["id"], "withdrawal", 1)

    again = await lending.post(maker, body, "shown")

    seen = (first.json()["state"], again.json()["state"], again.headers["ETag"], again.status_code)
    assert seen == ("SUBMITTED", "WITHDRAWN", '"2"', 201)


async def test_a_used_confirmation_is_given_again_and_no_second_one_is_made(lending: Lending) -> None:
    maker, officer, national_id = lending.user("maker"), lending.user("officer"), uuid.uuid4().hex[:20]
    body, path = {"national_id": national_id, "reason": "twins"}, "/national-id-confirmations"
    await lending.party(maker, national_id=national_id)
    first = await lending.intake.post(path, json=body, headers=officer.creating("twins"))
    twin = await lending.party(maker, national_id=national_id)

    again = await lending.intake.post(path, json=body, headers=officer.creating("twins"))

    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (201, "true")
    assert again.json()["id"] == first.json()["id"]
    # Who has the id is read again, as everything.
    assert again.json()["parties"] == [*first.json()["parties"], twin]
    async with lending.lake.connect() as connection:
        made = "SELECT count(*) FROM intake.national_id_confirmation WHERE confirmed_by = $1"
        assert await connection.fetchval(made, officer.id) == 1


@pytest.mark.parametrize("key", [None, "", "has space", "é", "x" * 129])
@pytest.mark.parametrize("path", ["/parties", "/national-id-confirmations"])
async def test_a_key_is_required_and_usable(lending: Lending, path: str, key: str | None) -> None:
    body = PERSON if path == "/parties" else {"national_id": "AB 123", "reason": "twins"}
    user, before = lending.user("maker", "officer"), await rows_of(lending)
    headers = dict(user.headers) | ({} if key is None else {"Idempotency-Key": key.encode()})
    assert_problem(await lending.intake.post(path, json=body, headers=headers), 400)
    assert await rows_of(lending) == before


async def test_no_personal_data_is_kept_with_a_key(lending: Lending) -> None:
    maker = lending.user("maker")
    party = await put_on_record(lending, maker, "personal")
    async with lending.lake.connect() as connection:
        row = await connection.fetchrow("SELECT * FROM intake.idempotency_key WHERE caller = $1", maker.id)
    assert row is not None
    assert set(row.keys()) == {"caller", "key", "request_sha256", "status", "made_id", "created_at"}
    assert (str(row["made_id"]), row["status"]) == (party.json()["id"], 201)


async def test_keys_are_kept_for_seven_days(lending: Lending) -> None:
    maker, answers = lending.user("maker"), Answers()
    lake = Lake.open(lending.lake.url("intake"), service="test-kept-answers", pool_size=1)
    ages = {"old": KEPT + timedelta(minutes=1), "young": KEPT - timedelta(minutes=1)}
    first = {key: (await put_on_record(lending, maker, key)).json()["id"] for key in ages}
    now = datetime.now(UTC).replace(tzinfo=None)
    async with lending.lake.connect() as connection:
        for key, age in ages.items():
            await connection.execute(
                "UPDATE intake.idempotency_key SET created_at = $1 WHERE caller = $2 AND key = $3",
                now - age,
                maker.id,
                key,
            )
        # More than one statement deletes.
        await connection.execute(
            "INSERT INTO intake.idempotency_key (caller, key, request_sha256, status, made_id, created_at) "
            "SELECT $1, 'k' || one, '', 201, $1, timestamp '2000-01-01' + one * interval '1 second' "
            "FROM generate_series(1, $2::integer) AS one",
            uuid.uuid4(),
            DELETE_ROWS,
        )

    assert [await answers.delete_old(lake) for _ in range(3)] == [DELETE_ROWS, 1, 0]

    again = {key: (await put_on_record(lending, maker, key)).json()["id"] for key in ages}
    assert (again["young"], again["old"] == first["old"]) == (first["young"], False)
    await lake.dispose()


async def test_one_process_deletes_at_a_time(lending: Lending) -> None:
    lake = Lake.open(lending.lake.url("intake"), service="test-kept-answers", pool_size=2)
    async with lake.transaction(actor="test") as other:
        assert await other.try_lock("intake:kept-answers")
        async with lending.lake.connect() as connection:
            await connection.execute(
                "INSERT INTO intake.idempotency_key VALUES ($1, 'k', '', 201, '2000-01-01', $1)", uuid.uuid4()
            )
        assert await Answers().delete_old(lake) == 0
    assert await Answers().delete_old(lake) == 1
    await lake.dispose()
