"""Rows written into the journal again: case 18 with kills at random pages under load, and what a migration asks for."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from services.lake.database import Lake
from services.lake.journal.requests import Requests
from tests.integration.replicator.pipeline import Pipeline, party_insert

POINTS = ("backfill.before_commit", "backfill.after_commit", "relay.before_acks", "relay.after_acks")


@asynccontextmanager
async def uncaptured(pipeline: Pipeline) -> AsyncIterator[None]:
    """What happens to the parties meanwhile passes the journal by, as before a table is captured."""
    await pipeline.lake("ALTER TABLE credit.party DISABLE TRIGGER USER")
    yield
    await pipeline.lake("ALTER TABLE credit.party ENABLE TRIGGER USER")


async def requested(pipeline: Pipeline, table: str, keys: list[str] | None = None) -> None:
    """Ask for rows, as the commands do."""
    lake = Lake.open(pipeline.lake_url("verifier"), service="test-request", pool_size=1)
    try:
        await Requests(lake).add(table, keys, by="test")
    finally:
        await lake.dispose()


async def unfinished(pipeline: Pipeline) -> int:
    """How many requests are not done."""
    async with pipeline.lake_database.connect() as connection:
        return int(
            await connection.fetchval("SELECT count(*) FROM journal.backfill WHERE finished_at IS NULL")
        )


async def change_while(pipeline: Pipeline, chance: random.Random, done: asyncio.Event) -> int:
    """Update, delete, insert, and move keys of random parties until `done`; how many transactions committed."""
    count = 0
    async with pipeline.lake_database.connect() as connection:
        while not done.is_set():
            # A point among the keys: they are random, so whatever page the backfill is at is hit now and then.
            point = f"'{chance.randbytes(4).hex()}-0000-4000-8000-000000000000'::uuid"
            some = f"id IN (SELECT id FROM credit.party WHERE id > {point} ORDER BY id LIMIT {chance.randint(1, 20)})"
            await connection.execute(
                chance.choice(
                    (
                        f"UPDATE credit.party SET full_name = 'updated {count}' WHERE {some}",
                        f"UPDATE credit.party SET id = gen_random_uuid() WHERE {some}",
                        f"DELETE FROM credit.party WHERE {some}",
                        party_insert(chance.randint(1, 20), f"new {count}"),
                    )
                )
            )
            count += 1
            # About one a page. The journal keeps all of them, and the validator compares each.
            await asyncio.sleep(0.02)
    return count


async def backfill_under_kills(
    pipeline: Pipeline, *, rows: int, kills: int, page_rows: int, seed: int
) -> None:
    """Case 18: a table that was filled before it was captured, while it changes and its relay is killed."""
    chance = random.Random(seed)
    print(f"seed {seed}")
    async with uncaptured(pipeline):
        await pipeline.lake(party_insert(rows))
    await pipeline.start("sink")
    await requested(pipeline, "credit.party")
    done = asyncio.Event()
    writer = asyncio.create_task(change_while(pipeline, chance, done))
    pages = max(2, rows // page_rows // (kills + 1))
    killed = 0
    for number in range(kills):
        point = f"{chance.choice(POINTS[:2])}=kill:{chance.randint(1, pages)}"
        if number % 2:
            point = f"{chance.choice(POINTS)}=kill:{chance.randint(1, pages)}"
        name = f"relay{number}"
        await pipeline.start(
            name, "relay", BACKFILL_PAGE_ROWS=str(page_rows), INSTANCE="relay", FAILPOINTS=point
        )
        killed += await pipeline.died(name, 120) == -signal.SIGKILL
    assert killed == kills
    assert await unfinished(pipeline) == 1, "it was killed in the midst of it"
    await pipeline.start("relay", BACKFILL_PAGE_ROWS=str(page_rows))
    while await unfinished(pipeline):
        assert pipeline.processes["relay"].returncode is None, pipeline.log("relay")
        await asyncio.sleep(0.1)
    done.set()
    assert await writer > 0
    await pipeline.equal(120)
    async with pipeline.lake_database.connect() as connection:
        [request] = await connection.fetch("SELECT * FROM journal.backfill")
        again = await connection.fetchval("SELECT count(*) FROM journal.change WHERE operation = 'r'")
    assert request["error"] is None
    assert request["rows_done"] == again, "each page and how far it is were committed together"
    assert request["chunks"] >= rows // page_rows


# Seven starts of a relay, then every change is compared: on a busy machine that is minutes.
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("validator")
async def test_case_18_a_backfill_under_load_resumes_after_kills_and_resurrects_nothing(
    pipeline: Pipeline,
) -> None:
    seed = int(os.environ.get("PROPERTY_SEED", random.randrange(2**32)))
    await backfill_under_kills(pipeline, rows=20_000, kills=5, page_rows=500, seed=seed)
