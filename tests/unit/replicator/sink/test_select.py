"""What of a poll is applied. The fast path of `select` is held against a plain version that has none."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import pytest
from aiokafka import ConsumerRecord, TopicPartition
from hypothesis import given, settings
from hypothesis import strategies as st

from services.lake.journal.model import Position
from services.replicator import records
from services.replicator.errors import GapOnPartition, JournalReplaced, MalformedEvent, ReplicationStopped
from services.replicator.records import HEARTBEAT, fault_of, parse, where
from services.replicator.replica.tables import Standing
from services.replicator.sink.batch import Batch, select
from services.replicator.sink.offsets import Progress
from services.replicator.store import StopKind, StoppedTable
from tests.unit.replicator.fakes import PARTY_TABLE, PREFIX, Broker, sent
from tests.unit.replicator.records import JOURNAL

PLACES = [TopicPartition(f"{PREFIX}credit.party", number) for number in range(3)]
PLACE = PLACES[0]
STOP = StoppedTable("credit.party", StopKind.SCHEMA, "narrowed", "accept-schema")
STANDING = Standing(stopped={"stopped": STOP}, superseded={"superseded"})
Polled = Mapping[TopicPartition, Sequence[ConsumerRecord[Any, Any]]]


def progress(position: int = 0, *, epoch: int = 0, incarnation: UUID | None = None) -> Progress:
    return Progress(0, Position(position), incarnation, epoch, fence=1)


def polled(*fields: dict[str, Any], place: TopicPartition = PLACE) -> Polled:
    broker = Broker()
    broker.deliver(place, fields)
    return {place: broker.logs[place]}


def chosen(*fields: dict[str, Any], state: Progress | None = None, relay_epoch: int = 0) -> Batch:
    return select(polled(*fields), {PLACE: state or progress()}, STANDING, relay_epoch)


def positions(batch: Batch) -> list[int]:
    return [event.position.major for event in batch.events]


# --- case by case -----------------------------------------------------------------------------------------------


def test_changes_that_follow_each_other_are_applied() -> None:
    batch = chosen(sent(5, 0), sent(7, 5), sent(8, 7))
    assert (positions(batch), batch.dropped, batch.malformed) == ([5, 7, 8], Counter(), [])
    assert batch.progress[PLACE] == Progress(3, Position(8), JOURNAL, 1, fence=1)
    assert batch.polled == 3


def test_what_is_owned_is_left_as_it_is() -> None:
    owned = {PLACE: progress()}
    select(polled(sent(5, 0)), owned, STANDING, 0)
    assert owned == {PLACE: progress()}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (sent(5, 0, epoch=2), "repeat"),
        (sent(4, 0, epoch=2), "repeat"),
        (sent(6, 5, epoch=1), "stale_epoch"),
        (sent(8, 7, epoch=2), "failed_send"),
    ],
)
def test_a_record_that_is_not_next_is_dropped_and_takes_no_place(fields: dict[str, Any], reason: str) -> None:
    state = progress(5, epoch=2, incarnation=JOURNAL)
    batch = chosen(fields, sent(6, 5, epoch=3), state=state, relay_epoch=3)
    assert (positions(batch), batch.dropped) == ([6], Counter([reason]))
    assert batch.progress[PLACE].position == Position(6)


def test_a_record_after_one_that_never_came_stops() -> None:
    with pytest.raises(GapOnPartition):
        chosen(sent(5, 0), sent(9, 7))


def test_another_journal_stops() -> None:
    with pytest.raises(JournalReplaced):
        chosen(sent(5, 0), sent(6, 5, incarnation=UUID(int=1)))


def test_a_heartbeat_takes_its_place_and_is_no_event() -> None:
    batch = chosen(sent(5, 0), sent(9, 5, operation=HEARTBEAT), sent(10, 9))
    assert (positions(batch), batch.malformed) == ([5, 10], [])


def test_a_record_without_a_place_is_malformed_and_passed() -> None:
    broken = sent(6, 5) | {"headers": []}
    batch = chosen(sent(5, 0), broken, sent(7, 5))
    assert positions(batch) == [5, 7]
    [(record, reason)] = batch.malformed
    assert (record.offset, reason) == (1, f"{where(record)}: header 'change' is missing")


def test_a_change_that_cannot_be_one_takes_its_place_and_is_malformed() -> None:
    batch = chosen(sent(5, 0), sent(6, 5, value=None), sent(7, 6, operation="x"), sent(8, 7))
    assert (positions(batch), len(batch.malformed)) == ([5, 8], 2)
    assert batch.malformed[0][1].endswith("@1: operation 'u' without its key or its image")


def test_a_stopped_definition_holds_the_partition_from_that_record_on() -> None:
    batch = chosen(sent(5, 0), sent(6, 5, fingerprint="stopped"), sent(7, 6))
    assert (positions(batch), batch.held) == ([5], {PLACE: "stopped"})
    assert batch.progress[PLACE].kafka_offset == 1
    assert batch.progress[PLACE].position == Position(5)


def test_a_repeat_by_a_stopped_definition_holds_nothing() -> None:
    batch = chosen(sent(5, 0), sent(5, 0, fingerprint="stopped"), sent(7, 5))
    assert (positions(batch), batch.held, batch.dropped) == ([5, 7], {}, Counter(["repeat"]))


def test_a_superseded_image_takes_its_place_and_is_dropped() -> None:
    batch = chosen(sent(5, 0), sent(6, 5, fingerprint="superseded"), sent(7, 6))
    assert (positions(batch), batch.dropped) == ([5, 7], Counter(["superseded"]))


def test_the_oldest_change_is_told_and_what_is_dropped_is_not_it() -> None:
    batch = chosen(
        sent(1, 0, timestamp=1),
        sent(6, 5, timestamp=2, epoch=2),
        state=progress(5, epoch=1, incarnation=JOURNAL),
    )
    assert batch.oldest_ms == 2


def test_batches_add_up() -> None:
    batch = Batch()
    for fields in ((sent(5, 0, timestamp=9), sent(5, 0)), (sent(7, 0, timestamp=3),)):
        batch.add(chosen(*fields), {})
    assert (positions(batch), batch.polled, batch.dropped, batch.oldest_ms) == (
        [5, 7],
        3,
        Counter(["repeat"]),
        3,
    )
    assert len(batch.plan.refused) == 2, "no definition is known"


# --- the fast path against the plain one ------------------------------------------------------------------------


@dataclass
class Plain:
    """What `select` must find."""

    progress: dict[TopicPartition, Progress]
    events: list[int] = field(default_factory=list)
    malformed: list[tuple[int, str]] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    held: dict[TopicPartition, str] = field(default_factory=dict)
    oldest_ms: int | None = None


def plain(polled: Polled, owned: Mapping[TopicPartition, Progress], relay_epoch: int) -> Plain:
    """Judge every record by itself: no source is remembered, nothing is compared by identity."""
    found = Plain({place: replace(state) for place, state in owned.items()})
    for place, log in polled.items():
        state = found.progress[place]
        state.kafka_offset = log[-1].offset + 1
        for record in log:
            try:
                event = parse(record)
            except MalformedEvent as error:
                found.malformed.append((id(record), str(error)))
                continue
            refusal = state.refusal(event, relay_epoch)
            if refusal is not None:
                found.dropped[refusal] += 1
                continue
            if event.fingerprint in STANDING.stopped:
                found.held[place] = event.fingerprint
                state.kafka_offset = record.offset
                break
            state.advance(event)
            found.oldest_ms = min(found.oldest_ms or record.timestamp, record.timestamp)
            if event.fingerprint in STANDING.superseded:
                found.dropped["superseded"] += 1
            elif fault := fault_of(event):
                found.malformed.append((id(record), f"{where(record)}: {fault}"))
            elif event.operation != HEARTBEAT:
                found.events.append(id(record))
    return found


KINDS = ["next"] * 12 + ["repeat", "gap", "any", "malformed"]
FINGERPRINTS = [PARTY_TABLE.fingerprint] * 8 + ["other", "superseded", "stopped"]


def logs(chance: random.Random) -> Polled:
    """Partitions as relays leave them after crashes: mostly in order, then repeats, gaps, old and new epochs."""
    broker = Broker()
    for place in chance.sample(PLACES, chance.randint(1, len(PLACES))):
        last, epoch, now, fingerprint = 0, 1, 1, PARTY_TABLE.fingerprint
        # Some logs know no gap, or few would be read to their end.
        kinds = KINDS if chance.random() < 0.5 else [kind for kind in KINDS if kind not in {"gap", "any"}]
        for kind in chance.choices(kinds, k=chance.randint(1, 25)):
            step, now = chance.randint(1, 3), now + chance.randint(0, 2)
            if chance.random() < 0.1:
                epoch = chance.randint(1, 3)
            if chance.random() < 0.2:
                fingerprint = chance.choice(FINGERPRINTS)
            operation = chance.choice("cuuurd" + HEARTBEAT + "x")
            previous, position = last, last + step
            if kind == "repeat":
                previous, position = max(0, last - step - 1), max(1, last - step + 1)
            elif kind == "gap":
                previous, position = last + step, last + step + 1
            elif kind == "any":
                previous, position = chance.randint(0, 20), chance.randint(1, 20)
            fields = sent(
                position,
                previous,
                operation=operation,
                epoch=epoch,
                fingerprint=None if operation == HEARTBEAT else fingerprint,
                incarnation=UUID(int=1) if chance.random() < 0.005 else JOURNAL,
                timestamp=now,
            )
            if kind == "malformed":
                fields["headers"] = []
            else:
                last = max(last, position)
            broker.deliver(place, [fields])
    return dict(broker.logs)


def forget_parsed() -> None:
    """Empty the caches of the parser."""
    records._newest.clear()
    records._source.cache_clear()


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_the_fast_path_finds_what_the_plain_one_finds(seed: int) -> None:
    chance = random.Random(seed)
    found = logs(chance)
    relay_epoch = chance.randint(0, 3)
    begin = (
        progress(chance.randint(0, 4), epoch=1, incarnation=JOURNAL) if chance.random() < 0.5 else progress()
    )
    owned = dict.fromkeys(found, begin)
    try:
        expected = plain(found, owned, relay_epoch)
    except ReplicationStopped as error:
        forget_parsed()
        with pytest.raises(type(error), match=f"^{re.escape(str(error))}$"):
            select(found, owned, STANDING, relay_epoch)
        return
    # What the parser remembers makes it faster, and nothing else of it.
    if chance.random() < 0.5:
        forget_parsed()
    batch = select(found, owned, STANDING, relay_epoch)
    assert batch.progress == expected.progress
    assert [id(event.record) for event in batch.events] == expected.events
    assert [(id(record), reason) for record, reason in batch.malformed] == expected.malformed
    assert (batch.dropped, batch.held) == (expected.dropped, expected.held)
    assert batch.oldest_ms == expected.oldest_ms
    assert batch.polled == sum(map(len, found.values()))
