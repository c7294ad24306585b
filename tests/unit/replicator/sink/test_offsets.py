"""What a partition takes next: nothing twice, nothing out of order, nothing after a hole."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from services.lake.journal.model import Position
from services.replicator.errors import GapOnPartition, JournalReplaced
from services.replicator.records import Event, parse
from services.replicator.sink.offsets import Progress
from tests.unit.replicator.records import JOURNAL, record

AT_TEN = Progress(kafka_offset=1, position=Position(10), incarnation=JOURNAL, epoch=2, fence=1)


def event(position: int, previous: int, *, epoch: int = 2, incarnation: UUID = JOURNAL) -> Event:
    return parse(record(position=position, previous=previous, epoch=epoch, incarnation=incarnation))


@pytest.mark.parametrize("previous", [0, 9, 10])
@pytest.mark.parametrize("epoch", [2, 3])
def test_a_later_change_whose_predecessor_is_applied_is_next(previous: int, epoch: int) -> None:
    assert AT_TEN.refusal(event(11, previous, epoch=epoch), 2) is None


@pytest.mark.parametrize("position", [1, 10])
def test_what_was_applied_is_a_repeat(position: int) -> None:
    assert AT_TEN.refusal(event(position, 0), 2) == "repeat"
    assert AT_TEN.refusal(event(position, 0, epoch=3), 3) == "repeat"


@pytest.mark.parametrize("position", [1, 11, 12])
def test_a_relay_that_was_followed_by_another_is_not_listened_to(position: int) -> None:
    assert AT_TEN.refusal(event(position, position - 1, epoch=1), 2) == "stale_epoch"


def test_a_record_after_one_that_never_came_stops() -> None:
    with pytest.raises(GapOnPartition, match=r"lake\.credit\.party/0@7: the record at 13\.0 follows 12\.0"):
        AT_TEN.refusal(event(13, 12), 2)


def test_a_record_after_a_failed_send_waits_for_the_relay_that_sends_both_again() -> None:
    progress = replace(AT_TEN)
    assert progress.refusal(event(13, 12), 3) == "failed_send"
    assert progress == AT_TEN, "nothing is taken over from it"
    again = event(12, 10, epoch=3)
    assert progress.refusal(again, 3) is None
    progress.advance(again)
    assert progress.refusal(event(13, 12, epoch=3), 3) is None


def test_a_record_that_the_newest_relay_too_believes_delivered_stops() -> None:
    with pytest.raises(GapOnPartition):
        AT_TEN.refusal(event(13, 12, epoch=3), 3)


def test_another_journal_stops_whatever_its_position_and_epoch() -> None:
    other = UUID(int=1)
    for position, epoch in ((1, 1), (11, 2), (99, 3)):
        with pytest.raises(JournalReplaced, match="Rebuild the replica"):
            AT_TEN.refusal(event(position, 0, epoch=epoch, incarnation=other), 3)


def test_a_partition_that_never_had_anything_takes_any_journal() -> None:
    fresh = Progress(kafka_offset=0, position=Position(0), incarnation=None, epoch=0, fence=1)
    first = event(11, 0)
    assert fresh.refusal(first, 2) is None
    fresh.advance(first)
    assert (fresh.position, fresh.incarnation, fresh.epoch) == (Position(11), JOURNAL, 2)
    assert (fresh.kafka_offset, fresh.fence) == (0, 1)


def test_positions_are_ordered_by_both_numbers() -> None:
    progress = replace(AT_TEN, position=Position(10, 5))
    same_major = event(10, 0)._replace(position=Position(10, 6), previous=Position(10, 5))
    assert progress.refusal(same_major, 2) is None
    assert progress.refusal(same_major._replace(position=Position(10, 5)), 2) == "repeat"
