"""The operator's commands for the quarantine: list, replay the lake's current rows, drop records that are no change."""

from __future__ import annotations

import getpass

from services.chassis.messaging import open_producer
from tests.integration.replicator.operating import command
from tests.integration.replicator.pipeline import Pipeline, party_insert

PLANTED = r"""
UPDATE journal.change SET image = replace(image, '"x 7', '"x\u0000 7') WHERE image LIKE '%"x 7%'
"""
"""As SQL Server's trigger would write a name that PostgreSQL cannot hold."""


async def forge(pipeline: Pipeline) -> None:
    """Put a record on the parties' topic that no relay wrote."""
    producer = await open_producer(pipeline.kafka, "test-forger")
    try:
        await producer.send_and_wait(f"{pipeline.prefix}credit.party", b"{}", partition=0, headers=[])
    finally:
        await producer.stop()


async def test_entries_are_listed_shown_replayed_and_dropped(pipeline: Pipeline) -> None:
    await pipeline.lake(party_insert(100))
    assert await pipeline.lake(PLANTED) == "UPDATE 11"
    await pipeline.start("relay")
    await pipeline.start("sink")
    assert (await pipeline.verify()).mismatches == 11
    await forge(pipeline)
    await pipeline.lake(party_insert(10, "after"))
    assert (await pipeline.verify()).mismatches == 11

    listed = await command(pipeline, "quarantine", "list", application="sink")
    assert listed.status == 1, listed.output
    assert "12 open" in listed.output
    assert "credit.party.full_name: U+0000" in listed.output
    entries = await pipeline.replica("SELECT id, key FROM replication.sink_quarantine ORDER BY id")
    [forged] = [entry["id"] for entry in entries if entry["key"] is None]
    first, *others = [entry["id"] for entry in entries if entry["key"] is not None]
    shown = await command(pipeline, "quarantine", "show", str(first), application="sink")
    assert (shown.status, "x\\u0000 7" in shown.output) == (0, True), shown.output
    assert (await command(pipeline, "quarantine", "show", "999", application="sink")).status == 2

    one = await command(pipeline, "quarantine", "replay", str(first), application="sink")
    assert one.status == 0, one.output
    rest = await command(pipeline, "quarantine", "replay", "--all", application="sink")
    assert rest.status == 1, "what was never a change cannot be replayed"
    assert f"{forged} has no key of a captured table: drop it" in rest.output
    assert "1 still open" in rest.output
    healed = await pipeline.replica(
        "SELECT id, resolution FROM replication.sink_quarantine WHERE resolved_at IS NOT NULL ORDER BY id"
    )
    assert [tuple(row) for row in healed] == [(number, "healed") for number in (first, *others)]

    dropped = await command(
        pipeline, "quarantine", "drop", str(forged), "--reason", "a test wrote it", application="sink"
    )
    assert dropped.status == 0, dropped.output
    [entry] = await pipeline.replica(
        "SELECT resolution, resolved_by, resolution_reason FROM replication.sink_quarantine WHERE id = $1",
        forged,
    )
    assert tuple(entry) == ("dropped", getpass.getuser(), "a test wrote it")
    assert (await command(pipeline, "quarantine", "list", application="sink")).status == 0
    again = await command(
        pipeline, "quarantine", "drop", str(forged), "--reason", "again", application="sink"
    )
    assert again.status == 1
    await pipeline.equal()


async def test_a_replay_writes_the_row_as_it_is_now_and_removes_one_that_is_gone(pipeline: Pipeline) -> None:
    await pipeline.lake(party_insert(100))
    await pipeline.lake(PLANTED)
    await pipeline.start("relay")
    await pipeline.start("sink")
    assert (await pipeline.verify()).mismatches == 11
    # Past the triggers, so that nothing but the replay can bring it.
    async with pipeline.lake_database.connect() as connection:
        await connection.execute("SET session_replication_role = replica")
        await connection.execute("UPDATE credit.party SET full_name = 'now' WHERE full_name = 'x 70'")
        await connection.execute("DELETE FROM credit.party WHERE full_name = 'x 71'")
    replayed = await command(pipeline, "quarantine", "replay", "--all", application="sink")
    assert replayed.status == 0, replayed.output
    await pipeline.equal()
    rows = await pipeline.replica(
        "SELECT full_name FROM credit.party WHERE full_name IN ('now', 'x 70', 'x 71')"
    )
    assert [row["full_name"] for row in rows] == ["now"]


async def test_a_row_that_still_does_not_fit_stays_open(pipeline: Pipeline) -> None:
    await pipeline.lake(party_insert(20))
    await pipeline.start("relay")
    await pipeline.start("sink")
    await pipeline.equal()
    await pipeline.replica("ALTER TABLE credit.party ADD CONSTRAINT by_hand CHECK (full_name <> 'refused')")
    await pipeline.lake("UPDATE credit.party SET full_name = 'refused' WHERE full_name = 'x 3'")
    assert (await pipeline.verify()).mismatches == 1
    replayed = await command(pipeline, "quarantine", "replay", "--all", application="sink")
    assert replayed.status == 1, replayed.output
    assert "different  credit.party" in replayed.output
    await pipeline.replica("ALTER TABLE credit.party DROP CONSTRAINT by_hand")
    assert (await command(pipeline, "quarantine", "replay", "--all", application="sink")).status == 0
    await pipeline.equal()
