"""Acceptance cases 4, 5, 9 and 10: the relay is killed or stopped, the broker is killed under it."""

from __future__ import annotations

import asyncio
import signal

import pytest

from services.replicator.relay.timing import HEARTBEAT_SECONDS, HEARTBEAT_TURNS
from tests.faults.servers import Servers
from tests.faults.validator import Validator
from tests.integration.replicator.pipeline import Pipeline, party_insert, until

PARTY = "credit.party"
DROPPED = "credit_replication_dropped_records_total"
EPOCH = "credit_replication_relay_epoch"


async def test_case_04_a_relay_killed_before_its_cursor_is_saved_repeats_and_nothing_is_applied_twice(
    pipeline: Pipeline, validator: Validator
) -> None:
    await pipeline.lake(party_insert(500))
    await pipeline.start("relay", FAILPOINTS="relay.after_acks=kill")
    assert await pipeline.died("relay") == -signal.SIGKILL
    await pipeline.start("relay")
    await pipeline.start("sink")
    await pipeline.equal()
    counts = await validator.validate_at_rest()
    assert counts["repeats"] > 0
    assert await validator.writes(PARTY) == 500
    await drops(pipeline, counts["repeats"] + counts["repeated heartbeats"])


async def test_case_04_a_heartbeat_that_is_repeated_with_the_changes_is_dropped_and_counted(
    pipeline: Pipeline, validator: Validator
) -> None:
    await pipeline.lake(party_insert(10))
    # The first read takes longer than it is to the first heartbeat: its round carries heartbeats too.
    async with pipeline.lake_database.connect() as lake, lake.transaction():
        await lake.execute("LOCK TABLE journal.change IN ACCESS EXCLUSIVE MODE")
        await pipeline.start("relay", FAILPOINTS="relay.after_acks=kill")
        while not await lake.fetchval(
            "SELECT count(*) FROM pg_locks WHERE relation = 'journal.change'::regclass AND NOT granted"
        ):
            await asyncio.sleep(0.05)
        await asyncio.sleep(3 * HEARTBEAT_SECONDS / HEARTBEAT_TURNS)
    assert await pipeline.died("relay") == -signal.SIGKILL
    await pipeline.start("relay")
    await pipeline.start("sink")
    await pipeline.equal()
    counts = await validator.validate_at_rest()
    assert counts["repeated heartbeats"] > 0
    await drops(pipeline, counts["repeats"] + counts["repeated heartbeats"])


async def drops(pipeline: Pipeline, count: int) -> None:
    """Wait until the sink has dropped exactly this number of repeats."""

    async def dropped() -> bool:
        return await pipeline.metric("sink", DROPPED, reason="repeat") >= count

    await until(dropped, f"fewer than {count} repeats were dropped", pipeline, "sink")
    assert await pipeline.metric("sink", DROPPED, reason="repeat") == count


@pytest.mark.parametrize("point", ["before_acks=kill:3", "after_acks=kill:3", "after_save=kill:1"])
async def test_case_05_of_a_transaction_in_whose_middle_the_relay_is_killed_all_arrives(
    pipeline: Pipeline, validator: Validator, point: str
) -> None:
    await pipeline.lake(party_insert(10_000))
    await pipeline.start("relay", FAILPOINTS=f"relay.{point}", RELAY_BATCH_CHANGES="1000")
    await pipeline.start("sink", FAILPOINTS="sink.after_commit=kill:2", SINK_BATCH_CHANGES="1000")
    assert await pipeline.died("relay") == -signal.SIGKILL
    [cut] = await pipeline.replica("SELECT count(*) AS n FROM credit.party")
    assert cut["n"] < 10_000, "the relay was not killed in the middle"
    await pipeline.start("relay")
    assert await pipeline.died("sink") == -signal.SIGKILL
    await pipeline.start("sink")
    await pipeline.equal()
    assert await validator.writes(PARTY) == 10_000


async def test_case_09_the_late_sends_of_a_zombie_relay_are_dropped_and_counted(
    pipeline: Pipeline, validator: Validator
) -> None:
    await pipeline.lake(party_insert(5000))
    await pipeline.start("zombie", "relay", FAILPOINTS="relay.before_acks=stop:2")
    await pipeline.stands_still("zombie")
    [held] = await pipeline.replica("SELECT owner, epoch FROM replication.relay")
    assert held["owner"] == "zombie"

    await pipeline.start("relay")
    await pipeline.start("sink")
    await pipeline.equal()
    await pipeline.lake("UPDATE credit.party SET full_name = full_name || ', later'")
    await pipeline.equal()
    assert await validator.writes(PARTY) == 10_000
    [taken] = await pipeline.replica("SELECT owner, epoch FROM replication.relay")
    assert (taken["owner"], taken["epoch"]) == ("relay", held["epoch"] + 1)

    await pipeline.signal("zombie", signal.SIGCONT)

    async def dropped() -> bool:
        return await pipeline.metric("sink", DROPPED, reason="stale_epoch") > 0

    await until(dropped, "no late send came", pipeline, "zombie")
    await pipeline.lake("UPDATE credit.party SET revision = revision + 1")
    await pipeline.equal()
    assert await validator.writes(PARTY) == 15_000, "something after the late sends was taken for a repeat"

    async def stands_by() -> bool:
        return await pipeline.metric("zombie", EPOCH) == 0

    await until(stands_by, "it did not notice that its lease is lost", pipeline, "zombie")
    [still] = await pipeline.replica("SELECT owner, epoch FROM replication.relay")
    assert (still["owner"], still["epoch"]) == ("relay", taken["epoch"])


@pytest.mark.long
async def test_case_10_a_broker_killed_while_the_relay_produces_loses_nothing(
    pipeline: Pipeline, servers: Servers
) -> None:
    await pipeline.lake(party_insert(20_000))
    await pipeline.start("relay", RELAY_BATCH_CHANGES="200")
    await pipeline.start("sink")

    async def some() -> bool:
        return bool(await pipeline.replica("SELECT 1 FROM replication.relay WHERE position_major > 1"))

    for number in range(2):
        await until(some, "the relay sent nothing", pipeline, "relay")
        await servers.kill("kafka")
        await pipeline.lake(
            f"UPDATE credit.party SET revision = revision + 1 WHERE full_name LIKE '%{number}'"
        )
        await servers.ready("kafka")
        await pipeline.lake("DELETE FROM credit.party WHERE id IN (SELECT id FROM credit.party LIMIT 100)")
    await pipeline.equal(120)
    [left] = await pipeline.replica("SELECT count(*) AS n FROM credit.party")
    assert left["n"] == 19_800
    assert pipeline.processes["relay"].returncode is pipeline.processes["sink"].returncode is None


@pytest.mark.long
async def test_two_relays_of_one_name_do_not_take_turns(pipeline: Pipeline) -> None:
    await pipeline.start("first", "relay", INSTANCE="relay")
    await pipeline.start("sink")
    await pipeline.lake(party_insert(10))
    await pipeline.equal()
    await pipeline.start("second", "relay", INSTANCE="relay")

    async def lost() -> bool:
        return "lease lost" in pipeline.log("first")

    await until(lost, "the second did not take over", pipeline, "second")
    [taken] = await pipeline.replica("SELECT epoch FROM replication.relay")
    for _ in range(5):
        await pipeline.lake(party_insert(10))
        await pipeline.equal()
        await asyncio.sleep(1)
    [still] = await pipeline.replica("SELECT epoch FROM replication.relay")
    assert still["epoch"] == taken["epoch"]
