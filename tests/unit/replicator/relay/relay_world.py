"""A relay between in-memory neighbours."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from aiokafka import TopicPartition
from opentelemetry import trace

from services.lake.journal.reader import Change
from services.replicator.ports import Failpoint
from services.replicator.progress import Backlog, Work
from services.replicator.relay.relay import Relay
from services.replicator.relay.timing import RelayTiming
from tests.unit.replicator.fakes import (
    CAPTURED_AT,
    LARGEST,
    PREFIX,
    Broker,
    FakeClock,
    InMemoryJournal,
    InMemoryLease,
    InMemoryProducer,
    RelayRow,
    change,
    utc,
)

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
        """Stop the relay after this number of reads, from now on, that found nothing."""
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
