"""The transaction of a batch: all of it or nothing, whatever fails and wherever it crashes."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest
from aiokafka import TopicPartition
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from services.lake.journal.model import CapturedColumn, CapturedTable, ColumnType, Position
from services.replicator import metrics
from services.replicator.errors import FenceRaised
from services.replicator.ports import Failpoint
from services.replicator.records import HEARTBEAT
from services.replicator.sink.batch import Batch, select
from services.replicator.sink.definitions import Schema
from services.replicator.sink.transaction import BatchTransaction
from tests.unit.replicator.fake_replica import InMemoryReplica, ReplicaState
from tests.unit.replicator.fakes import (
    PARTY_TABLE,
    PREFIX,
    Broker,
    Crash,
    InMemoryJournal,
    InMemorySource,
    crash_at,
    sent,
)

PLACE = TopicPartition(f"{PREFIX}credit.party", 0)
WIDER = CapturedTable(
    "credit",
    "party",
    (*PARTY_TABLE.columns, CapturedColumn("phone", ColumnType.TEXT, nullable=True)),
    ("id",),
)
ONE, TWO = '["1"]', '["2"]'
SECOND = '{"id":2,"name":"y"}'
WIDE = '{"id":3,"name":"z","phone":"0"}'
SAMPLED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class World:
    """One partition that this sink has taken over, and a replica."""

    def __init__(self) -> None:
        self.broker = Broker()
        self.state = ReplicaState()
        self.state.standing.writable[WIDER.fingerprint] = (WIDER, WIDER)
        self.session = InMemoryReplica(self.state)
        self.schema = Schema(InMemoryJournal(), InMemorySource(self.broker, [PLACE]), PREFIX)
        self.tracer = trace.get_tracer("test")

    async def transaction(self, failpoint: Failpoint = lambda _: None) -> BatchTransaction:
        """The transactions of the session, as a sink has them after its first look at the quarantine."""
        await self.schema.begin(self.session)
        made = BatchTransaction(self.session, self.schema, self.tracer, "group", failpoint=failpoint)
        await made.count_quarantined()
        return made

    async def batch(self, *fields: dict[str, Any]) -> Batch:
        """What a poll brings of these new records."""
        progress = await self.session.take_over(PLACE)
        begin = len(self.broker.logs[PLACE])
        self.broker.deliver(PLACE, fields)
        batch = Batch()
        polled = {PLACE: self.broker.logs[PLACE][begin:]}
        batch.add(select(polled, {PLACE: progress}, self.schema.standing, 0), self.schema.writers)
        return batch

    async def write(self, *fields: dict[str, Any]) -> None:
        """Write these records as one batch."""
        await (await self.transaction()).write(await self.batch(*fields))

    @property
    def rows(self) -> dict[str, str]:
        """Images by key."""
        return {key.decode(): image.decode() for (_, key), image in self.state.committed.rows.items()}

    @property
    def position(self) -> int:
        """How far the partition is applied."""
        return self.state.committed.offsets[PLACE].position.major


@pytest.fixture
def world() -> World:
    return World()


async def test_images_of_one_definition_go_by_one_statement(world: World) -> None:
    await world.write(sent(1, 0), sent(2, 1, key=TWO, value=SECOND))
    assert world.rows == {ONE: '{"id":1,"name":"x"}', TWO: SECOND}
    assert (world.state.at_once, world.state.transactions, world.position) == (1, 0, 2)
    assert world.state.committed.offsets[PLACE].kafka_offset == 2


async def test_images_of_two_definitions_go_by_one_transaction(world: World) -> None:
    await world.write(sent(1, 0), sent(2, 1, key='["3"]', value=WIDE, fingerprint=WIDER.fingerprint))
    assert world.rows == {ONE: '{"id":1,"name":"x"}', '["3"]': WIDE}
    assert (world.state.at_once, world.state.transactions, world.position) == (0, 1, 2)


async def test_a_batch_without_changes_moves_the_offsets(world: World) -> None:
    await world.write(sent(7, 0, operation=HEARTBEAT))
    assert (world.rows, world.position, world.state.at_once) == ({}, 7, 1)


async def test_of_one_key_the_last_image_is_written_alone(world: World) -> None:
    last = '{"id":1,"name":"last"}'
    await world.write(sent(1, 0), sent(2, 1), sent(3, 2, value=last))
    assert (world.rows, world.state.positions) == ({ONE: last}, [3])


async def test_a_delete_removes_its_row(world: World) -> None:
    await world.write(sent(1, 0), sent(2, 1, key=TWO, value=SECOND))
    await world.write(sent(3, 2, operation="d"))
    assert world.rows == {TWO: SECOND}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (sent(1, 0) | {"headers": []}, "header 'change' is missing"),
        (sent(1, 0, value=None), "operation 'u' without its key or its image"),
        (sent(1, 0, value='{"id":1}'), "credit.party.name: missing from the image"),
        (sent(1, 0, fingerprint="unknown"), "no definition has the fingerprint 'unknown'"),
    ],
)
async def test_what_no_table_takes_goes_to_the_quarantine_and_the_rest_is_applied(
    world: World, fields: dict[str, Any], reason: str
) -> None:
    await world.write(fields, sent(2, 0 if fields["headers"] == [] else 1, key=TWO, value=SECOND))
    assert (world.rows, world.position) == ({TWO: SECOND}, 2)
    [kept] = world.state.open_entries.values()
    assert kept == f"{PLACE.topic}/0@0: {reason}"


async def test_a_row_that_the_server_refuses_goes_to_the_quarantine_alone(world: World) -> None:
    world.state.refuses = lambda event: event.key == ONE.encode()
    await world.write(sent(1, 0), sent(2, 1, key=TWO, value=SECOND))
    assert (world.rows, world.position) == ({TWO: SECOND}, 2)
    assert world.state.open_entries == {(PLACE.topic, 0, 0): f"{PLACE.topic}/0@0: the row is at fault"}
    assert metrics.QUARANTINED._value.get() == 1


async def test_a_later_image_of_the_row_closes_its_entry(world: World) -> None:
    world.state.refuses = lambda event: event.position == Position(1)
    await world.write(sent(1, 0))
    await world.write(sent(2, 1, key=TWO, value=SECOND))
    assert len(world.state.open_entries) == 1, "another row heals nothing"
    transaction = await world.transaction()
    await transaction.write(await world.batch(sent(3, 2)))
    assert world.state.open_entries == {}
    assert metrics.QUARANTINED._value.get() == 0
    before = world.state.at_once
    await transaction.write(await world.batch(sent(4, 3)))
    assert world.state.at_once == before + 1, "nothing is open any more"


async def test_a_refused_image_does_not_close_the_entry_of_its_row(world: World) -> None:
    world.state.refuses = lambda _: True
    await world.write(sent(1, 0))
    await world.write(sent(2, 1))
    assert len(world.state.open_entries) == 2


async def test_another_sink_s_fence_refuses_the_whole_batch(world: World) -> None:
    transaction = await world.transaction()
    batch = await world.batch(sent(1, 0))
    await InMemoryReplica(world.state).take_over(PLACE)
    with pytest.raises(FenceRaised):
        await transaction.write(batch)
    assert (world.rows, world.position) == ({}, 0)


@pytest.mark.parametrize("method", ["write_at_once", "claim", "write", "commit"])
async def test_a_server_at_fault_leaves_nothing_and_the_batch_can_be_repeated(
    world: World, method: str
) -> None:
    transaction = await world.transaction()
    batch = await world.batch(sent(1, 0))
    world.state.failures[method] = [asyncpg.DeadlockDetectedError("two at once")]
    dropped = metrics.APPLIED.labels("credit.party", "u")
    before = dropped._value.get()
    with pytest.raises(asyncpg.DeadlockDetectedError):
        await transaction.write(batch)
    assert (world.rows, world.position, dropped._value.get()) == ({}, 0, before)
    await transaction.write(batch)
    assert (world.state.positions, dropped._value.get()) == ([1], before + 1)


async def test_a_server_at_fault_while_the_row_is_sought_leaves_no_entry(world: World) -> None:
    world.state.refuses = lambda _: True
    world.state.failures["write_carefully"] = [asyncpg.DiskFullError("full")]
    with pytest.raises(asyncpg.DiskFullError):
        await world.write(sent(1, 0))
    assert (world.state.open_entries, world.position) == ({}, 0)


async def test_an_entry_and_the_offset_behind_it_are_one_commit(world: World) -> None:
    world.state.failures["commit"] = [ConnectionResetError("gone")]
    with pytest.raises(ConnectionResetError):
        await world.write(sent(1, 0) | {"headers": []})
    assert (world.state.open_entries, world.state.committed.offsets[PLACE].kafka_offset) == ({}, 0)


CLEAN = (sent(1, 0), sent(2, 1, key=TWO, value=SECOND))
TWO_TABLES = (sent(1, 0), sent(2, 1, key='["3"]', value=WIDE, fingerprint=WIDER.fingerprint))
SPOILED = (sent(1, 0) | {"headers": []}, sent(2, 0, key=TWO, value=SECOND))


@pytest.mark.parametrize(
    ("point", "fields"),
    [
        ("sink.before_write", CLEAN),
        ("sink.before_write", TWO_TABLES),
        ("sink.after_write", TWO_TABLES),
        ("sink.before_commit", TWO_TABLES),
        ("sink.before_write", SPOILED),
        ("sink.after_write", SPOILED),
        ("sink.before_commit", SPOILED),
    ],
)
async def test_a_crash_before_the_commit_leaves_nothing_of_the_batch(
    world: World, point: str, fields: tuple[dict[str, Any], ...]
) -> None:
    transaction = await world.transaction(crash_at(point))
    batch = await world.batch(*fields)
    with pytest.raises(Crash):
        await transaction.write(batch)
    assert (world.rows, world.state.open_entries, world.position) == ({}, {}, 0)
    assert world.state.committed.offsets[PLACE].kafka_offset == 0


@pytest.mark.parametrize("fields", [CLEAN, TWO_TABLES, SPOILED])
async def test_a_crash_after_the_commit_leaves_all_of_it(
    world: World, fields: tuple[dict[str, Any], ...]
) -> None:
    transaction = await world.transaction(crash_at("sink.after_commit"))
    batch = await world.batch(*fields)
    with pytest.raises(Crash):
        await transaction.write(batch)
    assert len(world.rows) + len(world.state.open_entries) == 2
    assert (world.position, world.state.committed.offsets[PLACE].kafka_offset) == (2, 2)


async def test_what_is_dropped_is_counted_when_it_is_committed(world: World) -> None:
    counter = metrics.DROPPED.labels("repeat")
    before = counter._value.get()
    world.state.failures["commit"] = [ConnectionResetError("gone")]
    transaction = await world.transaction()
    batch = await world.batch(sent(1, 0), sent(1, 0))
    with pytest.raises(ConnectionResetError):
        await transaction.write(batch)
    assert counter._value.get() == before
    await transaction.write(batch)
    assert counter._value.get() == before + 1


@pytest.mark.parametrize("error", [None, "ConnectionResetError"])
async def test_each_sampled_transaction_has_a_span_that_names_what_failed(
    world: World, error: str | None
) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    world.tracer = provider.get_tracer("test")
    transaction = await world.transaction()
    batch = await world.batch(sent(1, 0, traceparent=SAMPLED), sent(2, 1, key=TWO, value=SECOND))
    if error:
        world.state.failures["commit"] = [ConnectionResetError("gone")]
        with pytest.raises(ConnectionResetError):
            await transaction.write(batch)
    else:
        await transaction.write(batch)
    [span] = [span for span in exporter.get_finished_spans() if span.name.startswith("process ")]
    assert span.attributes is not None
    assert span.context is not None
    assert (span.attributes["messaging.batch.message_count"], span.attributes.get("error.type")) == (1, error)
    assert f"{span.context.trace_id:032x}" == SAMPLED.split("-")[1]


async def test_the_poll_span_covers_the_time_since_the_first_poll_of_the_batch(world: World) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    world.tracer = provider.get_tracer("test")
    batch = await world.batch(sent(1, 0))
    batch.polled_since_ns = 1_000
    batch.add(Batch(polled=1, polled_since_ns=2_000), world.schema.writers)
    await (await world.transaction()).write(batch)
    [poll] = [span for span in exporter.get_finished_spans() if span.name == "poll lake"]
    [apply] = [span for span in exporter.get_finished_spans() if span.name == "apply batch"]
    assert (poll.start_time, poll.attributes and poll.attributes["messaging.batch.message_count"]) == (
        1_000,
        2,
    )
    assert poll.end_time is not None
    assert apply.start_time is not None
    assert poll.end_time <= apply.start_time
