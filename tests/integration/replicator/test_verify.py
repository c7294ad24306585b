"""Verification: continuous and on demand, what no trigger saw, relations of the replica, and what it waits for."""

from __future__ import annotations

import asyncio

from tests.integration.replicator.pipeline import Pipeline, party_insert


async def verified_through(pipeline: Pipeline) -> tuple[int, int]:
    """The stored position up to which both sides were found equal."""
    [row] = await pipeline.replica("SELECT position_major, position_minor FROM replication.verified_through")
    return row["position_major"], row["position_minor"]


async def test_it_goes_on_by_itself_and_measures_what_differs_by_table(pipeline: Pipeline) -> None:
    await pipeline.start("relay")
    await pipeline.start("sink")
    await pipeline.lake(party_insert(50))
    await pipeline.start("verifier", VERIFY_EVERY_SECONDS="1")
    await pipeline.ready("verifier")
    equal = "credit_replication_verified_timestamp_seconds"
    while not await pipeline.metric("verifier", equal):
        await asyncio.sleep(0.1)
    assert await pipeline.metric("verifier", "credit_replication_relay_alive") == 1
    assert await pipeline.metric("verifier", "credit_replication_mismatches", table="credit.party") == 0
    before = await verified_through(pipeline)

    # What a trigger that was disabled for a moment did not see.
    await pipeline.lake("ALTER TABLE credit.party DISABLE TRIGGER capture_update")
    await pipeline.lake("UPDATE credit.party SET full_name = 'unseen' WHERE full_name IN ('x 1', 'x 2')")
    await pipeline.lake("ALTER TABLE credit.party ENABLE TRIGGER capture_update")
    while await pipeline.metric("verifier", "credit_replication_mismatches", table="credit.party") != 2:
        await asyncio.sleep(0.1)
    assert await pipeline.metric("verifier", "credit_replication_mismatches") == 2
    assert "rows differ" in pipeline.log("verifier")
    assert (await pipeline.get("verifier", "/status")).json()["equal"] is False

    await pipeline.lake("UPDATE credit.party SET revision = revision + 1")
    while await pipeline.metric("verifier", "credit_replication_mismatches"):
        await asyncio.sleep(0.1)
    while await verified_through(pipeline) <= before:
        await asyncio.sleep(0.1)
    assert pipeline.processes["verifier"].returncode is None


async def test_what_is_verified_never_goes_back(pipeline: Pipeline) -> None:
    await pipeline.start("relay")
    await pipeline.start("sink")
    await pipeline.lake(party_insert(50))
    await pipeline.equal()
    before = await verified_through(pipeline)
    await pipeline.lake("UPDATE credit.party SET revision = 2")
    await pipeline.relayed()
    await pipeline.replica("UPDATE credit.party SET full_name = 'else' WHERE full_name = 'x 1'")
    await pipeline.lake(party_insert(1, "more"))
    result = await pipeline.verify()
    assert result.mismatches == 1
    assert await verified_through(pipeline) == before
    await pipeline.replica(
        "UPDATE replication.verified_through SET position_major = position_major + 1000000"
    )
    await pipeline.lake("UPDATE credit.party SET revision = 3")
    await pipeline.equal()
    assert await verified_through(pipeline) == (before[0] + 1_000_000, before[1])


async def test_a_row_without_its_parent_is_named_when_it_stays_so(pipeline: Pipeline) -> None:
    await pipeline.start("relay")
    await pipeline.start("sink")
    async with pipeline.lake_database.connect() as connection:
        await connection.execute("SET session_replication_role = replica")
        # Past the foreign key, but not past capture.
        await connection.execute("ALTER TABLE credit.loan_transaction ENABLE ALWAYS TRIGGER capture_insert")
        key = await connection.fetchval(
            "INSERT INTO credit.loan_transaction "
            "(id, loan_id, kind, amount, currency, effective_on, recorded_by, recorded_at) VALUES "
            "(gen_random_uuid(), gen_random_uuid(), 'payment', 1, 'EUR', '2026-01-01', gen_random_uuid(), "
            "clock_timestamp()) RETURNING id"
        )
    result = await pipeline.verify()
    assert [(f.table, f.key, f.kind) for f in result.findings] == [
        ("credit.loan_transaction", f'["{key}"]', "orphan")
    ]
    assert not result.equal


async def test_a_topic_of_an_older_prefix_holds_nobody_up(pipeline: Pipeline) -> None:
    await pipeline.start("relay")
    await pipeline.start("sink")
    await pipeline.lake(party_insert(10))
    await pipeline.equal()
    await pipeline.signal("relay", 9)
    await pipeline.replica(
        """UPDATE replication.relay SET sent = sent || '{"older.credit.party/0": "1.0"}'::jsonb"""
    )
    await pipeline.start("relay")
    await pipeline.lake(party_insert(10, "after"))
    await pipeline.equal()
    [row] = await pipeline.replica("SELECT sent ? 'older.credit.party/0' AS there FROM replication.relay")
    assert row["there"] is False


async def test_a_stopped_table_is_said_and_the_others_are_verified(pipeline: Pipeline) -> None:
    await pipeline.start("relay")
    await pipeline.start("sink")
    await pipeline.lake(party_insert(10))
    await pipeline.equal()
    await pipeline.replica(
        "INSERT INTO replication.stopped_table (table_name, kind, reason, command) VALUES "
        "('credit.loan', 'schema', 'a column was dropped', 'accept-schema credit.loan')"
    )
    result = await pipeline.verify()
    assert (result.findings, result.stopped, result.equal) == ((), ("credit.loan",), False)
