"""Acceptance case 20: every type at its boundaries, random operations, settings, crashes; then one cell corrupted."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import signal
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from services.lake.journal.model import CapturedTable
from services.lake.journal.postgresql import PostgreSQLJournal
from tests.faults.everything import COLUMNS, KEY, TABLE, Writer, create_statement, literal
from tests.faults.schema import change
from tests.faults.validator import Validator
from tests.integration.replicator.pipeline import Pipeline

ROUNDS = 4
WRITERS = 3
POINTS = {
    "relay": ("relay.before_acks", "relay.after_acks", "relay.after_save"),
    "sink": ("sink.before_write", "sink.after_write", "sink.before_commit", "sink.after_commit"),
}


@pytest.fixture(autouse=True)
async def validator(pipeline: Pipeline) -> AsyncIterator[Validator]:
    """Compares topics and journal when the test is over."""
    watching = Validator(pipeline)
    yield watching
    await watching.validate_order()


async def one_round(pipeline: Pipeline, chance: random.Random, writers: list[Writer]) -> None:
    """Write while relay and sink run until one of them is killed at a random point, or from outside."""
    for name, points in POINTS.items():
        point = f"{chance.choice(points)}=kill:{chance.randrange(1, 6)}" if chance.random() < 0.7 else ""
        await pipeline.start(name, FAILPOINTS=point)
    async with asyncio.TaskGroup() as tasks:
        for writer in writers:
            tasks.create_task(writer.write(25))
    for name in POINTS:
        if pipeline.processes[name].returncode is None:
            await pipeline.signal(name, signal.SIGKILL)


async def definition(pipeline: Pipeline) -> CapturedTable:
    """What the lake says of the table with everything."""
    async with pipeline.lake_database.connect() as lake:
        text = await lake.fetchval(
            "SELECT definition FROM journal.captured_table WHERE table_name = $1", TABLE
        )
    return CapturedTable.from_json(text)


async def corrupt(pipeline: Pipeline, chance: random.Random, key: str) -> tuple[str, str]:
    """Change one cell of the replica by hand; the column and the key of its row."""
    # The order of the server's own choice would not be the same again.
    rows = await pipeline.replica(
        f"SELECT {key} AS key, number, name, day::text FROM {TABLE} AS r ORDER BY 1"
    )
    row = chance.choice(rows)
    columns = [name for name in COLUMNS if name not in KEY]
    while True:
        column = chance.choice(columns)
        value = literal(column, chance)
        changed = await pipeline.replica(
            f"UPDATE {TABLE} AS r SET {column} = {value} WHERE {key} = $1 "
            f"AND {column}::text IS DISTINCT FROM ({value})::text RETURNING 1",
            row["key"],
        )
        if changed:
            return column, row["key"]


@pytest.mark.long
async def test_case_20_everything_random_is_equal_and_one_corrupted_cell_is_named(
    pipeline: Pipeline,
) -> None:
    seed = int(os.environ.get("PROPERTY_SEED") or secrets.randbits(32))
    print(f"PROPERTY_SEED={seed}")
    chance = random.Random(seed)
    await change(pipeline, TABLE, create_statement(), f"GRANT SELECT ON {TABLE} TO verifier")
    writers = [Writer(pipeline.lake_database, chance.random()) for _ in range(WRITERS)]
    for _ in range(ROUNDS):
        await one_round(pipeline, chance, writers)
    # At least these two.
    await pipeline.lake(f"UPDATE {TABLE} SET a_boolean = NOT a_boolean")
    for name, point in (("relay", "relay.after_acks"), ("sink", "sink.before_write")):
        await pipeline.start(name, FAILPOINTS=f"{point}=kill")
        assert await pipeline.died(name) == -signal.SIGKILL
        await pipeline.start(name)
    await pipeline.equal()
    done: Counter[str] = sum((writer.done for writer in writers), Counter())
    assert done["committed"] > ROUNDS * WRITERS * 10, done
    [rows] = await pipeline.replica(f"SELECT count(*) AS n FROM {TABLE}")
    assert rows["n"] > 20, done

    table = await definition(pipeline)
    column, key = await corrupt(pipeline, chance, PostgreSQLJournal().key(table.replica, "r"))
    findings = (await pipeline.verify()).findings
    assert [(f.table, f.key, f.kind) for f in findings] == [(TABLE, key, "different")], column
