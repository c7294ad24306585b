"""What makes the sink wait: rebalances, records that cannot be decoded, stopped tables, a silent group."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError

from services.chassis.web.health import NotReady
from services.lake.journal.model import CapturedTable
from services.replicator import metrics
from services.replicator.replica.tables import Standing
from services.replicator.store import StopKind
from tests.unit.replicator.fakes import (
    PARTY_TABLE,
    sent,
)
from tests.unit.replicator.sink.sink_world import PARTY, STOP, TIMING, WRITABLE, World


@pytest.fixture
def world() -> World:
    return World()


# --- fences and rebalances --------------------------------------------------------------------------------------


async def test_a_batch_that_another_sink_s_fence_refuses_is_applied_once_all_the_same(world: World) -> None:
    world.deliver(6)
    taken: list[object] = []

    def failpoint(point: str) -> None:
        if point == "sink.before_write" and not taken:
            # Another sink takes over while this one is about to write.
            world.state.committed.offsets[PARTY[0]].fence += 1
            taken.append(point)

    await world.run(failpoint=failpoint, batch_changes=3)
    assert world.applied_once(6)
    assert world.state.committed.offsets[PARTY[0]].fence == 3
    assert len(world.state.sessions) == 1, "the session is sound"


async def test_while_the_group_shares_out_nothing_is_taken_over(world: World) -> None:
    world.deliver(3)
    sink = world.sink()
    world.rebalances.on_partitions_revoked(set(PARTY))
    await world.run(sink)
    assert world.state.committed.offsets == {}
    world.rebalances.on_partitions_assigned(set(PARTY))
    await world.run(sink)
    assert world.applied_once(3)


async def test_what_a_rebalance_takes_away_is_not_applied(world: World) -> None:
    world.deliver(3)
    sink = world.sink()
    polls = [0]

    def before_poll() -> None:
        polls[0] += 1
        if polls[0] == 1:
            world.rebalances.on_partitions_revoked(set(PARTY))
            world.source.assigned = {PARTY[1]}
            world.rebalances.on_partitions_assigned({PARTY[1]})

    world.source.before_poll = before_poll
    world.deliver(2, partition=1)
    await world.run(sink)
    assert world.state.committed.offsets[PARTY[0]].kafka_offset == 0
    assert world.state.committed.offsets[PARTY[1]].kafka_offset == 2


async def test_a_partition_that_went_and_came_back_is_read_from_where_it_is_applied(world: World) -> None:
    world.deliver(6)
    sink = world.sink(batch_changes=2)
    polls = [0]

    def before_poll() -> None:
        polls[0] += 1
        if polls[0] == 2:
            world.rebalances.on_partitions_revoked(set(PARTY))
            world.rebalances.on_partitions_assigned(set(PARTY))

    world.source.before_poll = before_poll
    await world.run(sink)
    assert world.applied_once(6)
    assert world.state.committed.offsets[PARTY[0]].fence == 2


# --- records that the client cannot decode ----------------------------------------------------------------------


async def test_a_record_that_the_client_cannot_decode_is_kept_and_passed(world: World) -> None:
    world.deliver(2)
    world.broker.deliver(PARTY[0], [sent(3, 2)])
    world.broker.deliver(PARTY[0], [sent(3, 2, key='["3"]'), sent(4, 3, key='["4"]')])
    world.deliver(2, partition=1, begin=1)
    sink = world.sink()
    world.source.undecodable = {(PARTY[0], 2)}
    await world.run(sink, polls=30)
    assert sorted(world.state.positions) == [1, 1, 2, 2, 3, 4]
    [reason] = world.state.open_entries.values()
    assert reason.startswith(f"{PARTY[0].topic}/0@2: the client cannot decode the record")


# --- tables that are stopped ------------------------------------------------------------------------------------


async def test_a_stopped_definition_waits_and_goes_on_when_it_is_accepted(world: World) -> None:
    world.deliver(2)
    later = [sent(n, n - 1, key=f'["{n}"]', fingerprint="narrowed") for n in (3, 4)]
    world.broker.deliver(PARTY[0], later)
    world.deliver(3, partition=1)
    world.state.standing = Standing(writable=dict(WRITABLE), stopped={"narrowed": STOP})
    sink = await world.run()
    assert sorted(world.state.positions) == [1, 1, 2, 2, 3]
    assert (sink.stopped_tables, world.state.stops) == (
        {"credit.party": "schema: column phone is gone"},
        {"credit.party": STOP},
    )
    assert world.source.paused == {PARTY[0]}
    assert metrics.TABLE_STOPPED.labels("credit.party")._value.get() == 1
    world.state.standing = Standing(writable=WRITABLE | {"narrowed": (PARTY_TABLE, PARTY_TABLE)})
    await world.run(sink)
    assert sorted(world.state.positions) == [1, 1, 2, 2, 3, 3, 4]
    assert (sink.stopped_tables, world.state.stops, world.source.paused) == ({}, {}, set())


async def test_a_table_whose_capture_is_not_trusted_waits_whole(world: World) -> None:
    world.deliver(3)
    world.state.stops = {"credit.party": STOP._replace(kind=StopKind.CAPTURE, reason="a trigger is missing")}
    sink = await world.run()
    assert world.state.positions == []
    assert sink.stopped_tables == {"credit.party": "capture: a trigger is missing"}
    assert world.source.paused == set(PARTY)
    world.state.stops = {}
    await world.run(sink)
    assert world.applied_once(3)


async def test_a_table_that_the_relay_holds_is_told_and_what_came_is_applied(world: World) -> None:
    world.deliver(3)
    world.state.stops = {"credit.party": STOP._replace(kind=StopKind.RELAY, reason="too large")}
    sink = await world.run()
    assert world.applied_once(3)
    assert sink.stopped_tables == {"credit.party": "relay: too large"}
    assert world.source.paused == set()


async def test_a_change_by_a_definition_that_is_not_known_makes_it_read_the_definitions(world: World) -> None:
    world.deliver(2)
    world.broker.deliver(PARTY[0], [sent(3, 2, key='["3"]', fingerprint="newest")])
    asked: list[dict[str, CapturedTable]] = []
    read = world.journal.definitions

    async def definitions() -> dict[str, CapturedTable]:
        asked.append(await read())
        if len(asked) == 2:
            world.state.standing = Standing(writable=WRITABLE | {"newest": (PARTY_TABLE, PARTY_TABLE)})
        return asked[-1]

    world.journal.definitions = definitions  # type: ignore[method-assign] # the lake is migrated meanwhile
    await world.run()
    assert (world.applied_once(3), len(asked)) == (True, 2)
    assert world.state.open_entries == {}


async def test_a_partition_that_goes_on_misses_nothing_that_was_read_while_it_waited(world: World) -> None:
    world.deliver(2)
    later = [sent(n, n - 1, key=f'["{n}"]', fingerprint="narrowed") for n in (3, 4)]
    world.broker.deliver(PARTY[0], later)
    world.state.standing = Standing(writable=dict(WRITABLE), stopped={"narrowed": STOP})
    sink = world.sink()

    def before_poll() -> None:
        if PARTY[0] in world.source.paused:
            assert world.applied_once(2)
            # Accepted while the sink runs: nothing is taken over again.
            world.state.standing = Standing(writable=WRITABLE | {"narrowed": (PARTY_TABLE, PARTY_TABLE)})

    world.source.before_poll = before_poll
    await world.run(sink)
    assert world.applied_once(4)
    assert world.state.committed.offsets[PARTY[0]].fence == 1


# --- readiness, and Kafka's group -------------------------------------------------------------------------------


async def test_it_is_ready_when_every_assigned_partition_is_taken_over(world: World) -> None:
    sink = world.sink()
    with pytest.raises(NotReady, match="not every assigned partition has been taken over"):
        sink.check()
    found: list[str] = []

    def before_poll() -> None:
        sink.check()
        found.append("ready")

    world.source.before_poll = before_poll
    await world.run(sink)
    assert found


async def test_it_is_not_ready_while_a_turn_takes_too_long(world: World) -> None:
    sink = world.sink()
    world.clock.now += TIMING.stuck_seconds + 1
    with pytest.raises(NotReady, match="the application database has not answered for 16 s"):
        sink.check()


async def test_it_is_not_ready_while_kafka_is_silent(world: World) -> None:
    sink = world.sink()

    async def refuses() -> None:
        raise KafkaConnectionError("away")

    world.source.commits = refuses
    said: list[str] = []

    def before_poll() -> None:
        world.clock.now += 3
        try:
            sink.check()
        except NotReady as error:
            said.append(str(error))

    world.source.before_poll = before_poll
    with pytest.raises(KafkaTimeoutError, match="the group has not been heard of for 20 s"):
        await world.run(sink, polls=100)
    assert any(text.startswith("Kafka has not answered for") for text in said)


async def test_a_report_that_hangs_is_given_up(world: World) -> None:
    sink = world.sink(timing=replace(TIMING, commit_seconds=0.001, lost_seconds=20))

    async def hangs() -> None:
        await asyncio.Event().wait()

    world.source.commits = hangs

    def before_poll() -> None:
        world.clock.now += 0.1

    world.source.before_poll = before_poll
    with pytest.raises(KafkaTimeoutError):
        await world.run(sink, polls=10**6)


async def test_a_group_that_never_comes_to_rest_is_given_up(world: World) -> None:
    sink = world.sink()
    world.rebalances.on_partitions_revoked(set(PARTY))

    def before_poll() -> None:
        world.clock.now += 3

    world.source.before_poll = before_poll
    with pytest.raises(KafkaTimeoutError):
        await world.run(sink, polls=100)


async def test_a_group_that_answers_again_is_forgiven(world: World) -> None:
    sink = world.sink()
    polls = [0]

    async def refuses_at_first() -> None:
        if polls[0] < 4:
            raise KafkaConnectionError("away")

    world.source.commits = refuses_at_first

    def before_poll() -> None:
        polls[0] += 1
        world.clock.now += 3

    world.source.before_poll = before_poll
    await world.run(sink, polls=30)
    assert world.source.committed.keys() == set(PARTY)
