"""What must hold of the topics, whatever was killed: checked record by record, in the order of each partition.

Like CockroachDB's `cdctest/validator.go`: something first seen after something later is a violation, seeing it again
is not. A repeat must be of a newer relay, and the same to the letter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from services.lake.journal.model import START, Position
from services.replicator.records import HEARTBEAT, Event, fault_of


class Change(NamedTuple):
    """What identifies a change, on a topic as in the journal; `table` with its schema."""

    table: str
    key: str
    operation: str


class Sent(NamedTuple):
    """A change on a topic: where it lies, and a digest of its image."""

    change: Change
    partition: int
    image: int


@dataclass(slots=True)
class _Chain:
    """One partition, as far as it has been read."""

    highest: Position = START
    epoch: int = 0
    last: Position | None = None
    """The position of the last record of this epoch."""


@dataclass
class OrderValidator:
    """Takes every record of every partition, and then what was committed; `problems` must stay empty."""

    prefix: str
    problems: list[str] = field(default_factory=list)
    delivered: dict[Position, Sent] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    _chains: dict[tuple[str, int], _Chain] = field(default_factory=dict)
    _keys: dict[tuple[str, str], tuple[int, Position]] = field(default_factory=dict)
    _out_of_chain: list[Event] = field(default_factory=list)

    def note(self, event: Event) -> None:
        """Take the next record of its partition."""
        place = f"{event.topic}/{event.partition}@{event.offset}"
        if fault := fault_of(event):
            self.problems.append(f"{place}: {fault}")
            return
        chain = self._chains.setdefault((event.topic, event.partition), _Chain())
        if event.epoch < chain.epoch:
            # A relay that lost its lease and woke up. Whoever reads drops its records.
            self.counts["stale"] += 1
            return
        if event.previous > chain.highest:
            # What went before it was never acknowledged, so a newer relay must send both again.
            self._out_of_chain.append(event)
            return
        if event.epoch == chain.epoch and chain.last is not None:
            if event.previous != chain.last:
                self.problems.append(f"{place}: names {event.previous} as sent before, that was {chain.last}")
            if event.position <= chain.last:
                self.problems.append(f"{place}: {event.position} after {chain.last} in one epoch")
        chain.epoch, chain.last = event.epoch, event.position
        if event.operation == HEARTBEAT:
            self.counts["heartbeats"] += 1
            # A relay that was killed may have sent one with its last changes; the next relay sends it once more.
            self.counts["repeated heartbeats"] += event.position <= chain.highest
        else:
            self._note_change(event, place, chain)
        chain.highest = max(chain.highest, event.position)

    def _note_change(self, event: Event, place: str, chain: _Chain) -> None:
        change = Change(event.topic.removeprefix(self.prefix), event.key.decode(), event.operation)
        sent = Sent(change, event.partition, hash(event.image))
        known = self.delivered.get(event.position)
        if known is not None:
            self.counts["repeats"] += 1
            if known != sent:
                self.problems.append(f"{place}: {event.position} is not what it was: {sent}, before {known}")
            return
        if event.position <= chain.highest:
            self.problems.append(f"{place}: {event.position} comes first after {chain.highest}")
        partition, position = self._keys.get((change.table, change.key), (event.partition, START))
        if partition != event.partition:
            self.problems.append(f"{place}: {change.key} was in partition {partition} before")
        if event.position <= position:
            self.problems.append(f"{place}: {event.position} of {change.key} comes after its {position}")
        self._keys[change.table, change.key] = (event.partition, event.position)
        self.delivered[event.position] = sent

    def compare(self, committed: Mapping[Position, Change]) -> None:
        """Check, when every record was taken, that what was delivered is what was committed."""
        self.counts |= {"changes": len(self.delivered), "failed": len(self._out_of_chain)}
        for event in self._out_of_chain:
            if event.epoch >= self._chains[event.topic, event.partition].epoch:
                self.problems.append(
                    f"{event.topic}/{event.partition}@{event.offset}: follows {event.previous}, which is not there"
                )
        lost = committed.keys() - self.delivered.keys()
        invented = self.delivered.keys() - committed.keys()
        for what, positions in (("was lost", lost), ("was never committed", invented)):
            self.problems += [f"the change at {position} {what}" for position in sorted(positions)[:10]]
        for position in committed.keys() & self.delivered.keys():
            if committed[position] != self.delivered[position].change:
                self.problems.append(
                    f"the change at {position} is {committed[position]}, "
                    f"delivered was {self.delivered[position].change}"
                )

    def highest(self, topic: str, partition: int) -> Position:
        """The highest position of a partition."""
        return self._chains.get((topic, partition), _Chain()).highest
