"""The operators' commands: backfill, repair, purge, status, and what a relay refuses to begin at."""

from __future__ import annotations

import asyncio
import json
import signal

import pytest

from services.lake.derived import derived_statements
from services.lake.journal.dialect import journal_dialect
from services.lake.journal.postgresql import PostgreSQLJournal
from services.lake.tables import CAPTURED
from services.replicator.verification.status import ReplicationStatus
from tests.integration.replicator.operating import command
from tests.integration.replicator.pipeline import Pipeline, party_insert


async def journalled(pipeline: Pipeline, operation: str) -> list[str]:
    """Keys of the journal's changes of this operation, in order."""
    async with pipeline.lake_database.connect() as connection:
        rows = await connection.fetch(
            "SELECT key FROM journal.change WHERE operation = $1 AND actor = 'backfill' ORDER BY position",
            operation,
        )
    return [row["key"] for row in rows]


async def past_the_triggers(pipeline: Pipeline, *statements: str) -> None:
    """Change the lake as a bulk load would, which no trigger sees."""
    async with pipeline.lake_database.connect() as connection:
        await connection.execute("SET session_replication_role = replica")
        for statement in statements:
            await connection.execute(statement)


async def test_a_backfill_brings_what_no_trigger_saw_and_names_unknown_tables(pipeline: Pipeline) -> None:
    await past_the_triggers(pipeline, party_insert(300))
    await pipeline.start("relay", BACKFILL_PAGE_ROWS="70")
    await pipeline.start("sink")
    unknown = await command(pipeline, "backfill", "credit.partie")
    assert unknown.status == 2
    assert "credit.partie is no captured table; there are credit.application" in unknown.output

    done = await command(pipeline, "backfill", "credit.party", "credit.product")
    assert done.status == 0, done.output
    assert "300/300" in done.output
    await pipeline.equal()
    async with pipeline.lake_database.connect() as connection:
        products = await connection.fetchval("SELECT count(*) FROM credit.product")
    assert len(await journalled(pipeline, "r")) == 300 + products
    metric = "credit_replication_backfilled_rows_total"
    assert await pipeline.metric("relay", metric, table="credit.party") == 300


async def test_a_backfill_without_a_relay_is_kept_and_said_to_be(pipeline: Pipeline) -> None:
    waiting = await command(pipeline, "backfill", "--all", "--patience-seconds", "1")
    assert waiting.status == 3
    assert "see that a relay works" in waiting.output
    requested = await command(pipeline, "backfill", "credit.party", "--no-wait")
    assert requested.status == 0
    await pipeline.start("relay")
    async with pipeline.lake_database.connect() as connection:
        while await connection.fetchval("SELECT count(*) FROM journal.backfill WHERE finished_at IS NULL"):
            await asyncio.sleep(0.05)
        assert (
            await connection.fetchval("SELECT count(*) FROM journal.backfill WHERE error IS NULL")
            == len(CAPTURED) + 1
        )


async def test_a_request_that_cannot_be_worked_off_says_so_and_holds_nothing_up(pipeline: Pipeline) -> None:
    await pipeline.start("relay")
    await pipeline.lake(
        "INSERT INTO journal.backfill (id, table_name, keys, requested_by, requested_at, chunks, rows_done) VALUES "
        "(gen_random_uuid(), 'credit.nothing', NULL, 'by hand', now() - interval '1 hour', 0, 0), "
        "(gen_random_uuid(), 'credit.party', '[[\"no uuid\"]]', 'by hand', now() - interval '1 hour', 0, 0), "
        "(gen_random_uuid(), 'credit.loan', 'no JSON', 'by hand', now() - interval '1 hour', 0, 0)"
    )
    done = await command(pipeline, "backfill", "credit.product")
    assert done.status == 0, done.output
    async with pipeline.lake_database.connect() as connection:
        rows = await connection.fetch(
            "SELECT table_name, error FROM journal.backfill WHERE error IS NOT NULL"
        )
    assert {row["table_name"]: row["error"].partition(":")[0] for row in rows} == {
        "credit.nothing": "credit.nothing is no captured table of this lake",
        "credit.party": "the lake refused it (InvalidTextRepresentationError 22P02)",
        "credit.loan": "the lake refused it (InvalidTextRepresentationError 22P02)",
    }
    await pipeline.ready("relay")
    found = ReplicationStatus.model_validate((await pipeline.get("relay", "/status")).json())
    assert {backfill.table: backfill.error for backfill in found.backfills} == {
        row["table_name"]: row["error"] for row in rows
    }
    shown = await command(pipeline, "status")
    assert (
        shown.status,
        "the backfill of credit.nothing failed: credit.nothing is no captured" in shown.output,
    ) == (1, True)

    done = await command(pipeline, "backfill", "credit.party")
    assert done.status == 0, done.output
    found = ReplicationStatus.model_validate((await pipeline.get("relay", "/status")).json())
    assert {backfill.table for backfill in found.backfills} == {"credit.nothing", "credit.loan"}


async def test_a_page_gives_way_to_a_writer_and_is_written_when_it_has_ended(pipeline: Pipeline) -> None:
    await past_the_triggers(pipeline, party_insert(10))
    await pipeline.start("relay")
    await pipeline.start("sink")
    async with pipeline.lake_database.connect() as writer:
        transaction = writer.transaction()
        await transaction.start()
        await writer.execute("UPDATE credit.party SET full_name = 'later' WHERE full_name = 'x 7'")
        assert (await command(pipeline, "backfill", "credit.party", "--no-wait")).status == 0
        while "a page is tried again" not in pipeline.log("relay"):
            await asyncio.sleep(0.05)
        await transaction.commit()
    await pipeline.equal()
    while len(await journalled(pipeline, "r")) < 10:
        await asyncio.sleep(0.05)
    await pipeline.equal()
    rows = await pipeline.replica("SELECT count(*) AS n FROM credit.party WHERE full_name = 'later'")
    assert rows[0]["n"] == 1


async def test_a_migration_that_changes_a_table_asks_for_its_backfill(pipeline: Pipeline) -> None:
    await pipeline.lake(party_insert(50))
    async with pipeline.lake_database.connect() as connection:
        for statement in derived_statements(journal_dialect("postgresql")):
            await connection.execute(statement)
        assert await connection.fetchval("SELECT count(*) FROM journal.backfill") == 0
        await connection.execute(
            "UPDATE journal.captured_table SET fingerprint = 'another' WHERE table_name = 'credit.party'"
        )
        for statement in derived_statements(PostgreSQLJournal()):
            await connection.execute(statement)
        requests = await connection.fetch("SELECT table_name, keys, requested_by FROM journal.backfill")
    assert [tuple(request) for request in requests] == [("credit.party", None, "migration")]


async def test_repair_writes_what_the_lake_holds_and_deletes_what_it_does_not(pipeline: Pipeline) -> None:
    await pipeline.start("relay")
    await pipeline.start("sink")
    await pipeline.lake(party_insert(50))
    await pipeline.equal()
    await past_the_triggers(
        pipeline,
        "UPDATE credit.party SET full_name = 'unseen' WHERE full_name = 'x 1'",
        "DELETE FROM credit.party WHERE full_name = 'x 2'",
        party_insert(1, "bulk"),
    )
    found = await command(pipeline, "verify")
    assert found.status == 1, found.output
    assert {line.split()[0] for line in found.output.splitlines()[:3]} == {"different", "extra", "missing"}
    repaired = await command(pipeline, "repair")
    assert repaired.status == 0, repaired.output
    assert "3 rows written again, 0 still differ" in repaired.output
    await pipeline.equal()
    assert (len(await journalled(pipeline, "r")), len(await journalled(pipeline, "d"))) == (2, 1)

    [row] = await pipeline.replica(
        "UPDATE credit.party SET full_name = 'someone else' WHERE full_name = 'x 7' RETURNING id"
    )
    named = await command(pipeline, "repair", "credit.party", str(row["id"]).upper())
    assert named.status == 0, named.output
    await pipeline.equal()
    wrong = await command(pipeline, "repair", "credit.party", "x 7")
    assert wrong.status == 2
    assert "'x 7' is no key of credit.party (id)" in wrong.output


async def test_repair_of_a_key_that_is_being_inserted_does_not_delete_it(pipeline: Pipeline) -> None:
    await pipeline.start("relay")
    await pipeline.start("sink")
    key = "0197a2a0-0000-7000-8000-000000000001"
    async with pipeline.lake_database.connect() as writer:
        transaction = writer.transaction()
        await transaction.start()
        await writer.execute(
            party_insert(1, "late").replace("gen_random_uuid(), 'person'", f"'{key}', 'person'")
        )
        repairing = asyncio.create_task(command(pipeline, "repair", "credit.party", key))
        while "a page is tried again" not in pipeline.log("relay"):
            await asyncio.sleep(0.05)
        await transaction.commit()
    repaired = await repairing
    assert repaired.status == 0, repaired.output
    await pipeline.equal()
    assert await journalled(pipeline, "d") == []
    assert len(await pipeline.replica("SELECT 1 FROM credit.party WHERE full_name = 'late 1'")) == 1


@pytest.mark.long
async def test_purge_keeps_what_a_reader_has_not_passed_and_a_relay_behind_it_stops_by_name(
    pipeline: Pipeline,
) -> None:
    nobody = await command(pipeline, "purge", "--older-than", "0", lake="creditmesh")
    assert nobody.status == 2
    assert "journal.reader is empty" in nobody.output

    await pipeline.start("relay")
    await pipeline.start("sink")
    await pipeline.lake(party_insert(300))
    await pipeline.equal()
    async with pipeline.lake_database.connect() as connection:
        last = await connection.fetchval("SELECT max(position) FROM journal.change")
        reported = "SELECT count(*) FROM journal.reader WHERE position_major = $1"
        while await connection.fetchval(reported, last) < 2:
            await asyncio.sleep(0.05)
        # What follows is read by nobody, however long the commands take.
        await pipeline.signal("relay", signal.SIGKILL)
        await pipeline.lake(party_insert(10, "newer"))
        count = await connection.fetchval("SELECT count(*) FROM journal.change WHERE position < $1", last)

        young = await command(pipeline, "purge", "--older-than", "1", lake="creditmesh")
        assert (young.status, "0 changes removed, up to nothing" in young.output) == (0, True), young.output
        dry = await command(pipeline, "purge", "--older-than", "0", "--dry-run", lake="creditmesh")
        assert f"{count} changes would go" in dry.output, dry.output
        forbidden = await command(pipeline, "purge", "--older-than", "0", lake="relay")
        assert forbidden.status == 1
        done = await command(pipeline, "purge", "--older-than", "0", lake="creditmesh")
        assert f"{count} changes removed, up to position " in done.output, done.output
        assert await connection.fetchval("SELECT min(position) FROM journal.change") == last
        purged = await connection.fetchval("SELECT position_major FROM journal.purged")
    assert 0 < purged < last

    await pipeline.start("relay")
    await pipeline.equal()
    await pipeline.signal("relay", signal.SIGKILL)
    await pipeline.replica("UPDATE replication.relay SET position_major = $1, captured_at = NULL", purged - 1)
    await pipeline.start("relay")
    assert await pipeline.died("relay") == 1
    assert f"CursorBehindRetention: the cursor stands at {purged - 1}.0" in pipeline.log("relay")

    # As the runbook says: begin where the journal begins, write every row again, and remove what is gone.
    await past_the_triggers(
        pipeline, "DELETE FROM credit.party WHERE full_name = 'x 1'", party_insert(3, "in the gap")
    )
    await pipeline.replica("UPDATE replication.relay SET position_major = $1", purged)
    await pipeline.start("relay")
    assert (await command(pipeline, "backfill", "credit.party")).status == 0
    assert [finding.kind for finding in (await pipeline.verify()).findings] == ["extra"]
    assert (await command(pipeline, "repair")).status == 0
    await pipeline.equal()


async def test_status_names_what_needs_a_person_and_a_relay_that_dies_at_each_start_is_not_alive(
    pipeline: Pipeline,
) -> None:
    await pipeline.start("relay")
    await pipeline.start("sink")
    await pipeline.lake(party_insert(100))
    await pipeline.equal()
    well = await command(pipeline, "status")
    assert well.status == 0, well.output
    assert "alive True" in well.output

    told = json.loads((await command(pipeline, "status", "--json")).output)
    served = (await pipeline.get("relay", "/status")).json()
    assert told.keys() == served.keys()
    [party] = [table for table in told["tables"] if table["table"] == "credit.party"]
    assert (party["lag_rows"], party["lag_seconds"], party["stopped"]) == (0, 0, None)
    assert party["applied"] == party["captured"]
    assert told["verified_through"] == party["verified"]

    await pipeline.signal("sink", signal.SIGKILL)
    await pipeline.lake(party_insert(70, "later"))
    await pipeline.relayed()
    behind = await command(pipeline, "status", "--max-lag-seconds", "0", "--max-age", "0")
    assert behind.status == 1
    assert "credit.party is " in behind.output
    assert "70 changes behind" in behind.output
    assert "last found equal" in behind.output

    await pipeline.signal("relay", signal.SIGKILL)
    await pipeline.lake("UPDATE journal.incarnation SET id = gen_random_uuid()")
    for _ in range(2):
        await pipeline.start("relay")
        assert await pipeline.died("relay") == 1
        status = json.loads((await command(pipeline, "status", "--json")).output)
        assert (status["relay_alive"], status["relay_owner"]) == (False, "relay")
    dead = await command(pipeline, "status")
    assert dead.status == 1
    assert "no relay works" in dead.output
