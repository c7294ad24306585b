"""The relay against in-memory neighbours: what it refuses, how it sends and saves, and what stops it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError, UnknownTopicOrPartitionError

from services.lake.journal.model import START, Position
from services.replicator import metrics
from services.replicator.errors import (
    CursorAheadOfJournal,
    CursorBehindRetention,
    JournalReplaced,
    LeaseLost,
)
from services.replicator.relay.lease import Cursor
from tests.unit.replicator.fakes import (
    CAPTURED_AT,
    PREFIX,
    InMemoryLease,
    change,
    utc,
)
from tests.unit.replicator.records import JOURNAL
from tests.unit.replicator.relay.relay_world import (
    BEATS_ALWAYS,
    LOAN,
    PARTY,
    PLACE,
    SAVES_ALWAYS,
    SAVES_AT_THE_END,
    TABLES,
    World,
    changes,
)

# --- what it refuses to begin with ------------------------------------------------------------------------------


async def test_the_first_relay_takes_any_journal() -> None:
    world = World(*changes(1))
    await world.relay().begin(Cursor(None, START, None), TABLES)


async def test_it_goes_on_where_the_cursor_stands() -> None:
    world = World(*changes(4))
    world.row.cursor = Cursor(JOURNAL, Position(2), utc(CAPTURED_AT), {f"{PREFIX}{PARTY}/0": "2.0"})
    relay = await world.run()
    assert (world.sent(), relay.position) == ([3, 4], Position(4))
    assert world.broker.events(PARTY)[0].previous == Position(2)


async def test_another_journal_is_refused() -> None:
    world = World(*changes(1))
    with pytest.raises(JournalReplaced, match="the lake was replaced"):
        await world.relay().begin(Cursor(UUID(int=1), START, None), TABLES)


@pytest.mark.parametrize(("cursor", "refused"), [(4, True), (5, False)])
async def test_a_cursor_below_what_was_purged_is_refused(cursor: int, refused: bool) -> None:
    world = World(*changes(9))
    world.journal.purged_through = Position(5)
    beginning = world.relay().begin(Cursor(JOURNAL, Position(cursor), utc(CAPTURED_AT)), TABLES)
    if refused:
        with pytest.raises(CursorBehindRetention, match=r"stands at 4\.0, the journal was purged up to 5\.0"):
            await beginning
    else:
        await beginning


async def test_a_journal_that_lacks_the_cursor_s_change_is_refused() -> None:
    world = World(*changes(1))
    with pytest.raises(CursorAheadOfJournal, match=r"holds no change at 2\.0"):
        await world.relay().begin(Cursor(JOURNAL, Position(2), utc(CAPTURED_AT)), TABLES)


async def test_a_journal_with_another_change_at_the_cursor_is_refused() -> None:
    world = World(*changes(2))
    other = utc(CAPTURED_AT) + timedelta(microseconds=1)
    with pytest.raises(JournalReplaced, match="went another way after a restore"):
        await world.relay().begin(Cursor(JOURNAL, Position(2), other), TABLES)


# --- the ordinary way -------------------------------------------------------------------------------------------


async def test_everything_is_sent_in_order_and_saved_and_the_lease_let_go() -> None:
    world = World(change(1), change(2, table=LOAN), change(3), change(4))
    relay = await world.run()
    assert (world.sent(), world.sent(LOAN)) == ([1, 3, 4], [2])
    assert relay.position == world.row.cursor.position == Position(4)
    assert world.row.cursor.captured_at == utc(CAPTURED_AT)
    assert world.row.cursor.sent == {f"{PREFIX}{PARTY}/0": "4.0", f"{PREFIX}{LOAN}/0": "2.0"}
    assert world.row.cursor.incarnation == JOURNAL
    assert world.row.released


async def test_what_was_not_saved_under_way_is_saved_at_the_end() -> None:
    world = World(*changes(3))
    world.clock.now = 0.0
    await world.run(timing=SAVES_AT_THE_END)
    assert (world.row.saves, world.row.cursor.position) == (1, Position(3))


async def test_the_cursor_is_saved_no_oftener_than_the_interval() -> None:
    world = World(*changes(20))
    # The clock does not move, so one save is due: the first.
    await world.run(timing=replace(SAVES_ALWAYS, save_every_seconds=0.1))
    assert world.row.saves == 2, "the first, and the one at the end"
    assert world.row.cursor.position == Position(20)


async def test_nothing_is_saved_twice() -> None:
    world = World(*changes(2))
    await world.run()
    saves = world.row.saves
    await world.run()
    assert world.row.saves == saves


async def test_full_pages_are_read_without_a_pause() -> None:
    world = World(*changes(4))
    # With a pause the test would take an hour.
    await world.run(timing=replace(SAVES_ALWAYS, full_page_changes=2), pace_seconds=3600)
    assert world.sent() == [1, 2, 3, 4]


async def test_a_page_that_is_not_full_waits_for_more() -> None:
    world = World(*changes(1))
    relay = world.relay(timing=replace(SAVES_ALWAYS, full_page_changes=2), pace_seconds=3600)
    await relay.begin(world.row.cursor, TABLES)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(relay.run(world.stop), 0.05)
    assert world.sent() == [1]


async def test_the_next_page_is_read_while_one_is_on_its_way_but_not_sent() -> None:
    world = World(*changes(4))
    relay = world.relay(timing=replace(SAVES_ALWAYS, ack_seconds=5))
    world.producer.hold_acks = True
    await relay.begin(world.row.cursor, TABLES)
    running = asyncio.create_task(relay.run(world.stop))
    while len(world.journal.reads) < 2:
        await asyncio.sleep(0)
    for _ in range(20):
        await asyncio.sleep(0)
    assert (world.sent(), world.journal.reads) == ([1, 2], [START, Position(2)])
    assert relay.position == START, "nothing is acknowledged"
    assert world.backlog.seconds == 60
    world.producer.hold_acks = False
    world.producer.held_acks[0].set_result(object())
    await asyncio.wait_for(running, 5)
    assert (world.sent(), relay.position) == ([1, 2, 3, 4], Position(4))
    assert world.backlog.seconds == 0


async def test_changes_are_counted_when_they_are_acknowledged() -> None:
    counter = metrics.RELAYED.labels(PARTY)
    before = counter._value.get()
    await World(*changes(3)).run()
    assert counter._value.get() == before + 3


# --- stops ------------------------------------------------------------------------------------------------------


async def test_an_idle_relay_that_is_stopped_saves_nothing_and_lets_the_lease_go() -> None:
    world = World()
    await world.run()
    assert (world.row.saves, world.row.released) == (0, True)


async def test_a_relay_that_is_stopped_before_it_runs_reads_nothing() -> None:
    world = World(*changes(1))
    relay = world.relay()
    await relay.begin(world.row.cursor, TABLES)
    world.stop.set()
    await relay.run(world.stop)
    assert (world.journal.reads, world.sent(), world.row.released) == ([], [], True)


async def test_a_refused_send_ends_the_epoch_and_the_next_one_sends_it_again() -> None:
    world = World(*changes(4))
    relay = world.relay(batch_changes=4)
    world.producer.failing = {PLACE}
    await relay.begin(world.row.cursor, TABLES)
    with pytest.raises(KafkaConnectionError):
        await asyncio.wait_for(relay.run(world.stop), 5)
    assert (relay.position, world.row.saves, world.row.released) == (START, 0, False)
    await world.run()
    assert world.sent() == [1, 2, 3, 4]
    assert {event.epoch for event in world.broker.events(PARTY)} == {2}


async def test_a_refused_send_beside_one_that_arrived_moves_no_cursor() -> None:
    world = World(change(1), change(2, table=LOAN))
    relay = world.relay()
    world.producer.failing = {PLACE}
    await relay.begin(world.row.cursor, TABLES)
    with pytest.raises(KafkaConnectionError):
        await asyncio.wait_for(relay.run(world.stop), 5)
    assert (world.sent(LOAN), relay.position) == ([2], START)
    await world.run()
    assert (world.sent(), world.sent(LOAN)) == ([1], [2, 2])


async def test_an_acknowledgement_that_does_not_come_ends_the_epoch() -> None:
    world = World(*changes(2))
    relay = world.relay()
    world.producer.silent = {PLACE}
    await relay.begin(world.row.cursor, TABLES)
    with pytest.raises(KafkaTimeoutError):
        await asyncio.wait_for(relay.run(world.stop), 5)
    assert (relay.position, world.row.cursor.position) == (START, START)


async def test_a_table_without_a_topic_ends_the_epoch() -> None:
    world = World(change(1, table="credit.new"))
    with pytest.raises(UnknownTopicOrPartitionError):
        await world.run()
    assert world.row.cursor.position == START


async def test_a_lake_that_goes_away_ends_the_epoch() -> None:
    world = World(*changes(1))
    relay = world.relay()
    await relay.begin(world.row.cursor, TABLES)
    world.journal.fails = ConnectionResetError("the lake is gone")
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(relay.run(world.stop), 5)
    assert not world.row.released


async def test_a_relay_that_lost_its_lease_saves_nothing() -> None:
    world = World(*changes(2))
    relay = world.relay()
    await relay.begin(world.row.cursor, TABLES)
    InMemoryLease(world.row)
    with pytest.raises(LeaseLost):
        await asyncio.wait_for(relay.run(world.stop), 5)
    assert (world.row.saves, world.row.cursor.position, world.row.released) == (0, START, False)


async def test_an_idle_relay_finds_out_that_it_lost_its_lease() -> None:
    world = World()
    relay = world.relay(timing=BEATS_ALWAYS)
    await relay.begin(world.row.cursor, {})
    InMemoryLease(world.row)
    world.end_after(50)
    with pytest.raises(LeaseLost):
        await asyncio.wait_for(relay.run(world.stop), 5)


async def test_what_is_under_way_ends_with_the_relay() -> None:
    world = World(*changes(2))
    relay = world.relay(timing=replace(SAVES_ALWAYS, ack_seconds=60))
    world.producer.hold_acks = True
    await relay.begin(world.row.cursor, TABLES)
    running = asyncio.create_task(relay.run(world.stop))
    while not world.producer.held_acks:
        await asyncio.sleep(0)
    before = len(asyncio.all_tasks())
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert len(asyncio.all_tasks()) == before - 2, "the relay and its round"
