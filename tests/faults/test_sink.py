"""Acceptance cases 6, 7, 8 and 11: the sink is killed or stopped, cut off its database, or shares with others."""

from __future__ import annotations

import signal

import pytest

from tests.faults.proxy import Proxy
from tests.faults.scenarios import be_a_guest, rebalance_storm
from tests.faults.validator import Validator
from tests.integration.replicator.pipeline import Pipeline, party_insert, until

PARTY = "credit.party"
DROPPED = "credit_replication_dropped_records_total"


# What is of one table is written by one statement, deletes and all: a transaction by itself.
WITH_A_DELETE = "; DELETE FROM credit.party WHERE full_name LIKE '% 301'"
# A batch of two tables is one of two statements.
WITH_ANOTHER_TABLE = (
    "; INSERT INTO credit.application (id, state, revision, draft, created_by, created_at) VALUES "
    "(gen_random_uuid(), 'DRAFT', 1, '{}', gen_random_uuid(), clock_timestamp() AT TIME ZONE 'UTC')"
)


@pytest.mark.parametrize(
    ("point", "statements"),
    [("before_write", 1), ("after_commit", 1), ("before_write", 2), ("after_write", 2), ("before_commit", 2)],
)
async def test_case_06_a_sink_killed_at_any_point_of_its_batch_changes_nothing_twice(
    pipeline: Pipeline, validator: Validator, point: str, statements: int
) -> None:
    statement = party_insert(301) + WITH_A_DELETE
    if statements == 2:
        statement += WITH_ANOTHER_TABLE
    await pipeline.start("relay")
    await pipeline.lake(statement)
    await pipeline.relayed()
    await pipeline.start("sink", FAILPOINTS=f"sink.{point}=kill")
    assert await pipeline.died("sink") == -signal.SIGKILL
    await pipeline.start("sink")
    await pipeline.equal()
    assert await validator.writes(PARTY) == 300


@pytest.mark.parametrize("statements", [1, 2])
async def test_case_07_a_batch_whose_commit_is_not_acknowledged_is_not_repeated(
    pipeline: Pipeline, validator: Validator, proxy: Proxy, statements: int
) -> None:
    url = proxy.url(pipeline.application_database.url("sink"))
    await pipeline.start("relay")
    await pipeline.start("sink", APPLICATION_URL=url)
    await pipeline.lake(party_insert(300))
    await pipeline.equal()
    for number in range(3):
        tag = f"round {number} x"
        marker, statement = tag.encode(), party_insert(301, tag) + WITH_A_DELETE
        if statements == 2:
            marker, statement = b"COMMIT", statement + WITH_ANOTHER_TABLE
        lost = proxy.lose_reply_to(marker)
        await pipeline.lake(statement)
        await until(lost.is_set, "the sink committed nothing", pipeline, "sink")
        await pipeline.equal()
    assert await validator.writes(PARTY) == 1200
    assert "the application database does not take the batch" in pipeline.log("sink")
    assert pipeline.processes["sink"].returncode is None


async def test_case_08_a_zombie_sink_holds_nobody_up_and_changes_nothing(
    pipeline: Pipeline, validator: Validator
) -> None:
    await pipeline.start("relay")
    await pipeline.lake(party_insert(300) + WITH_ANOTHER_TABLE)
    await pipeline.relayed()
    await pipeline.start("zombie", "sink", FAILPOINTS="sink.before_commit=stop")
    await pipeline.stands_still("zombie")
    assert await pipeline.replica(
        "SELECT 1 FROM pg_stat_activity WHERE application_name = 'replicator-sink' "
        "AND datname = current_database() AND state = 'idle in transaction'"
    )
    await pipeline.start("sink")
    await pipeline.equal()
    assert await validator.writes(PARTY) == 300

    await pipeline.signal("zombie", signal.SIGCONT)
    await pipeline.lake(party_insert(100, "after"))
    await pipeline.equal()
    assert await validator.writes(PARTY) == 400


async def test_case_08_a_zombie_sink_that_wakes_up_with_a_batch_writes_none_of_it(
    pipeline: Pipeline, validator: Validator
) -> None:
    await pipeline.start("relay")
    # What a fresh lake has captured is of many tables. Without it the zombie's batch is one statement.
    await pipeline.start("first", "sink")
    await pipeline.equal()
    await pipeline.signal("first", signal.SIGTERM)
    assert await pipeline.died("first") == 0
    await pipeline.lake(party_insert(200))
    await pipeline.relayed()
    await pipeline.start("zombie", "sink", FAILPOINTS="sink.before_write=stop")
    await pipeline.stands_still("zombie")
    await pipeline.start("sink")
    await pipeline.equal()
    assert await validator.writes(PARTY) == 200

    await pipeline.signal("zombie", signal.SIGCONT)
    await until(
        lambda: "partitions were taken over" in pipeline.log("zombie"), "no fence was met", pipeline, "zombie"
    )
    await pipeline.lake(party_insert(100, "after"))
    await pipeline.equal()
    assert await validator.writes(PARTY) == 300


@pytest.mark.long
async def test_case_11_in_a_rebalance_storm_nothing_is_skipped_and_nothing_goes_back(
    pipeline: Pipeline,
) -> None:
    await rebalance_storm(pipeline, seconds=20, seed=11, least=6)


@pytest.mark.long
async def test_a_sink_whose_connection_is_dead_without_a_word_goes_on_with_another(
    pipeline: Pipeline, proxy: Proxy
) -> None:
    url = proxy.url(pipeline.application_database.url("sink"))
    await pipeline.start("relay")
    # Longer than it takes the sink to call itself stuck.
    await pipeline.start("sink", APPLICATION_URL=url, SINK_COMMAND_SECONDS="20")
    await pipeline.lake(party_insert(100))
    await pipeline.equal()
    proxy.go_deaf()
    await pipeline.lake(party_insert(100))

    async def unready() -> bool:
        return (await pipeline.get("sink", "/readyz")).status_code == 503

    await until(unready, "the sink says that it is ready", pipeline, "sink")
    await pipeline.equal(120)


@pytest.mark.long
@pytest.mark.parametrize("how", ["reset", "cut", "stall"])
async def test_a_connection_that_is_lost_again_and_again_loses_and_repeats_nothing(
    pipeline: Pipeline, validator: Validator, proxy: Proxy, how: str
) -> None:
    url = proxy.url(pipeline.application_database.url("sink"))
    await pipeline.start("relay", APPLICATION_URL=proxy.url(pipeline.application_database.url("relay")))
    # Longer than the sink may be idle before it reports that it is not ready.
    await pipeline.start("sink", APPLICATION_URL=url, SINK_COMMAND_SECONDS="20")
    await pipeline.lake(party_insert(100))
    await pipeline.equal()
    for _ in range(5):
        await pipeline.lake(party_insert(1000))
        match how:
            case "reset":
                proxy.reset()
            case "cut":
                await proxy.cut()
            case _:
                proxy.stall()
        await pipeline.lake(party_insert(1000))
        await proxy.mend()
    await pipeline.equal()
    assert await validator.writes(PARTY) == 10_100


@pytest.mark.long
async def test_a_group_comes_to_rest_after_a_rebalance_that_took_long(pipeline: Pipeline) -> None:
    await pipeline.start("relay")
    # The first to come leads the group.
    for name in ("leader", "follower", "silent"):
        await pipeline.start(name, "sink")
        await pipeline.ready(name)
    await pipeline.lake(party_insert(100))
    await pipeline.equal()
    # Whoever joins waits for the one that does not answer until its session has run out.
    await pipeline.signal("silent", signal.SIGSTOP)
    await be_a_guest(pipeline, 1)
    await pipeline.lake(party_insert(100))
    await pipeline.signal("silent", signal.SIGCONT)
    await pipeline.equal()
