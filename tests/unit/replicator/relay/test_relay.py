"""The relay against in-memory neighbours: what it refuses, what stops it, and what a crash at each point leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError, UnknownTopicOrPartitionError
from opentelemetry import trace

from services.lake.journal.model import START, Position
from services.lake.journal.reader import Change
from services.replicator import metrics
from services.replicator.errors import (
    CursorAheadOfJournal,
    CursorBehindRetention,
    JournalReplaced,
    LeaseLost,
)
from services.replicator.ports import Failpoint
from services.replicator.progress import Backlog, Work
from services.replicator.records import HEARTBEAT
from services.replicator.relay.held import Held
from services.replicator.relay.lease import Cursor
from services.replicator.relay.relay import Relay
from services.replicator.relay.timing import RelayTiming
from tests.unit.replicator.fakes import (
    CAPTURED_AT,
    LARGEST,
    PREFIX,
    Broker,
    Crash,
    FakeClock,
    InMemoryJournal,
    InMemoryLease,
    InMemoryProducer,
    RelayRow,
    change,
    crash_at,
    utc,
)
from tests.unit.replicator.records import JOURNAL

PARTY, LOAN = "credit.party", "credit.loan"
PLACE = TopicPartition(PREFIX + PARTY, 0)
TABLES = {PARTY: LARGEST, LOAN: LARGEST}
SAVES_ALWAYS = RelayTiming(
    save_every_seconds=0,
    heartbeat_seconds=1e9,
    heartbeat_turns=1,
    shortest_pause_seconds=0,
    ack_seconds=0.05,
)
SAVES_AT_THE_END = replace(SAVES_ALWAYS, save_every_seconds=1e9)
BEATS_ALWAYS = replace(SAVES_ALWAYS, heartbeat_seconds=0)
POINTS = ("relay.before_acks", "relay.after_acks", "relay.after_save")


def no_failpoint(_: str) -> None:
    """Nothing crashes."""


class World:
    """A lake, a broker and the relay's row, and one relay after the other between them."""

    def __init__(self, *changes: Change) -> None:
        self.broker = Broker()
        self.journal = InMemoryJournal(changes)
        self.row = RelayRow()
        self.clock = FakeClock()
        self.work = Work("Kafka has acknowledged nothing", clock=self.clock)
        self.backlog = Backlog(clock=lambda: utc(CAPTURED_AT).timestamp() + 60)
        self.stop = asyncio.Event()
        self.empty_reads = 0
        self.end_after(1)
        self.producer = InMemoryProducer(self.broker)

    def end_after(self, reads: int) -> None:
        """Stop the relay when so many reads from now on have found nothing."""
        self.stop.clear()
        left = [reads]

        def when_empty() -> None:
            self.empty_reads += 1
            left[0] -= 1
            if left[0] <= 0:
                self.stop.set()

        self.journal.when_empty = when_empty

    def relay(
        self,
        *,
        timing: RelayTiming = SAVES_ALWAYS,
        failpoint: Failpoint = no_failpoint,
        batch_changes: int = 2,
        pace_seconds: float = 0.0,
    ) -> Relay:
        """A new relay, with a new epoch and a new producer."""
        self.producer = InMemoryProducer(self.broker)
        return Relay(
            self.journal,
            self.producer,
            InMemoryLease(self.row),
            trace.get_tracer("test"),
            topic_prefix=PREFIX,
            partitions=1,
            batch_changes=batch_changes,
            idle_poll_seconds=0,
            pace_seconds=pace_seconds,
            work=self.work,
            backlog=self.backlog,
            timing=timing,
            clock=self.clock,
            failpoint=failpoint,
        )

    async def run(self, tables: Mapping[str, int] = TABLES, **options: Any) -> Relay:
        """Begin from the saved cursor and relay until the journal is read to its end."""
        relay = self.relay(**options)
        await relay.begin(self.row.cursor, tables)
        self.end_after(1)
        await asyncio.wait_for(relay.run(self.stop), 5)
        return relay

    def sent(self, table: str = PARTY) -> list[int]:
        """Positions on a topic, in order."""
        return [event.position.major for event in self.broker.events(table)]

    def lost(self) -> set[int]:
        """Positions of the journal that no topic has."""
        return {each.major for each in self.journal.changes} - set(self.sent()) - set(self.sent(LOAN))


def changes(count: int) -> Sequence[Change]:
    return [change(number) for number in range(1, count + 1)]


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
    # By a clock that stands still one save is due: the first.
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
