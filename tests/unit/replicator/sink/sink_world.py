"""A sink between in-memory neighbours."""

from __future__ import annotations

import asyncio
from typing import Any

from aiokafka import TopicPartition
from opentelemetry import trace

from services.replicator.ports import Failpoint
from services.replicator.sink.rebalances import Rebalances
from services.replicator.sink.sink import Sink
from services.replicator.sink.timing import SinkTiming
from services.replicator.store import StopKind, StoppedTable
from tests.unit.replicator.fake_replica import ReplicaState
from tests.unit.replicator.fakes import (
    PARTY_TABLE,
    PREFIX,
    Broker,
    FakeClock,
    InMemoryJournal,
    InMemorySource,
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
        """Run until this number of polls has found nothing."""
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
