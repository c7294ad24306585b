"""What the relay writes: the records of changes and heartbeats, chained by the position before them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler

from services.lake.journal.model import Position
from services.lake.journal.reader import Change
from services.replicator.records import HEARTBEAT, NO_TABLE
from services.replicator.relay.appender import Appender
from services.replicator.relay.held import HeldTables
from services.replicator.relay.partitions import Partitions
from tests.unit.replicator.fakes import (
    CAPTURED_AT,
    FINGERPRINT,
    PREFIX,
    Broker,
    InMemoryJournal,
    InMemoryProducer,
    change,
    utc,
)
from tests.unit.replicator.records import JOURNAL

PARTY, LOAN = "credit.party", "credit.loan"
SMALL = 16 * 1024 + 10
"""What a topic takes, so that an image may have ten bytes."""


class World:
    """An appender and what it writes to: one partition a topic, batches of two records."""

    def __init__(
        self, changes: Sequence[Change] = (), *, partitions: int = 1, sampler: Sampler = ALWAYS_OFF
    ) -> None:
        self.broker = Broker()
        self.partitions = Partitions(
            InMemoryProducer(self.broker, batch_records=2), PREFIX, partitions, ack_seconds=1
        )
        self.partitions.begin({PARTY: SMALL, LOAN: SMALL}, {})
        self.held = HeldTables(InMemoryJournal(changes), self.partitions)
        tracer = TracerProvider(sampler=sampler).get_tracer("test")
        self.appender = Appender(self.partitions, self.held, tracer, turns=2)
        self.appender.begin(3, JOURNAL)

    async def send(self, *changes: Change) -> None:
        await self.appender.append(changes)
        await self.partitions.flush()
        await self.partitions.await_acknowledgements()


async def test_a_change_becomes_a_record_that_holds_all_of_it() -> None:
    world = World()
    await world.send(change(5, operation="c", key='["é"]', image='{"a":1}'))
    [event] = world.broker.events(PARTY)
    assert (event.operation, event.position, event.previous) == ("c", Position(5), Position(0))
    assert (event.key, event.image) == ('["é"]'.encode(), b'{"a":1}')
    assert event.source == (3, JOURNAL, FINGERPRINT)
    assert event.captured_ms == utc(CAPTURED_AT).timestamp() * 1000


async def test_a_delete_has_a_key_and_no_image() -> None:
    world = World()
    await world.send(change(5, operation="d"))
    [event] = world.broker.events(PARTY)
    assert (event.operation, event.key, event.image) == ("d", b'["k"]', None)


async def test_each_record_names_the_one_before_it_on_its_partition() -> None:
    world = World()
    await world.send(change(5), change(6, table=LOAN), change(8), change(9, table=LOAN))
    chained = {
        table: [(int(e.previous.major), int(e.position.major)) for e in world.broker.events(table)]
        for table in (PARTY, LOAN)
    }
    assert chained == {PARTY: [(0, 5), (5, 8)], LOAN: [(0, 6), (6, 9)]}


async def test_a_full_batch_makes_room_and_loses_nothing() -> None:
    world = World()
    await world.send(*(change(number) for number in range(1, 6)))
    assert [event.position.major for event in world.broker.events(PARTY)] == [1, 2, 3, 4, 5]


async def test_an_image_of_the_size_that_the_topic_takes_is_sent() -> None:
    world = World()
    await world.send(change(5, image="x" * 10))
    assert len(world.broker.events(PARTY)) == 1


async def test_an_image_above_it_stops_its_table_and_no_other() -> None:
    world = World()
    await world.send(change(5, image="x" * 11), change(6), change(7, table=LOAN))
    assert (world.broker.events(PARTY), len(world.broker.events(LOAN))) == ([], 1)
    held, stopping = world.held.to_save()
    assert held[PARTY].at == Position(5)
    assert "its image has 11 bytes" in stopping[PARTY]


async def test_the_size_is_that_of_the_bytes_and_not_of_the_characters() -> None:
    world = World()
    await world.send(change(5, image="é" * 6))
    assert PARTY in world.held


async def test_an_operation_that_no_trigger_writes_stops_its_table() -> None:
    world = World()
    await world.send(change(5, operation="x"), change(6))
    assert world.broker.events(PARTY) == []
    assert "unknown operation 'x'" in world.held.to_save()[1][PARTY]


async def test_a_change_that_a_later_one_replaces_is_left_out_alone() -> None:
    changes = [change(5, image="x" * 11), change(6)]
    world = World(changes)
    await world.send(*changes)
    [event] = world.broker.events(PARTY)
    assert (event.position, event.previous) == (Position(6), Position(0))
    assert PARTY not in world.held


async def test_a_heartbeat_tells_the_position_and_is_chained() -> None:
    world = World()
    await world.send(change(5))
    assert await world.appender.append_heartbeats(Position(9)) | await world.appender.append_heartbeats(
        Position(9)
    )
    await world.partitions.flush()
    beat = world.broker.events(PARTY)[-1]
    assert (beat.operation, beat.position, beat.previous) == (HEARTBEAT, Position(9), Position(5))
    assert (beat.key, beat.image, beat.source) == (b"", None, (3, JOURNAL, NO_TABLE))


async def test_no_heartbeat_for_a_partition_that_is_there_already() -> None:
    world = World()
    await world.send(change(5), change(6, table=LOAN))
    await world.appender.append_heartbeats(Position(6))
    await world.appender.append_heartbeats(Position(6))
    await world.partitions.flush()
    assert (len(world.broker.events(PARTY)), len(world.broker.events(LOAN))) == (2, 1)
    assert not await world.appender.append_heartbeats(Position(6))


async def test_no_heartbeat_for_a_table_that_is_held() -> None:
    world = World()
    await world.send(change(5, image="x" * 11))
    assert [await world.appender.append_heartbeats(Position(6)) for _ in range(2)].count(True) == 1
    await world.partitions.flush()
    assert (world.broker.events(PARTY), len(world.broker.events(LOAN))) == ([], 1)


async def test_the_turns_come_round() -> None:
    world = World(partitions=4)
    turns = []
    for _ in range(4):
        await world.appender.append_heartbeats(Position(1))
        turns.append(world.appender.turn)
    assert turns == [1, 0, 1, 0]


@pytest.mark.parametrize("traceparent", ["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", "odd"])
async def test_the_transaction_s_context_is_carried_unchanged(traceparent: str) -> None:
    world = World()
    await world.send(change(5, traceparent=traceparent))
    assert world.broker.events(PARTY)[0].traceparent == traceparent


async def test_changes_without_a_context_share_one_new_trace_that_is_sampled() -> None:
    world = World(sampler=ALWAYS_ON)
    await world.send(change(5, traceparent=None), change(6, traceparent=None))
    first, second = world.broker.events(PARTY)
    assert first.sampled
    assert first.traceparent == second.traceparent


async def test_changes_without_a_context_get_none_when_nothing_is_sampled() -> None:
    world = World(sampler=ALWAYS_OFF)
    await world.send(change(5, traceparent=None))
    assert world.broker.events(PARTY)[0].traceparent is None
