"""A request whose time is over leaves nothing behind: no change, no statement, no connection."""

from __future__ import annotations

import asyncio
import uuid

import asyncpg

from services.chassis.deadline import HEADER
from tests.integration.lending import Lending, assert_problem

# More than the connections of intake's pool.
REQUESTS = 12
RUNNING = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'intake' "
    "AND state <> 'idle'"
)


async def eventually(connection: asyncpg.Connection[asyncpg.Record], *, running: bool) -> None:
    """Wait until intake has statements that run, or none."""
    for _ in range(200):
        if (await connection.fetchval(RUNNING) > 0) == running:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("intake's statements still run" if not running else "no statement of intake runs")


async def test_case_30_a_locked_row_and_a_deadline(lending: Lending) -> None:
    maker = lending.user("maker")
    party_id = await lending.party(maker)
    path = f"/parties/{party_id}"
    read = await lending.intake.get(path, headers=maker.headers)
    change = {**maker.headers, "If-Match": read.headers["ETag"], HEADER: "500"}

    # In a transaction pg_stat_activity stays as it was first read.
    async with lending.lake.connect() as watch, lending.lake.connect() as other, other.transaction():
        await other.execute("SELECT FROM credit.party WHERE id = $1 FOR UPDATE", uuid.UUID(str(party_id)))
        waiting = asyncio.gather(
            *(
                lending.intake.patch(path, json={"phone": "+84 24 3825 2916"}, headers=change)
                for _ in range(REQUESTS)
            )
        )
        await eventually(watch, running=True)
        for answer in await waiting:
            assert_problem(answer, 504)
        # The server hears of the cancellation a moment after the client does.
        await eventually(watch, running=False)
    after = await lending.intake.get(path, headers=maker.headers)
    assert after.headers["ETag"] == read.headers["ETag"]
    # No connection of the pool is lost: as many at once as before.
    again = await asyncio.gather(*(lending.intake.get(path, headers=maker.headers) for _ in range(REQUESTS)))
    assert {answer.status_code for answer in again} == {200}
