"""Tables that a migration adds and fills: correct rows from existing data, marked as migrated, and captured."""

from __future__ import annotations

import uuid
from datetime import date
from decimal import Decimal

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


async def test_products_keep_their_parameters_valid_since_ever(fresh_lake: Database) -> None:
    module = "0010_product_parameters"
    async with fresh_lake.connect() as connection:
        kept = "SELECT product_code, valid_from, interest_rate, probability_of_default, loss_given_default, "
        kept += "credit_conversion_factor FROM credit.product_parameters ORDER BY 1, 2"
        before = await connection.fetch(kept)
        # Parameters of a later day are the product's current ones.
        await connection.execute(
            "INSERT INTO credit.product_parameters VALUES ('CAR', '2026-02-01', 0.07, 0.5, 0.25, 1, now())"
        )
        await migrate(fresh_lake, module, up=False)
        car = await connection.fetchrow("SELECT * FROM credit.product WHERE code = 'CAR'")
        assert car is not None
        assert (car["interest_rate"], car["credit_conversion_factor"]) == (Decimal("0.07"), 1)
        await connection.execute(
            "UPDATE credit.product SET interest_rate = 0.069, probability_of_default = 0.03"
        )
        # From before rates were bounded.
        await connection.execute("ALTER TABLE credit.product DROP CONSTRAINT ck_product_interest_rate")
        await connection.execute("UPDATE credit.product SET interest_rate = 50 WHERE code = 'BUSINESS'")
        await connection.execute(
            "ALTER TABLE credit.product ADD CONSTRAINT ck_product_interest_rate CHECK (interest_rate <= 10) NOT VALID"
        )
        await connection.execute(
            "DELETE FROM journal.captured_table WHERE table_name = 'credit.product_parameters'"
        )
        await migrate(fresh_lake, module, up=True)
        after = {row["product_code"]: tuple(row)[1:] for row in await connection.fetch(kept)}
        asked = await connection.fetch("SELECT table_name FROM journal.backfill WHERE finished_at IS NULL")
    always = date(1900, 1, 1)
    assert {row["product_code"] for row in before} == after.keys()
    assert after["CAR"] == (always, Decimal("0.069"), Decimal("0.03"), Decimal("0.25"), Decimal(1))
    assert after["BUSINESS"][1] == 50
    assert {since for since, *_ in after.values()} == {always}
    assert "credit.product_parameters" in {row["table_name"] for row in asked}


async def test_kept_answers_become_ids_and_lose_their_content(fresh_lake: Database) -> None:
    made = uuid.uuid4()
    answers = {
        "made": (201, f'{{"id":"{made}","full_name":"Lê Văn An"}}'),
        # What a deleted draft left.
        "deleted": (410, ""),
    }
    async with fresh_lake.connect() as connection:
        await migrate(fresh_lake, "0017_kept_answers", up=False)
        for key, (status, response) in answers.items():
            await connection.execute(
                "INSERT INTO intake.idempotency_key (caller, key, request_sha256, status, response, created_at)"
                " VALUES ($1, $2, '', $3, $4, '2026-11-30')",
                uuid.UUID(int=1),
                key,
                status,
                response,
            )
        await migrate(fresh_lake, "0017_kept_answers", up=True)
        rows = await connection.fetch("SELECT * FROM intake.idempotency_key ORDER BY key")
        await migrate(fresh_lake, "0017_kept_answers", up=False)
        back = await connection.fetch("SELECT status, response FROM intake.idempotency_key")
        await migrate(fresh_lake, "0017_kept_answers", up=True)

    assert [(row["key"], row["status"], row["made_id"]) for row in rows] == [
        ("deleted", 201, uuid.UUID(int=0)),
        ("made", 201, made),
    ]
    assert [dict(row) for row in back] == [{"status": 410, "response": ""}] * 2
    assert not any("response" in row for row in rows)
