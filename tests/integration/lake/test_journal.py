"""The journal reader loses nothing and keeps the order: acceptance cases 1 and 2, and a property test."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import pytest

from services.lake.database import Lake
from services.lake.journal.reader import READ_BYTES, JournalReader
from tests.conftest import Database
from tests.integration.lake.journal_property import check, new_seed
from tests.integration.lake.journal_writer import INSERT

WRITING_SECONDS = 8.0


@pytest.fixture
async def reader(fresh_lake: Database) -> AsyncIterator[JournalReader]:
    lake = Lake.open(fresh_lake.url("relay"), service="test-reader", pool_size=2)
    yield JournalReader(lake)
    await lake.dispose()


async def test_case_01_an_earlier_position_that_commits_later_is_delivered(
    fresh_lake: Database, reader: JournalReader
) -> None:
    start = await reader.last_position()
    async with fresh_lake.connect("intake") as first, fresh_lake.connect("intake") as second:
        slow = first.transaction()
        await slow.start()
        await first.execute(INSERT, uuid4(), "took the lower position")
        await second.execute(INSERT, uuid4(), "committed first")
        assert await reader.read(start, 100) == []
        await slow.commit()
    names = [json.loads(change.image or "")["full_name"] for change in await reader.read(start, 100)]
    assert names == ["took the lower position", "committed first"]


async def test_case_02_the_later_change_of_a_row_is_delivered_later(
    fresh_lake: Database, reader: JournalReader
) -> None:
    row = uuid4()
    async with fresh_lake.connect("intake") as first, fresh_lake.connect("intake") as second:
        await first.execute(INSERT, row, "at the beginning")
        start = await reader.last_position()
        slow = first.transaction()
        await slow.start()
        await first.execute(INSERT, uuid4(), "x")
        await second.execute("UPDATE credit.party SET full_name = 'of T2' WHERE id = $1", row)
        await first.execute("UPDATE credit.party SET full_name = 'of T1' WHERE id = $1", row)
        await slow.commit()
    of_row = [c for c in await reader.read(start, 100) if c.key == f'["{row}"]']
    assert [json.loads(c.image or "")["full_name"] for c in of_row] == ["of T2", "of T1"]


async def test_the_delivered_set_is_the_committed_set_and_positions_only_rise(
    fresh_lake: Database, reader: JournalReader
) -> None:
    async def meanwhile(_: random.Random) -> None:
        await asyncio.sleep(WRITING_SECONDS)

    assert await check(fresh_lake, reader, new_seed(), meanwhile) == 0


async def test_whoever_holds_the_horizon_is_seen_by_the_relay(
    fresh_lake: Database, reader: JournalReader
) -> None:
    assert await reader.oldest_writer_seconds() == 0
    async with fresh_lake.connect("intake") as writer:
        transaction = writer.transaction()
        await transaction.start()
        await writer.execute(INSERT, uuid4(), "holds it")
        await asyncio.sleep(0.3)
        held = await reader.oldest_writer_seconds()
        await transaction.rollback()
    assert 0.3 <= held < 60
    assert await reader.oldest_writer_seconds() == 0


async def test_truncate_is_refused_with_what_to_do_instead(fresh_lake: Database) -> None:
    async with fresh_lake.connect() as connection:
        with pytest.raises(
            asyncpg.FeatureNotSupportedError, match=r"TRUNCATE of credit\.document is refused"
        ) as refused:
            await connection.execute("TRUNCATE credit.document CASCADE")
    assert refused.value.hint == "Use DELETE, which is captured."


async def test_a_moved_key_is_a_delete_and_then_an_image(fresh_lake: Database, reader: JournalReader) -> None:
    old, new = uuid4(), uuid4()
    async with fresh_lake.connect() as connection:
        await connection.execute(INSERT, old, "moves")
        start = await reader.last_position()
        await connection.execute("UPDATE credit.party SET id = $2 WHERE id = $1", old, new)
    changes = await reader.read(start, 10)
    assert [(c.operation, c.key) for c in changes] == [("d", f'["{old}"]'), ("u", f'["{new}"]')]


async def test_images_do_not_depend_on_the_session(fresh_lake: Database, reader: JournalReader) -> None:
    start = await reader.last_position()
    hostile = (
        "SET TimeZone = 'Asia/Ho_Chi_Minh'",
        "SET DateStyle = 'German'",
        "SET bytea_output = 'escape'",
        "SET extra_float_digits = -15",
        "SET IntervalStyle = 'sql_standard'",
        "SET search_path = 'x'",
    )
    statement = (
        "INSERT INTO credit.party (id, kind, full_name, birth_date, created_by, created_at, revision) VALUES "
        "(gen_random_uuid(), 'person', E'a\"b\\\\c\\n\\u1EA4', '1994-12-31', "
        "'00000000-0000-0000-0000-000000000001', '2026-01-02 03:04:05.000600', 1)"
    )
    async with fresh_lake.connect() as connection:
        await connection.execute(statement)
        for setting in hostile:
            await connection.execute(setting)
        await connection.execute(statement)
    images = [json.loads(change.image or "") for change in await reader.read(start, 10)]
    for image in images:
        del image["id"]
    assert images[0] == images[1]
    assert images[0]["full_name"] == 'a"b\\c\nẤ'
    assert images[0]["birth_date"] == "1994-12-31"
    assert images[0]["created_at"] == "2026-01-02T03:04:05.0006"


async def test_what_is_read_at_once_is_bounded_by_its_bytes(
    fresh_lake: Database, reader: JournalReader
) -> None:
    large = 1024 * 1024
    position = await reader.last_position()
    async with fresh_lake.connect() as connection:
        await connection.execute(
            "INSERT INTO credit.application (id, state, revision, draft, created_by, created_at) "
            "SELECT gen_random_uuid(), 'DRAFT', 1, repeat('x', $1), gen_random_uuid(), "
            "clock_timestamp() AT TIME ZONE 'UTC' FROM generate_series(1, 20)",
            large,
        )
        await connection.execute("DELETE FROM credit.application")
    reads = []
    while changes := await reader.read(position, 1000):
        reads.append(changes)
        position = changes[-1].position
    sizes = [sum(len(change.image or "") for change in changes) for changes in reads]
    assert len(reads) > 2
    assert max(sizes) < READ_BYTES + 2 * large
    assert sum(map(len, reads)) == 40
