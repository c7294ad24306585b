"""What a crash of the relay leaves at each point, its heartbeats, and the tables that it holds."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from aiokafka.errors import KafkaConnectionError

from services.lake.journal.model import START, Position
from services.replicator import metrics
from services.replicator.records import HEARTBEAT
from services.replicator.relay.held import Held
from services.replicator.relay.lease import Cursor
from tests.unit.replicator.fakes import (
    LARGEST,
    PREFIX,
    Crash,
    change,
    crash_at,
)
from tests.unit.replicator.records import JOURNAL
from tests.unit.replicator.relay.relay_world import (
    BEATS_ALWAYS,
    LOAN,
    PARTY,
    POINTS,
    TABLES,
    World,
    changes,
)

# --- crashes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("passes", [1, 2, 3])
async def test_a_crash_loses_nothing_and_repeats_only_by_a_later_epoch(point: str, passes: int) -> None:
    world = World(*changes(8))
    with pytest.raises(Crash):
        await world.run(failpoint=crash_at(point, passes))
    cursor = world.row.cursor.position.major
    assert set(world.sent()) >= set(range(1, cursor + 1)), "no cursor before its acknowledgements"
    arrived = world.sent()
    assert arrived == list(range(1, len(arrived) + 1))
    # Saving goes on beside the next page, which has arrived when the crash of a save is found.
    assert len(arrived) == 2 * passes + 2 * (point == "relay.after_save")
    await world.run()
    assert world.lost() == set()
    again = world.broker.events(PARTY)[len(arrived) :]
    assert {event.epoch for event in again} == {2}
    assert [event.position.major for event in again] == list(range(cursor + 1, 9))
    assert again[0].previous == Position(cursor), "a sink that has nothing of the crashed relay sees no gap"


@pytest.mark.parametrize(("point", "saved"), list(zip(POINTS, (2, 2, 4), strict=True)))
async def test_a_crash_repeats_what_was_not_saved_and_no_more(point: str, saved: int) -> None:
    world = World(*changes(8))
    with pytest.raises(Crash):
        await world.run(failpoint=crash_at(point, 2))
    assert world.row.cursor.position == Position(saved)


async def test_a_relay_that_crashes_over_and_over_comes_to_the_end() -> None:
    world = World(*changes(8))
    for point in POINTS * 2:
        with pytest.raises(Crash):
            await world.run(failpoint=crash_at(point))
    await world.run()
    assert (world.lost(), world.row.cursor.position) == (set(), Position(8))
    newest: dict[int, int] = {}
    for event in world.broker.events(PARTY):
        assert newest.get(event.epoch, 0) < event.position.major, "in order within an epoch"
        newest[event.epoch] = event.position.major


# --- heartbeats, the lease, Kafka -------------------------------------------------------------------------------


async def test_no_heartbeat_before_it_is_due() -> None:
    world = World(change(1), change(2))
    await world.run()
    assert world.broker.events(LOAN) == []


async def test_an_idle_partition_s_position_rises_with_the_others() -> None:
    world = World(change(1), change(2))
    await world.run(timing=BEATS_ALWAYS)
    assert [(event.operation, event.position) for event in world.broker.events(LOAN)] == [
        (HEARTBEAT, Position(2))
    ]


async def test_a_heartbeat_that_stood_alone_is_saved() -> None:
    world = World()
    world.row.cursor = Cursor(JOURNAL, Position(2), None)
    await world.run(timing=BEATS_ALWAYS)
    assert world.sent() == [2]
    assert world.row.cursor.sent[f"{PREFIX}{PARTY}/0"] == "2.0"


async def test_an_idle_relay_renews_its_lease_and_asks_kafka() -> None:
    world = World()
    relay = world.relay(timing=replace(BEATS_ALWAYS, ask_seconds=2.0))
    await relay.begin(world.row.cursor, {})
    world.clock.now += 5
    world.end_after(20)
    await asyncio.wait_for(relay.run(world.stop), 5)
    assert world.row.renewals[0] == 5.0
    assert world.producer.asked == 1, "it answered, and is not asked again"
    assert world.work.silent_seconds == 0


async def test_a_kafka_that_does_not_answer_is_no_acknowledgement() -> None:
    world = World()
    relay = world.relay(timing=BEATS_ALWAYS)
    world.producer.answers = KafkaConnectionError("away")
    await relay.begin(world.row.cursor, {})
    world.clock.now += 5
    world.end_after(20)
    await asyncio.wait_for(relay.run(world.stop), 5)
    assert world.producer.asked > 1
    assert world.work.silent_seconds == 5


async def test_the_oldest_writer_of_the_lake_is_measured() -> None:
    world = World()
    world.journal.oldest_writer = 77.0
    await world.run(timing=BEATS_ALWAYS)
    assert metrics.HORIZON_HELD._value.get() == 77.0


# --- held tables ------------------------------------------------------------------------------------------------


async def test_a_row_that_fits_no_record_stops_its_table_and_the_cursor_passes() -> None:
    world = World(change(1), change(2, image="x" * LARGEST), change(3, key='["b"]'), change(4, table=LOAN))
    await world.run()
    assert (world.sent(), world.sent(LOAN)) == ([1], [4])
    assert world.row.cursor.position == Position(4)
    assert world.row.cursor.held[PARTY].at == Position(2)
    assert world.row.stopped.keys() == {PARTY}
    assert 'the change at 2.0 of row ["k"] cannot be relayed' in world.row.stopped[PARTY]


async def test_a_held_table_stays_held_by_the_next_relay() -> None:
    world = World(change(1), change(2, image="x" * LARGEST))
    await world.run()
    world.journal.changes.append(change(3, key='["other"]'))
    await world.run(timing=BEATS_ALWAYS)
    assert world.sent() == [1]


@pytest.mark.parametrize("point", [None, *POINTS])
async def test_a_resumed_table_gets_all_that_it_missed_in_order(point: str | None) -> None:
    world = World(change(1), change(2, image="x" * LARGEST), change(3, key='["b"]'), change(4, table=LOAN))
    await world.run()
    world.journal.changes += [change(5), change(6)]
    world.row.stopped.clear()
    if point is not None:
        with pytest.raises(Crash):
            await world.run(failpoint=crash_at(point), timing=BEATS_ALWAYS)
    relay = world.relay(timing=BEATS_ALWAYS)
    await relay.begin(world.row.cursor, TABLES)
    world.end_after(20)
    await asyncio.wait_for(relay.run(world.stop), 5)
    newest = 0
    applied = []
    for event in world.broker.events(PARTY):
        # As the sink does: what is not above what it has is a repeat, and nothing follows what never came.
        if event.position.major > newest:
            assert event.previous.major <= newest
            newest = event.position.major
            applied += [newest] if event.operation != HEARTBEAT else []
    assert applied == [1, 3, 5, 6]
    assert world.row.cursor.held == {}


async def test_what_a_resumed_table_missed_is_sent_page_by_page() -> None:
    world = World(change(1), change(2, image="x" * LARGEST), *(change(n, key='["b"]') for n in range(3, 9)))
    await world.run()
    world.journal.changes.append(change(9))
    world.row.stopped.clear()
    relay = world.relay(timing=replace(BEATS_ALWAYS, resend_changes=2))
    await relay.begin(world.row.cursor, TABLES)
    world.end_after(30)
    await asyncio.wait_for(relay.run(world.stop), 5)
    sent = [event.position.major for event in world.broker.events(PARTY) if event.operation != HEARTBEAT]
    assert sent == [1, 3, 4, 5, 6, 7, 8, 9]
    assert world.row.cursor.held == {}


async def test_a_table_that_a_person_has_not_resumed_stays_held() -> None:
    world = World(change(1))
    world.row.cursor = Cursor(JOURNAL, START, None, held={PARTY: Held(START, Position(1), '["k"]')})
    world.row.stopped = {PARTY: "too large"}
    relay = world.relay(timing=BEATS_ALWAYS)
    await relay.begin(world.row.cursor, TABLES)
    world.end_after(20)
    await asyncio.wait_for(relay.run(world.stop), 5)
    assert (world.sent(), PARTY in world.row.cursor.held) == ([], True)
