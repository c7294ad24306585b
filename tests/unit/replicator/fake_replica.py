"""An application database in memory: sessions come and go, what was committed stays."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import asyncpg
from aiokafka import ConsumerRecord, TopicPartition

from services.lake.journal.model import START, CapturedTable
from services.replicator.errors import FenceRaised
from services.replicator.records import Event
from services.replicator.replica.tables import Standing
from services.replicator.sink.offsets import Progress
from services.replicator.sink.ports import Groups, Writers
from services.replicator.sink.writer import Refused
from services.replicator.store import StopKind, StoppedTable
from tests.unit.replicator.fakes import PARTY_TABLE


@dataclass
class Entry:
    """An entry of the quarantine."""

    record: ConsumerRecord[Any, Any]
    reason: str
    healed: bool = False


@dataclass
class Committed:
    """What one commit leaves: offsets, rows by topic and key, the quarantine."""

    offsets: dict[TopicPartition, Progress] = field(default_factory=dict)
    rows: dict[tuple[str, bytes], bytes] = field(default_factory=dict)
    entries: dict[tuple[str, int, int], Entry] = field(default_factory=dict)
    writes: list[tuple[str, int]] = field(default_factory=list)
    """Operation and position of every event that was written, in order: one that is there twice was applied twice."""

    def copy(self) -> Committed:
        """A state of its own, for a transaction."""
        return Committed(
            {place: replace(progress) for place, progress in self.offsets.items()},
            dict(self.rows),
            {place: replace(entry) for place, entry in self.entries.items()},
            list(self.writes),
        )


class ReplicaState:
    """An application database, which sessions come and go by."""

    def __init__(self) -> None:
        self.committed = Committed()
        self.epoch = 1
        self.standing = Standing(writable={PARTY_TABLE.fingerprint: (PARTY_TABLE, PARTY_TABLE)})
        self.followed = 0
        self.stops: dict[str, StoppedTable] = {}
        self.refuses: Callable[[Event], bool] = lambda _: False
        self.failures: defaultdict[str, list[Exception]] = defaultdict(list)
        """By method: what its next calls raise. `commit` fails before it, `committed` after it."""
        self.sessions: list[InMemoryReplica] = []
        self.transactions = 0
        self.at_once = 0

    async def connect(self) -> InMemoryReplica:
        """A new session."""
        self.meets("connect")
        session = InMemoryReplica(self)
        self.sessions.append(session)
        return session

    def meets(self, method: str) -> None:
        """Raise what a method is to raise."""
        if self.failures[method]:
            raise self.failures[method].pop(0)

    def commit(self, working: Committed) -> None:
        """Make what was done the state."""
        self.meets("commit")
        self.committed = working
        self.meets("committed")

    @property
    def open_entries(self) -> dict[tuple[str, int, int], str]:
        """The reasons of the open entries of the quarantine."""
        return {place: e.reason for place, e in self.committed.entries.items() if not e.healed}

    @property
    def positions(self) -> list[int]:
        """The position of each write, in order."""
        return [position for _, position in self.committed.writes]


class InMemoryTransaction:
    """Works on a copy."""

    def __init__(self, state: ReplicaState, working: Committed) -> None:
        self.state = state
        self.working = working

    async def claim(self, progress: Mapping[TopicPartition, Progress]) -> None:
        await asyncio.sleep(0)
        self.state.meets("claim")
        for place, claimed in progress.items():
            if self.state.committed.offsets[place].fence != claimed.fence:
                raise FenceRaised(f"taken over by another sink: {place.topic}/{place.partition}")
            self.working.offsets[place] = replace(claimed)

    async def write(self, writers: Writers, groups: Groups) -> None:
        self.state.meets("write")
        for event in [event for group in groups.values() for event in group]:
            if self.state.refuses(event):
                raise asyncpg.DataError("a row is at fault")
            self._write(event)
        assert groups.keys() <= writers.keys()

    async def write_carefully(self, writers: Writers, groups: Groups) -> list[Refused]:
        assert groups.keys() <= writers.keys()
        self.state.meets("write_carefully")
        refused = []
        for event in [event for group in groups.values() for event in group]:
            if self.state.refuses(event):
                refused.append(Refused(event, "the row is at fault"))
            else:
                self._write(event)
        return refused

    def _write(self, event: Event) -> None:
        row = event.topic, event.key
        if event.image is None:
            self.working.rows.pop(row, None)
        else:
            self.working.rows[row] = event.image
        self.working.writes.append((event.operation, event.position.major))

    async def quarantine(self, record: ConsumerRecord[Any, Any], reason: str) -> None:
        self.state.meets("quarantine")
        self.working.entries.setdefault(
            (record.topic, record.partition, record.offset), Entry(record, reason)
        )

    async def heal(self, applied: Collection[Event]) -> None:
        for event in applied:
            for (topic, _, offset), entry in self.working.entries.items():
                if (topic, entry.record.key) == (event.topic, event.key) and offset < event.offset:
                    entry.healed = True

    async def count_quarantined(self) -> int:
        return sum(not entry.healed for entry in self.working.entries.values())


class InMemoryReplica:
    """A session, until it is terminated."""

    def __init__(self, state: ReplicaState) -> None:
        self.state = state
        self.is_open = True

    async def take_over(self, place: TopicPartition) -> Progress:
        await self._meet("take_over")
        offsets = self.state.committed.offsets
        known = offsets.setdefault(place, Progress(0, START, None, 0, 0))
        known.fence += 1
        return replace(known)

    async def relay_epoch(self) -> int:
        await self._meet("relay_epoch")
        return self.state.epoch

    async def follow(self, definitions: Mapping[str, CapturedTable]) -> Standing:
        del definitions
        await self._meet("follow")
        self.state.followed += 1
        return self.state.standing

    async def stop_tables(self, stops: Collection[StoppedTable]) -> None:
        await self._meet("stop_tables")
        for stop in stops:
            if self.state.stops.get(stop.table, stop).kind is stop.kind:
                self.state.stops[stop.table] = stop

    async def clear_schema_stops(self, but: Collection[str]) -> None:
        await self._meet("clear_schema_stops")
        for table, stop in list(self.state.stops.items()):
            if stop.kind is StopKind.SCHEMA and table not in but:
                del self.state.stops[table]

    async def stopped_tables(self) -> dict[str, StoppedTable]:
        await self._meet("stopped_tables")
        return dict(self.state.stops)

    async def count_quarantined(self) -> int:
        await self._meet("count_quarantined")
        return len(self.state.open_entries)

    async def write_at_once(
        self, progress: Mapping[TopicPartition, Progress], writers: Writers, groups: Groups
    ) -> None:
        assert len(groups) <= 1, "one statement writes one table"
        await self._meet("write_at_once")
        self.state.at_once += 1
        transaction = InMemoryTransaction(self.state, self.state.committed.copy())
        await transaction.claim(progress)
        await transaction.write(writers, groups)
        self.state.commit(transaction.working)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[InMemoryTransaction]:
        await self._meet("transaction")
        self.state.transactions += 1
        transaction = InMemoryTransaction(self.state, self.state.committed.copy())
        yield transaction
        assert self.is_open
        self.state.commit(transaction.working)

    def terminate(self) -> None:
        self.is_open = False

    async def _meet(self, method: str) -> None:
        await asyncio.sleep(0)
        if not self.is_open:
            raise asyncpg.InterfaceError("the session is over")
        self.state.meets(method)
