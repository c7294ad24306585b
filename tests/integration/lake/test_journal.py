"""The journal reader loses nothing and keeps the order: acceptance cases 1 and 2, and a property test."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from services.chassis.database import Lake
from services.chassis.dialects import Position
from services.lake.journal import Change, JournalReader

WRITERS = 8
WRITING_SECONDS = 8.0
KEYS = 40

INSERT = """
    INSERT INTO credit.party (id, kind, full_name, created_by, created_at, revision)
    VALUES ($1, 'person', $2, gen_random_uuid(), clock_timestamp() AT TIME ZONE 'UTC', 1)
    ON CONFLICT (id) DO UPDATE SET full_name = EXCLUDED.full_name, revision = credit.party.revision + 1
"""


@pytest.fixture
async def reader(fresh_lake: Any) -> AsyncIterator[JournalReader]:
    lake = Lake.open(fresh_lake.url("relay"), service="test-reader", pool_size=2)
    yield JournalReader(lake)
    await lake.dispose()


async def test_case_01_an_earlier_position_that_commits_later_is_delivered(
    fresh_lake: Any, reader: JournalReader
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
    fresh_lake: Any, reader: JournalReader
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


class Writer:
    """Commits, rolls back, nests, prepares and waits at random; now and then plays with the settings."""

    def __init__(
        self, connection: asyncpg.Connection, chance: random.Random, keys: list[Any], name: int
    ) -> None:
        self.connection, self.chance, self.keys, self.name = connection, chance, keys, name
        self.number = 0

    async def change(self) -> None:
        self.number += 1
        key = self.chance.choice(self.keys)
        kind = self.chance.random()
        if kind < 0.6:
            await self.connection.execute(INSERT, key, f"{self.name}/{self.number}")
        elif kind < 0.75:
            await self.connection.execute("DELETE FROM credit.party WHERE id = $1", key)
        elif kind < 0.9:
            # A moved key: one row's key becomes another, unless that one is taken.
            await self.connection.execute(
                "UPDATE credit.party SET id = gen_random_uuid(), revision = revision + 1 WHERE id = $1", key
            )
        else:
            await self.connection.execute(
                "INSERT INTO credit.party (id, kind, full_name, created_by, created_at, revision) "
                "SELECT gen_random_uuid(), 'person', 'bulk', gen_random_uuid(), now() AT TIME ZONE 'UTC', 1 "
                "FROM generate_series(1, 20)"
            )

    async def meddle(self) -> None:
        """Try to make the reader believe that no lock is needed."""
        setting = self.chance.choice(["", "9223372036854775807", "1"])
        local = self.chance.random() < 0.5
        await self.connection.execute("SELECT set_config('journal.bound', $1, $2)", setting, local)

    async def transact(self) -> None:
        if self.chance.random() < 0.1:
            await self.meddle()
        prepared = self.chance.random() < 0.1
        await self.connection.execute("BEGIN")
        try:
            if self.chance.random() < 0.2:
                await self.meddle()
            for _ in range(self.chance.randrange(1, 4)):
                if self.chance.random() < 0.3:
                    await self.connection.execute("SAVEPOINT s")
                    await self.change()
                    undo = self.chance.random() < 0.5
                    await self.connection.execute(
                        "ROLLBACK TO SAVEPOINT s" if undo else "RELEASE SAVEPOINT s"
                    )
                else:
                    await self.change()
                await asyncio.sleep(self.chance.choice([0, 0, 0.001, 0.02]))
        except asyncpg.PostgresError:
            await self.connection.execute("ROLLBACK")
            return
        if prepared:
            name = f"p{self.name}_{self.number}"
            await self.connection.execute(f"PREPARE TRANSACTION '{name}'")
            await asyncio.sleep(self.chance.choice([0, 0.05]))
            await self.connection.execute(f"{self.chance.choice(['COMMIT', 'ROLLBACK'])} PREPARED '{name}'")
        else:
            await self.connection.execute(self.chance.choice(["COMMIT", "COMMIT", "COMMIT", "ROLLBACK"]))


async def read_until(reader: JournalReader, start: Position, done: asyncio.Event) -> list[Change]:
    """Read as a relay does, from its last row on, until nothing more can come."""
    delivered: list[Change] = []
    position = start
    while True:
        finished = done.is_set()
        changes = await reader.read(position, 50)
        delivered += changes
        if changes:
            position = changes[-1].position
        elif finished:
            return delivered
        else:
            await asyncio.sleep(0.001)


async def test_the_delivered_set_is_the_committed_set_and_positions_only_rise(
    fresh_lake: Any, reader: JournalReader
) -> None:
    seed = int(os.environ.get("PROPERTY_SEED", random.SystemRandom().randrange(2**32)))
    print(f"PROPERTY_SEED={seed}")
    chance = random.Random(seed)
    keys = [uuid4() for _ in range(KEYS)]
    start = await reader.last_position()
    done = asyncio.Event()
    readers = [asyncio.create_task(read_until(reader, start, done)) for _ in range(2)]

    async def write(number: int) -> None:
        own = random.Random(chance.randrange(2**32))
        async with fresh_lake.connect() as connection:
            writer = Writer(connection, own, keys, number)
            ends = asyncio.get_running_loop().time() + WRITING_SECONDS
            while asyncio.get_running_loop().time() < ends:
                with contextlib.suppress(asyncpg.DeadlockDetectedError):
                    await writer.transact()

    async with asyncio.TaskGroup() as writers:
        for number in range(WRITERS):
            writers.create_task(write(number))
    done.set()
    first, second = [await task for task in readers]

    async with fresh_lake.connect() as connection:
        committed = [
            row["position"]
            for row in await connection.fetch(
                "SELECT position FROM journal.change WHERE position > $1 ORDER BY position", start.major
            )
        ]
        table = {
            str(r["id"]): r["full_name"]
            for r in await connection.fetch("SELECT id, full_name FROM credit.party")
        }
    assert len(committed) > 500, "the writers hardly wrote: the test shows nothing"
    for delivered in (first, second):
        assert [change.position.major for change in delivered] == committed

    # Applying the images in the order delivered gives the table: the order of each key is the order of commits.
    replayed: dict[str, str] = {}
    for change in first:
        [key] = json.loads(change.key)
        if change.image is None:
            replayed.pop(key, None)
        else:
            replayed[key] = json.loads(change.image)["full_name"]
    assert replayed == table


async def test_whoever_holds_the_horizon_is_seen_by_the_relay(fresh_lake: Any, reader: JournalReader) -> None:
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


async def test_truncate_is_refused_with_what_to_do_instead(fresh_lake: Any) -> None:
    async with fresh_lake.connect() as connection:
        with pytest.raises(
            asyncpg.FeatureNotSupportedError, match=r"TRUNCATE of credit\.document is refused"
        ) as refused:
            await connection.execute("TRUNCATE credit.document")
    assert refused.value.hint == "Use DELETE, which is captured."


async def test_a_moved_key_is_a_delete_and_then_an_image(fresh_lake: Any, reader: JournalReader) -> None:
    old, new = uuid4(), uuid4()
    async with fresh_lake.connect() as connection:
        await connection.execute(INSERT, old, "moves")
        start = await reader.last_position()
        await connection.execute("UPDATE credit.party SET id = $2 WHERE id = $1", old, new)
    changes = await reader.read(start, 10)
    assert [(c.operation, c.key) for c in changes] == [("d", f'["{old}"]'), ("u", f'["{new}"]')]


async def test_images_do_not_depend_on_the_session(fresh_lake: Any, reader: JournalReader) -> None:
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
    assert images[0]["created_at"] == "2026-01-02T03:04:05.000600"
