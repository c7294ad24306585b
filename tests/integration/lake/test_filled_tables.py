"""Tables that a migration adds and fills: right from what is there, marked as migrated, and captured."""

from __future__ import annotations

from services.lake.samples.rows import sample_rows
from services.lake.samples.seed import seed_samples
from tests.conftest import Database
from tests.integration.lake.migrating import migrate
from tests.integration.lake.seeding import lake_of


async def test_existing_versions_get_their_parties_as_they_are_marked_as_migrated(
    fresh_lake: Database,
) -> None:
    async with lake_of(fresh_lake) as lake:
        await seed_samples(lake)
    async with fresh_lake.connect() as connection:
        before = await connection.fetch("SELECT * FROM credit.application_version_party ORDER BY 1")
        await migrate(fresh_lake, "0005_version_parties", up=False)
        await connection.execute("DELETE FROM journal.captured_table WHERE table_name LIKE '%version_party'")
        await migrate(fresh_lake, "0005_version_parties", up=True)
        after = await connection.fetch("SELECT * FROM credit.application_version_party ORDER BY 1")
        asked = await connection.fetch("SELECT table_name FROM journal.backfill WHERE finished_at IS NULL")
    assert len(before) == len(sample_rows()["application_version"])
    assert [dict(row) for row in after] == [{**row, "origin": "migrated"} for row in before]
    # The rows were there before the triggers.
    assert [row["table_name"] for row in asked] == ["credit.application_version_party"]


async def test_a_lake_that_was_just_made_asks_for_no_backfill(fresh_lake: Database) -> None:
    async with fresh_lake.connect() as connection:
        assert await connection.fetchval("SELECT count(*) FROM journal.backfill") == 0
