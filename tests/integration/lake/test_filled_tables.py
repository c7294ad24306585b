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


async def test_flags_of_before_become_classifications_without_a_day_and_old_rows_stay(
    fresh_lake: Database,
) -> None:
    async with lake_of(fresh_lake) as lake:
        await seed_samples(lake)
    async with fresh_lake.connect() as connection:
        # One of each, whatever the samples have.
        await connection.execute(
            "UPDATE credit.loan SET restructured = NOT defaulted WHERE id = (SELECT min(id::text)::uuid"
            " FROM credit.loan WHERE NOT defaulted)"
        )
        kinds = "SELECT kind, count(*) FROM credit.loan_transaction GROUP BY kind ORDER BY kind"
        before = await connection.fetch(kinds)
        await migrate(fresh_lake, "0009_second_person", up=False)
        await connection.execute(
            "DELETE FROM journal.captured_table WHERE table_name IN"
            " ('credit.servicing_band', 'credit.loan_proposal', 'credit.loan_classification')"
        )
        await connection.execute("GRANT UPDATE (restructured, defaulted) ON credit.loan TO approval")
        await migrate(fresh_lake, "0009_second_person", up=True)
        may = "SELECT has_column_privilege($1, 'credit.loan', 'defaulted', 'UPDATE')"
        assert [await connection.fetchval(may, login) for login in ("approval", "intake")] == [False, True]
        made = await connection.fetch(
            "SELECT c.classification, l.defaulted, l.restructured, c.effective_from, c.migrated"
            " FROM credit.loan AS l LEFT JOIN credit.loan_classification AS c ON c.loan_id = l.id"
        )
        asked = await connection.fetch("SELECT table_name FROM journal.backfill WHERE finished_at IS NULL")
        assert await connection.fetch(kinds) == before
    classified = [row for row in made if row["classification"] is not None]
    assert {row["classification"] for row in classified} == {"default", "restructured"}
    assert {(row["effective_from"], row["migrated"]) for row in classified} == {(None, True)}
    assert all(row["classification"] or not (row["defaulted"] or row["restructured"]) for row in made)
    assert all(row[{"default": "defaulted"}.get(row["classification"], "restructured")] for row in classified)
    assert [row["table_name"] for row in asked] == ["credit.loan_classification"]
