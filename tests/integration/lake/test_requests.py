"""Pages of a backfill: composite keys and codes, each row once, with the right actor."""

from __future__ import annotations

import asyncpg
import orjson
import pytest

from services.lake.database import Lake
from services.lake.journal.capture import captured_table
from services.lake.journal.requests import Requests, Taken
from services.lake.tables import instalment, product
from tests.conftest import Database

ROWS = {
    # Several loans in a page, and several pages in a loan.
    instalment: (
        "INSERT INTO credit.instalment (loan_id, number, due_on, principal, interest) "
        "SELECT md5((n / 13)::text)::uuid, n, '2026-01-01', 1, 1 FROM generate_series(1, 200) AS n"
    ),
    # Compared bytewise, whatever the database's own collation thinks of case, blanks and accents.
    product: (
        "INSERT INTO credit.product SELECT (jsonb_populate_record(p, jsonb_build_object('code', new))).* "
        "FROM credit.product AS p, unnest(ARRAY["
        "'a', 'B', 'b', 'B ', 'ä', 'Z', '[\"x\"]', '\\', '''', 'É', '0', '9', '10']) AS new "
        "WHERE p.code = (SELECT min(code) FROM credit.product)"
    ),
}


async def keys_of(connection: asyncpg.Connection[asyncpg.Record], statement: str) -> list[tuple[str, ...]]:
    return [tuple(map(str, row)) for row in await connection.fetch(statement)]


@pytest.mark.parametrize("table", ROWS, ids=lambda table: table.name)
async def test_pages_hold_each_row_once_and_are_never_longer_than_asked(
    fresh_lake: Database, table: object
) -> None:
    captured = captured_table(table)  # type: ignore[arg-type]
    async with fresh_lake.connect() as connection:
        await connection.execute("SET session_replication_role = replica")
        await connection.execute(ROWS[table])  # type: ignore[index]
        wanted = await keys_of(connection, f"SELECT {', '.join(captured.key)} FROM {captured.full_name}")
    relay, verifier = (
        Lake.open(fresh_lake.url(login), service="test", pool_size=2) for login in ("relay", "verifier")
    )
    try:
        await Requests(verifier).add(captured.full_name, None, by="test")
        request = await Requests(relay).next()
        assert request is not None
        while not request.done:
            before = request
            async with relay.transaction(actor="backfill") as tx:
                request = await Requests(relay).write_page(tx, before, captured, 7)
            assert request.rows_done - before.rows_done <= 7
        with pytest.raises(Taken):
            async with relay.transaction(actor="backfill") as tx:
                await Requests(relay).write_page(tx, before, captured, 7)
        assert await Requests(relay).next() is None
    finally:
        await relay.dispose()
        await verifier.dispose()
    async with fresh_lake.connect() as connection:
        rows = await connection.fetch(
            "SELECT key, actor, image FROM journal.change WHERE operation = 'r' ORDER BY position"
        )
    written = [tuple(orjson.loads(row["key"])) for row in rows]
    assert len(written) == len(set(written))
    assert set(written) == set(wanted)
    assert {row["actor"] for row in rows} == {"backfill"}
    for row in rows:
        image = orjson.loads(row["image"])
        assert [str(image[name]) for name in captured.key] == orjson.loads(row["key"])


async def test_only_the_relay_may_have_rows_written_again(fresh_lake: Database) -> None:
    for login in ("intake", "search", "sink", "verifier", "loader"):
        async with fresh_lake.connect(login) as connection:
            for call in ("backfill_credit_party(NULL, 1)", "repair_credit_party('[]')"):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.fetch(f"SELECT * FROM journal.{call}")
    async with fresh_lake.connect("relay") as connection:
        await connection.fetch("SELECT * FROM journal.backfill_credit_party(NULL, 1)")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("SELECT journal.enter()")
