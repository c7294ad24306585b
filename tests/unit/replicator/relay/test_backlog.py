"""What the backlog is told while the relay waits for Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from aiokafka.errors import KafkaConnectionError

from services.lake.journal.model import Position
from services.lake.journal.reader import Change
from services.replicator.progress import Backlog
from services.replicator.relay.backlog import telling_backlog

CAPTURED = datetime.fromisoformat("2026-03-01T12:00:00")
WAITING = Change(7, 0, "credit.party", "c", '["1"]', "{}", "f", "someone", None, CAPTURED)


class Journal:
    """A journal with one change."""

    def __init__(self) -> None:
        self.reads: list[Position] = []

    async def read(self, after: Position, limit: int) -> Sequence[Change]:
        self.reads.append(after)
        return [WAITING][:limit] if after < WAITING.position else []


def new_backlog() -> Backlog:
    """A backlog a minute after the change."""
    return Backlog(clock=lambda: CAPTURED.replace(tzinfo=UTC).timestamp() + 60)


async def test_while_kafka_answers_the_journal_is_not_asked() -> None:
    journal, backlog = Journal(), new_backlog()
    async with telling_backlog(journal, Position(3), backlog):
        await asyncio.sleep(0)
    assert (journal.reads, backlog.seconds) == ([], 0)


async def test_when_kafka_keeps_silent_the_oldest_change_counts() -> None:
    journal, backlog = Journal(), new_backlog()
    async with telling_backlog(journal, Position(3), backlog, patience_seconds=0):
        while not journal.reads:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert backlog.seconds == 60
    assert journal.reads == [Position(3)]


async def test_when_kafka_refuses_it_counts_and_the_error_goes_on() -> None:
    journal, backlog = Journal(), new_backlog()
    with pytest.raises(KafkaConnectionError):
        async with telling_backlog(journal, Position(3), backlog):
            raise KafkaConnectionError
    assert (journal.reads, backlog.seconds) == ([Position(3)], 60)


async def test_when_nothing_waits_there_is_no_backlog() -> None:
    journal, backlog = Journal(), new_backlog()
    with pytest.raises(ConnectionResetError):
        async with telling_backlog(journal, WAITING.position, backlog):
            raise ConnectionResetError
    assert (journal.reads, backlog.seconds) == ([WAITING.position], 0)
