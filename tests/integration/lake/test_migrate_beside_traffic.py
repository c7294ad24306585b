"""`migrate` while the lake is written: current parts are left unchanged, and no lock is waited for."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from services.chassis.migrations import MigrationBlocked, upgrade
from services.lake.main import MIGRATIONS, VERSION_SCHEMA
from tests.conftest import Database

PARTS = """
SELECT 'trigger ' || g.tgrelid::regclass || '.' || g.tgname AS name, concat_ws(' ', g.oid, g.tgenabled) AS version
FROM pg_trigger AS g WHERE NOT g.tgisinternal
UNION ALL
SELECT p.oid::regprocedure::text, concat_ws(' ', p.oid, p.proconfig, md5(p.prosrc)) FROM pg_proc AS p
WHERE p.pronamespace = 'journal'::regnamespace
"""
"""Every trigger and function of capture, with a version that changes when it is replaced."""


async def migrate(lake: Database, **options: Any) -> None:
    """Run the lake's migrations as its command does."""
    await asyncio.to_thread(upgrade, MIGRATIONS, lake.url(), version_table_schema=VERSION_SCHEMA, **options)


async def parts(connection: asyncpg.Connection[asyncpg.Record]) -> dict[str, str]:
    rows = {row["name"]: row["version"] for row in await connection.fetch(PARTS)}
    assert len(rows) > 100
    return rows


async def test_beside_an_open_writer_nothing_is_locked_and_nothing_is_replaced(fresh_lake: Database) -> None:
    async with fresh_lake.connect() as owner, fresh_lake.connect("intake") as writer:
        before = await parts(owner)
        requests = await owner.fetchval("SELECT count(*) FROM journal.backfill")
        definitions = await owner.fetch("SELECT * FROM journal.captured_table ORDER BY 1")
        async with writer.transaction():
            # Its lock on the table forbids to replace a trigger until the end of the transaction.
            await writer.execute("LOCK TABLE credit.party IN ROW EXCLUSIVE MODE")
            await migrate(fresh_lake, attempts=1)
        assert await parts(owner) == before
        assert await owner.fetchval("SELECT count(*) FROM journal.backfill") == requests
        assert await owner.fetch("SELECT * FROM journal.captured_table ORDER BY 1") == definitions


async def test_a_function_that_was_altered_is_replaced_without_a_lock_on_its_table(
    fresh_lake: Database,
) -> None:
    name = "journal.capture_credit_party_update()"
    async with fresh_lake.connect() as owner, fresh_lake.connect("intake") as writer:
        text = await owner.fetchval(f"SELECT pg_get_functiondef('{name}'::regprocedure)")
        await owner.execute(text.replace("PERFORM journal.enter();", ""))
        altered = await parts(owner)
        async with writer.transaction():
            await writer.execute("LOCK TABLE credit.party IN ROW EXCLUSIVE MODE")
            await migrate(fresh_lake, attempts=1)
        assert await owner.fetchval(f"SELECT pg_get_functiondef('{name}'::regprocedure)") == text
        after = await parts(owner)
        assert {part for part in after if after[part] != altered[part]} == {name}


@pytest.mark.parametrize(
    ("meddling", "restored"),
    [
        ("DROP TRIGGER capture_insert ON credit.party", "trigger credit.party.capture_insert"),
        ("ALTER TABLE credit.party DISABLE TRIGGER capture_delete", "trigger credit.party.capture_delete"),
        (
            "ALTER FUNCTION journal.repair_credit_party RESET lock_timeout",
            "journal.repair_credit_party(text)",
        ),
    ],
)
async def test_what_was_lost_comes_back(fresh_lake: Database, meddling: str, restored: str) -> None:
    async with fresh_lake.connect() as owner:
        before = await parts(owner)
        await owner.execute(meddling)
        meddled = await parts(owner)
        await migrate(fresh_lake)
        after = await parts(owner)
        assert after.keys() == before.keys()
        assert {part for part in after if after[part] != meddled.get(part)} == {restored}
        assert await owner.fetchval("SELECT bool_and(tgenabled = 'O') FROM pg_trigger WHERE NOT tgisinternal")
        # The login that processes backfills may still call the recreated functions.
        assert await owner.fetchval(
            "SELECT has_function_privilege('relay', 'journal.repair_credit_party(text)', 'EXECUTE')"
        )


async def test_a_held_lock_is_given_way_to_told_and_tried_again(
    fresh_lake: Database, capfd: pytest.CaptureFixture[str]
) -> None:
    async with fresh_lake.connect() as owner, fresh_lake.connect("intake") as writer:
        before = await parts(owner)
        await owner.execute("DROP TRIGGER capture_insert ON credit.party")
        transaction = writer.transaction()
        await transaction.start()
        await writer.execute("LOCK TABLE credit.party IN ROW EXCLUSIVE MODE")
        with pytest.raises(
            MigrationBlocked, match=r"schema journal: gave way .* 55P03.* 2 times; nothing was changed"
        ):
            await migrate(fresh_lake, attempts=2, pause_seconds=0)
        assert "attempt 1 of 2" in capfd.readouterr().err
        # Who comes after the migration did not wait for it: its request for the lock is gone.
        async with fresh_lake.connect("intake") as other, other.transaction():
            await other.execute("SET lock_timeout = '1s'")
            await other.execute("LOCK TABLE credit.party IN ROW EXCLUSIVE MODE")
        patient = asyncio.create_task(migrate(fresh_lake, attempts=100, pause_seconds=0.1))
        while "attempt 1 of 100" not in capfd.readouterr().err:
            await asyncio.sleep(0.1)
        await transaction.rollback()
        await patient
        assert (await parts(owner)).keys() == before.keys()
