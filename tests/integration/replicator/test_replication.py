"""The whole pipeline: every committed change of the lake reaches the replica, from every writer."""

from __future__ import annotations

import asyncio
import signal

from tests.integration.replicator.pipeline import Pipeline, party_insert


async def test_inserts_updates_and_deletes_reach_the_replica(pipeline: Pipeline) -> None:
    await pipeline.start("relay")
    await pipeline.start("sink")
    await pipeline.lake(party_insert(300))
    await pipeline.lake("UPDATE credit.party SET full_name = 'Nguyễn Thị Ánh' WHERE full_name LIKE 'x 1%'")
    await pipeline.lake("DELETE FROM credit.party WHERE full_name LIKE 'x 2%'")
    await pipeline.equal()
    rows = await pipeline.replica("SELECT count(*) AS n FROM credit.party WHERE full_name = 'Nguyễn Thị Ánh'")
    assert rows[0]["n"] == 111


async def test_verification_names_a_row_corrupted_by_hand(pipeline: Pipeline) -> None:
    await pipeline.start("relay")
    await pipeline.start("sink")
    await pipeline.lake(party_insert(50))
    await pipeline.equal()
    [row] = await pipeline.replica(
        "UPDATE credit.party SET full_name = 'someone else' WHERE full_name = 'x 7' RETURNING id"
    )
    [gone] = await pipeline.replica("DELETE FROM credit.party WHERE full_name = 'x 8' RETURNING id")
    result = await pipeline.verify()
    assert {(f.table, f.key, f.kind) for f in result.findings} == {
        ("credit.party", f'["{row["id"]}"]', "different"),
        ("credit.party", f'["{gone["id"]}"]', "missing"),
    }
    assert not result.equal


async def test_sinks_that_come_and_go_share_the_partitions_and_none_of_them_dies(pipeline: Pipeline) -> None:
    await pipeline.count_writes("credit.party")
    await pipeline.start("relay")
    for number in range(3):
        await pipeline.start(f"sink{number}", "sink")
        for _ in range(5):
            await pipeline.lake(party_insert(200))
            await asyncio.sleep(0.5)
    await pipeline.signal("sink1", signal.SIGKILL)
    for _ in range(5):
        await pipeline.lake(party_insert(200))
        await asyncio.sleep(0.5)
    await pipeline.equal()
    assert await pipeline.writes() == 4000
    assert pipeline.processes["sink0"].returncode is pipeline.processes["sink2"].returncode is None


async def test_an_image_of_several_megabytes_passes(pipeline: Pipeline) -> None:
    await pipeline.start("relay")
    await pipeline.start("sink")
    # As long as the column may be, and six bytes of JSON each.
    await pipeline.lake(
        "INSERT INTO credit.application (id, state, revision, draft, created_by, created_at) VALUES "
        "(gen_random_uuid(), 'DRAFT', 1, repeat(chr(1), 1024 * 1024), gen_random_uuid(), "
        "clock_timestamp() AT TIME ZONE 'UTC')"
    )
    await pipeline.equal()
    [row] = await pipeline.replica("SELECT length(draft) AS n FROM credit.application")
    assert row["n"] == 1024 * 1024
