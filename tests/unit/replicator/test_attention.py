"""Which partitions a fetch asks for, by a consumer that is assigned some and never started."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from services.replicator import attention
from services.replicator.attention import ALL_SECONDS, BUSY_POLLS, LIVELY_SECONDS, Attention

BUSY, *QUIET = [TopicPartition("lake.credit.party", number) for number in range(4)]


class Clock:
    """A clock that a test sets."""

    seconds = 100.0

    def monotonic(self) -> float:
        """What `time.monotonic` is replaced by."""
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time that the module sees."""
    made = Clock()
    monkeypatch.setattr(attention, "time", made)
    return made


@pytest.fixture
async def consumer() -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer of four partitions."""
    made = AIOKafkaConsumer()
    made.assign([BUSY, *QUIET])
    yield made
    await made.stop()


def under_load(choose: Attention, clock: Clock) -> None:
    """As many polls as make it load, in as little time as makes it load."""
    for _ in range(BUSY_POLLS):
        clock.seconds += ALL_SECONDS / BUSY_POLLS / 2
        choose.turn([BUSY], ())


async def test_without_load_every_fetch_asks_for_all(consumer: AIOKafkaConsumer, clock: Clock) -> None:
    choose = Attention(consumer)
    for _ in range(50):
        clock.seconds += 1.0
        choose.turn([BUSY], ())
        assert consumer.paused() == set()


async def test_under_load_quiet_partitions_are_asked_now_and_then(
    consumer: AIOKafkaConsumer, clock: Clock
) -> None:
    choose = Attention(consumer)
    under_load(choose, clock)
    assert consumer.paused() == set(QUIET)
    clock.seconds += ALL_SECONDS
    choose.turn([BUSY], ())
    assert consumer.paused() == set()
    clock.seconds += 0.001
    choose.turn([BUSY], ())
    assert consumer.paused() == set(QUIET)


async def test_a_partition_that_brings_something_is_asked_for_by_every_fetch(
    consumer: AIOKafkaConsumer, clock: Clock
) -> None:
    choose = Attention(consumer)
    choose.turn([QUIET[0]], ())
    under_load(choose, clock)
    assert consumer.paused() == set(QUIET[1:])
    clock.seconds += LIVELY_SECONDS
    under_load(choose, clock)
    assert consumer.paused() == set(QUIET)


async def test_when_load_ends_all_are_asked_for(consumer: AIOKafkaConsumer, clock: Clock) -> None:
    choose = Attention(consumer)
    under_load(choose, clock)
    clock.seconds += 1.0
    choose.turn([], ())
    assert consumer.paused() == set()


async def test_what_is_held_for_another_reason_stays_paused(consumer: AIOKafkaConsumer, clock: Clock) -> None:
    choose = Attention(consumer)
    under_load(choose, clock)
    held = {QUIET[0]}
    clock.seconds += 1.0
    choose.turn([BUSY], held)
    assert consumer.paused() == held


async def test_partitions_that_were_given_away_are_left_alone(
    consumer: AIOKafkaConsumer, clock: Clock
) -> None:
    choose = Attention(consumer)
    under_load(choose, clock)
    consumer.unsubscribe()
    consumer.assign([BUSY, QUIET[0]])
    under_load(choose, clock)
    assert consumer.paused() == {QUIET[0]}
