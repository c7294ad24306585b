"""The sink against in-memory neighbours: exactly once through failures and crashes, and what stops it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from uuid import UUID

import asyncpg
import pytest
from aiokafka.errors import UnknownTopicOrPartitionError

from services.replicator import metrics
from services.replicator.errors import GapOnPartition, JournalReplaced
from services.replicator.records import HEARTBEAT
from tests.unit.replicator.fakes import (
    PARTY_TABLE,
    Crash,
    crash_at,
    sent,
)
from tests.unit.replicator.sink.sink_world import PARTY, World


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


# --- transient errors --------------------------------------------------------------------------------------


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
