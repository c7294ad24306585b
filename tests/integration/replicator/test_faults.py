"""Acceptance cases of docs/guides/change-capture.md: real processes, killed and stopped at named points.

The oracle of all: lake and replica hold the same rows, nothing is in the quarantine, nothing was written twice.
"""

from __future__ import annotations

import asyncio
import signal

import pytest
from aiokafka import TopicPartition

from services.chassis.messaging import open_consumer
from tests.integration.replicator.pipeline import Pipeline, party_insert


async def positions_on(pipeline: Pipeline, topic: str) -> list[str]:
    """The positions of all changes on a topic, heartbeats left out, repeats included."""
    consumer = await open_consumer(pipeline.kafka, None, "test-positions")
    try:
        await consumer._client.add_topic(pipeline.prefix + topic)
        partitions = consumer.partitions_for_topic(pipeline.prefix + topic)
        places = [TopicPartition(pipeline.prefix + topic, number) for number in partitions]
        consumer.assign(places)
        await consumer.seek_to_beginning()
        ends = await consumer.end_offsets(places)
        found: list[str] = []
        while any([await consumer.position(place) < ends[place] for place in places]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    headers = dict(record.headers)
                    if headers["operation"] != b"h":
                        found.append(headers["position"].decode())
        return found
    finally:
        await consumer.stop()


async def test_case_04_a_relay_killed_before_its_cursor_is_saved_repeats_and_nothing_is_applied_twice(
    pipeline: Pipeline,
) -> None:
    await pipeline.count_writes("credit.party")
    await pipeline.lake(party_insert(500))
    await pipeline.start("relay", FAILPOINTS="relay.after_acks=kill")
    assert await pipeline.died("relay") == -signal.SIGKILL
    await pipeline.start("relay")
    await pipeline.start("sink")
    await pipeline.equal()
    positions = await positions_on(pipeline, "credit.party")
    assert len(positions) == 1000
    assert len(set(positions)) == 500
    assert await pipeline.writes() == 500
    assert await pipeline.metric("sink", "credit_replication_dropped_records_total", reason="repeat") >= 500


@pytest.mark.parametrize("point", ["before_write", "after_write", "before_commit", "after_commit"])
async def test_case_06_a_sink_killed_at_any_point_of_its_batch_changes_nothing_twice(
    pipeline: Pipeline, point: str
) -> None:
    await pipeline.count_writes("credit.party")
    await pipeline.start("relay")
    await pipeline.lake(party_insert(300))
    await pipeline.relayed()
    await pipeline.start("sink", FAILPOINTS=f"sink.{point}=kill")
    assert await pipeline.died("sink") == -signal.SIGKILL
    await pipeline.start("sink")
    await pipeline.equal()
    assert await pipeline.writes() == 300


async def test_case_08_a_zombie_sink_holds_nobody_up_and_changes_nothing(pipeline: Pipeline) -> None:
    await pipeline.count_writes("credit.party")
    await pipeline.start("relay")
    await pipeline.lake(party_insert(200))
    await pipeline.relayed()
    await pipeline.start("zombie", "sink", FAILPOINTS="sink.before_commit=stop")
    for _ in range(600):
        blocked = await pipeline.replica(
            "SELECT 1 FROM pg_stat_activity "
            "WHERE application_name = 'replicator-sink' AND state = 'idle in transaction'"
        )
        if blocked:
            break
        await asyncio.sleep(0.05)
    else:
        pytest.fail(f"the sink never stood in its transaction; its log:\n{pipeline.log('zombie')}")
    await pipeline.start("sink")
    await pipeline.equal()
    assert await pipeline.writes() == 200

    await pipeline.signal("zombie", signal.SIGCONT)
    await pipeline.lake(party_insert(100, "after"))
    await pipeline.equal()
    assert await pipeline.writes() == 300


async def test_case_12_of_many_changes_of_one_key_in_one_batch_the_last_counts(pipeline: Pipeline) -> None:
    await pipeline.count_writes("credit.party")
    await pipeline.start("relay")
    await pipeline.lake(party_insert(1))
    await pipeline.lake("UPDATE credit.party SET full_name = 'updated'")
    row = "0197a2a0-0000-7000-8000-000000000001"
    await pipeline.lake(f"UPDATE credit.party SET id = '{row}'")
    await pipeline.lake("DELETE FROM credit.party")
    await pipeline.lake(party_insert(1, "again").replace("gen_random_uuid(), 'person'", f"'{row}', 'person'"))
    await pipeline.lake("UPDATE credit.party SET revision = 7")
    await pipeline.relayed()
    await pipeline.start("sink")
    await pipeline.equal()
    [found] = await pipeline.replica("SELECT id, full_name, revision FROM credit.party")
    assert (str(found["id"]), found["full_name"], found["revision"]) == (row, "again 1", 7)
    assert await pipeline.writes() == 1


async def test_case_16_one_image_that_postgresql_cannot_hold_is_set_aside_alone_and_heals(
    pipeline: Pipeline,
) -> None:
    await pipeline.lake(party_insert(10_000))
    # As SQL Server's trigger would have written it: its nvarchar may hold U+0000.
    planted = await pipeline.lake(
        r"""UPDATE journal.change SET image = replace(image, '"x 777"', '"x\u0000 777"') WHERE image LIKE '%"x 777"%'"""
    )
    assert planted == "UPDATE 1"
    await pipeline.start("relay")
    await pipeline.start("sink")
    result = await pipeline.verify()
    [finding] = result.findings
    assert (finding.table, finding.kind) == ("credit.party", "missing")

    [entry] = await pipeline.replica("SELECT * FROM replication.sink_quarantine")
    assert entry["key"].decode() == finding.key
    assert f"{pipeline.prefix}credit.party/{entry['partition']}@{entry['kafka_offset']}" in entry["reason"]
    assert "credit.party.full_name: U+0000" in entry["reason"]
    assert (await pipeline.get("relay", "/status")).json()["equal"] is False
    assert await pipeline.metric("sink", "credit_replication_quarantined_records") == 1

    await pipeline.lake("UPDATE credit.party SET full_name = 'x 777, corrected' WHERE full_name = 'x 777'")
    await pipeline.equal()
    [healed] = await pipeline.replica("SELECT resolution FROM replication.sink_quarantine")
    assert healed["resolution"] == "healed"
    assert (await pipeline.get("relay", "/status")).json()["equal"] is True
