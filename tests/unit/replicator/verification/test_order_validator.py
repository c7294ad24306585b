"""The validator of the fault tests finds what it is there to find."""

from __future__ import annotations

from uuid import UUID

import pytest
from aiokafka import ConsumerRecord

from services.lake.journal.model import Position
from services.replicator.records import HEARTBEAT, Source, change_header, parse
from tests.faults.order import Change, OrderValidator

JOURNAL = UUID("0197a2a0-0000-7000-8000-00000000000a")


class Topic:
    """Builds records of one topic; each partition numbers its own."""

    def __init__(self) -> None:
        self.order = OrderValidator("t.")
        self.offsets = [0, 0]

    def send(
        self,
        position: int,
        previous: int,
        *,
        epoch: int = 1,
        key: str = "a",
        operation: str = "u",
        image: bytes | None = b"{}",
        partition: int = 0,
    ) -> None:
        """Have the validator take the next record."""
        source = Source(epoch, JOURNAL, "0123456789abcdef")
        self.order.note(
            parse(
                ConsumerRecord(
                    topic="t.credit.party",
                    partition=partition,
                    offset=self.offsets[partition],
                    timestamp=0,
                    timestamp_type=0,
                    key=None if operation == HEARTBEAT else key.encode(),
                    value=image if operation in "cur" else None,
                    checksum=None,
                    serialized_key_size=0,
                    serialized_value_size=0,
                    headers=(change_header(operation, f"{position}.0", f"{previous}.0", str(source)),),
                )
            )
        )
        self.offsets[partition] += 1

    def problems(self, *committed: int) -> list[str]:
        """What is wrong when the changes at these positions, all of key a, were committed."""
        self.order.compare({Position(n): Change("credit.party", "a", "u") for n in committed})
        return self.order.problems


@pytest.fixture
def topic() -> Topic:
    return Topic()


def test_repeats_of_a_newer_relay_heartbeats_and_late_sends_are_in_order(topic: Topic) -> None:
    topic.send(5, 0)
    topic.send(7, 5)
    topic.send(9, 7, operation=HEARTBEAT)
    topic.send(5, 0, epoch=2)
    topic.send(9, 7)  # of the old relay, which woke up
    topic.send(7, 5, epoch=2)
    topic.send(12, 7, epoch=2)
    topic.send(12, 7, epoch=3, operation=HEARTBEAT)  # again, of the relay that follows a killed one
    assert topic.problems(5, 7, 12) == []
    assert topic.order.counts == {
        "changes": 3,
        "repeats": 2,
        "heartbeats": 2,
        "repeated heartbeats": 1,
        "stale": 1,
    }
    assert topic.order.highest("t.credit.party", 0) == Position(12)


def test_what_a_newer_relay_sends_again_after_a_failed_send_is_in_order(topic: Topic) -> None:
    topic.send(5, 0)
    topic.send(9, 7)  # 7 was not acknowledged
    topic.send(7, 5, epoch=2)
    topic.send(9, 7, epoch=2)
    assert topic.problems(5, 7, 9) == []
    assert topic.order.counts["failed"] == 1


def test_a_record_that_is_missing_is_found(topic: Topic) -> None:
    topic.send(5, 0)
    topic.send(9, 7)
    [gap, *lost] = topic.problems(5, 7, 9)
    assert gap == "t.credit.party/0@1: follows 7.0, which is not there"
    assert lost == ["the change at 7.0 was lost", "the change at 9.0 was lost"]


def test_a_change_that_was_skipped_without_a_gap_is_found(topic: Topic) -> None:
    topic.send(5, 0)
    topic.send(9, 5)
    assert topic.problems(5, 7, 9) == ["the change at 7.0 was lost"]


def test_a_change_that_nobody_committed_is_found(topic: Topic) -> None:
    topic.send(5, 0)
    topic.send(6, 5)
    assert topic.problems(5) == ["the change at 6.0 was never committed"]


def test_a_change_under_another_key_is_found(topic: Topic) -> None:
    topic.send(5, 0, key="b")
    [problem] = topic.problems(5)
    assert problem.startswith("the change at 5.0 is Change(table='credit.party', key='a'")


def test_a_position_that_falls_in_one_epoch_is_found(topic: Topic) -> None:
    topic.send(7, 0)
    topic.send(5, 0)
    assert topic.problems(5, 7) == [
        "t.credit.party/0@1: names 0.0 as sent before, that was 7.0",
        "t.credit.party/0@1: 5.0 after 7.0 in one epoch",
        "t.credit.party/0@1: 5.0 comes first after 7.0",
        "t.credit.party/0@1: 5.0 of a comes after its 7.0",
    ]


def test_a_change_that_a_newer_relay_brings_first_after_a_later_one_is_found(topic: Topic) -> None:
    topic.send(7, 0)
    topic.send(5, 0, epoch=2)
    topic.send(7, 5, epoch=2)
    assert "t.credit.party/0@1: 5.0 comes first after 7.0" in topic.problems(5, 7)


def test_a_change_first_sent_after_a_heartbeat_above_it_is_found(topic: Topic) -> None:
    topic.send(9, 0, operation=HEARTBEAT)
    topic.send(7, 0, epoch=2)
    assert topic.problems(7) == ["t.credit.party/0@1: 7.0 comes first after 9.0"]


def test_a_repeat_with_another_image_is_found(topic: Topic) -> None:
    topic.send(5, 0)
    topic.send(5, 0, epoch=2, image=b'{"other": 1}')
    [problem] = topic.problems(5)
    assert problem.startswith("t.credit.party/0@1: 5.0 is not what it was")


def test_a_key_in_two_partitions_is_found(topic: Topic) -> None:
    topic.send(5, 0)
    topic.send(7, 0, partition=1)
    assert topic.problems(5, 7) == ["t.credit.party/1@0: a was in partition 0 before"]


def test_a_record_that_is_no_change_is_found(topic: Topic) -> None:
    topic.send(5, 0, image=None)
    assert topic.problems() == ["t.credit.party/0@0: operation 'u' without its key or its image"]
