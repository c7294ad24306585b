"""The sink against in-memory neighbours: exactly once through failures, crashes, rebalances and stopped tables."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError, UnknownTopicOrPartitionError
from opentelemetry import trace

from services.chassis.web.health import NotReady
from services.lake.journal.model import CapturedTable
from services.replicator import metrics
from services.replicator.errors import GapOnPartition, JournalReplaced
from services.replicator.ports import Failpoint
from services.replicator.records import HEARTBEAT
from services.replicator.replica.tables import Standing
from services.replicator.sink.rebalances import Rebalances
from services.replicator.sink.sink import Sink
from services.replicator.sink.timing import SinkTiming
from services.replicator.store import StopKind, StoppedTable
from tests.unit.replicator.fake_replica import ReplicaState
from tests.unit.replicator.fakes import (
    PARTY_TABLE,
    PREFIX,
    Broker,
    Crash,
    FakeClock,
    InMemoryJournal,
    InMemorySource,
    crash_at,
    sent,
)

PARTY = [TopicPartition(f"{PREFIX}credit.party", number) for number in range(2)]
TIMING = SinkTiming(poll_millis=0, report_seconds=0, watch_seconds=1e9, shortest_backoff_seconds=0)
STOP = StoppedTable("credit.party", StopKind.SCHEMA, "column phone is gone", "accept-schema credit.party")
WRITABLE = {PARTY_TABLE.fingerprint: (PARTY_TABLE, PARTY_TABLE)}


def no_failpoint(_: str) -> None:
    """Nothing crashes."""


class World:
    """A topic of two partitions, a replica, and one sink after the other between them."""

    def __init__(self) -> None:
        self.broker = Broker()
        self.state = ReplicaState()
        self.journal = InMemoryJournal()
        self.journal.known = {PARTY_TABLE.fingerprint: PARTY_TABLE}
        self.clock = FakeClock()
        self.stop = asyncio.Event()
        self.source = InMemorySource(self.broker, PARTY)
        self.rebalances = Rebalances(clock=self.clock)

    def sink(
        self, *, timing: SinkTiming = TIMING, failpoint: Failpoint = no_failpoint, batch_changes: int = 100
    ) -> Sink:
        """A new process: its consumer begins at the beginning, as no offset of Kafka's counts."""
        self.source = InMemorySource(self.broker, PARTY)
        self.rebalances = Rebalances(clock=self.clock)
        return Sink(
            self.source,
            self.rebalances,
            self.journal,
            trace.get_tracer("test"),
            self.state.connect,
            topic_prefix=PREFIX,
            group="group",
            batch_changes=batch_changes,
            timing=timing,
            clock=self.clock,
            wall_clock=lambda: 1_700_000_060.0,
            failpoint=failpoint,
        )

    async def run(self, sink: Sink | None = None, *, polls: int = 5, **options: Any) -> Sink:
        """Run until so many polls have found nothing."""
        sink = sink or self.sink(**options)
        left = [polls]

        def when_idle() -> None:
            left[0] -= 1
            if left[0] <= 0:
                self.stop.set()

        self.source.when_idle = when_idle
        self.stop.clear()
        await asyncio.wait_for(sink.run(self.stop), 5)
        return sink

    def deliver(self, count: int, *, partition: int = 0, begin: int = 1) -> None:
        """A chain of changes of different rows, `count` of them."""
        self.broker.deliver(
            PARTY[partition],
            [
                sent(
                    number, number - 1, key=f'["{partition}/{number}"]', value=f'{{"id":{number},"name":"x"}}'
                )
                for number in range(begin, begin + count)
            ],
        )

    def applied_once(self, count: int) -> bool:
        """Whether the changes 1 to `count` of partition 0 are applied, each once and in order."""
        return self.state.positions == list(range(1, count + 1))


@pytest.fixture
def world() -> World:
    return World()


# --- the ordinary way -------------------------------------------------------------------------------------------


async def test_every_change_is_applied_once_and_the_group_is_told(world: World) -> None:
    world.deliver(7)
    await world.run()
    assert world.applied_once(7)
    assert world.state.committed.offsets[PARTY[0]].kafka_offset == 7
    assert world.source.committed[PARTY[0]] == 7


async def test_a_sink_that_begins_again_goes_on_behind_what_is_applied(world: World) -> None:
    world.deliver(4)
    await world.run()
    world.deliver(3, begin=5)
    await world.run()
    assert world.applied_once(7)
    assert world.state.committed.offsets[PARTY[0]].fence == 2


async def test_no_transaction_is_larger_than_was_asked_for(world: World) -> None:
    world.deliver(20)
    sizes: list[int] = []

    def refuses(_: object) -> bool:
        # Called for each event of a write; the committed ones are those of the writes before.
        sizes.append(len(world.state.committed.writes))
        return False

    world.state.refuses = refuses
    await world.run(batch_changes=6)
    assert world.applied_once(20)
    assert max(sizes.count(size) for size in set(sizes)) <= 6


async def test_repeats_of_a_crashed_relay_are_dropped(world: World) -> None:
    world.deliver(4)
    again = [sent(number, number - 1, key=f'["{number}"]', epoch=2) for number in range(3, 6)]
    world.broker.deliver(PARTY[0], again)
    await world.run()
    assert world.applied_once(5)


async def test_a_heartbeat_moves_a_partition_without_a_row(world: World) -> None:
    world.broker.deliver(PARTY[1], [sent(9, 0, operation=HEARTBEAT)])
    await world.run()
    assert world.state.committed.offsets[PARTY[1]].position.major == 9
    assert world.state.positions == []


async def test_a_stop_finishes_the_batch_that_is_being_written(world: World) -> None:
    world.deliver(3)
    sink = world.sink()
    world.source.before_poll = lambda: world.stop.set() if world.broker.logs[PARTY[0]] else None
    world.stop.clear()
    await asyncio.wait_for(sink.run(world.stop), 5)
    assert world.applied_once(3)
    assert not any(session.is_open for session in world.state.sessions)


async def test_nothing_is_left_running_behind_a_stop(world: World) -> None:
    before = len(asyncio.all_tasks())
    world.deliver(3)
    await world.run()
    assert len(asyncio.all_tasks()) == before


# --- what stops it ----------------------------------------------------------------------------------------------


async def test_a_lost_record_stops_it_before_what_follows(world: World) -> None:
    world.deliver(3)
    world.broker.deliver(PARTY[0], [sent(9, 7)])
    with pytest.raises(GapOnPartition, match=r"the record at 9\.0 follows 7\.0"):
        await world.run()
    assert 9 not in world.state.positions
    assert not any(session.is_open for session in world.state.sessions)


async def test_what_a_relay_sent_after_a_failed_send_waits_for_its_successor(world: World) -> None:
    world.deliver(3)
    world.broker.deliver(PARTY[0], [sent(9, 7, key='["9"]', epoch=1)])
    world.state.epoch = 2
    await world.run()
    assert world.applied_once(3)
    world.broker.deliver(PARTY[0], [sent(4, 3, key='["4"]', epoch=2), sent(5, 4, key='["5"]', epoch=2)])
    await world.run()
    assert world.applied_once(5)


async def test_another_journal_stops_it(world: World) -> None:
    world.deliver(3)
    await world.run()
    world.broker.deliver(PARTY[0], [sent(4, 3, incarnation=UUID(int=1))])
    with pytest.raises(JournalReplaced, match="the record is of journal"):
        await world.run()
    assert world.applied_once(3)


async def test_an_error_that_nobody_knows_ends_the_sink(world: World) -> None:
    world.deliver(3)
    world.state.failures["write_at_once"] = [asyncpg.InsufficientPrivilegeError("not granted")]
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await world.run()
    assert not any(session.is_open for session in world.state.sessions)


async def test_a_table_that_was_captured_since_makes_it_begin_again(world: World) -> None:
    other = replace(PARTY_TABLE, name="other")
    world.journal.known[other.fingerprint] = other
    with pytest.raises(
        UnknownTopicOrPartitionError, match=r"captured since this sink began: lake\.credit\.other"
    ):
        await world.run()


# --- what passes by itself --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "method",
    [
        "connect",
        "follow",
        "stop_tables",
        "take_over",
        "count_quarantined",
        "write_at_once",
        "claim",
        "write",
        "commit",
        "committed",
    ],
)
@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError("gone"),
        TimeoutError("half open"),
        asyncpg.DeadlockDetectedError("two at once"),
        asyncpg.ReadOnlySQLTransactionError("a standby"),
        asyncpg.DiskFullError("full"),
        asyncpg.UndefinedColumnError("altered by another sink"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_database_that_fails_for_a_while_costs_nothing(
    world: World, method: str, error: Exception
) -> None:
    world.deliver(7)
    world.state.failures[method] = [error, error]
    await world.run(batch_changes=3)
    assert world.applied_once(7)
    assert world.state.failures[method] == []
    assert sum(session.is_open for session in world.state.sessions) == 0


async def test_a_session_that_failed_is_not_used_again(world: World) -> None:
    world.deliver(3)
    world.state.failures["write_at_once"] = [ConnectionResetError("gone")]
    await world.run()
    assert len(world.state.sessions) == 2
    assert world.state.committed.offsets[PARTY[0]].fence == 2, "where it stands was asked again"


async def test_the_lag_is_told_while_the_database_is_away(world: World) -> None:
    world.deliver(3)
    lags: list[float] = []

    def before_poll() -> None:
        lags.append(metrics.LAG._value.get())

    sink = world.sink()
    world.source.before_poll = before_poll
    world.state.failures["write_at_once"] = [ConnectionResetError("gone")]
    metrics.LAG.set(0)
    await world.run(sink)
    assert 60.0 in lags, "the age of the oldest change that waits"


# --- crashes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "point", ["sink.before_write", "sink.after_write", "sink.before_commit", "sink.after_commit"]
)
@pytest.mark.parametrize("passes", [1, 2])
async def test_a_crash_at_any_point_applies_everything_once(world: World, point: str, passes: int) -> None:
    # A record that is no change has each batch written by the long way, which passes every point.
    for begin in (1, 4, 7):
        world.broker.deliver(PARTY[0], [sent(begin, begin - 1, key="spoiled") | {"headers": []}])
        world.deliver(3, begin=begin)
    with pytest.raises(Crash):
        await world.run(failpoint=crash_at(point, passes), batch_changes=4)
    assert not world.applied_once(9)
    await world.run(batch_changes=4)
    assert world.applied_once(9)
    assert len(world.state.open_entries) == 3


async def test_a_sink_that_crashes_over_and_over_comes_to_the_end(world: World) -> None:
    world.deliver(9)
    for number in range(6):
        point = "sink.after_commit" if number % 2 else "sink.before_write"
        with pytest.raises(Crash):
            await world.run(failpoint=crash_at(point), batch_changes=2)
    await world.run(batch_changes=2)
    assert world.applied_once(9)


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


# --- tables that stand still ------------------------------------------------------------------------------------


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
            # Accepted while the sink runs: nothing is taken over anew.
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
