"""The rows that follow from a set of events, in whatever order they come. Plain Python.

Each column of a projected table is the least, the greatest or the latest of what the events say; "latest" is by the
event's time and then by its hash. These are commutative, associative and idempotent, so order and repetition do not
matter, and a set of events gives one result. `RULES` says it once: Python merges by it, and so does the SQL.
"""

from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

Row = dict[str, Any]
Key = tuple[Any, ...]

_NAMES = UUID("5f0c1a52-7d7e-5b7e-9f0a-6c696e656167")
NO_JOB = UUID(int=0)
"""The job of what is said about a dataset without one."""


def dataset_id(namespace: str, name: str) -> UUID:
    """The id of a dataset."""
    return uuid5(_NAMES, f"dataset\0{namespace}\0{name}")


def job_id(namespace: str, name: str) -> UUID:
    """The id of a job."""
    return uuid5(_NAMES, f"job\0{namespace}\0{name}")


def named_id(kind: str, name: str) -> UUID:
    """The id of a namespace, source or tag."""
    return uuid5(_NAMES, f"{kind}\0{name}")


def version_id(dataset: UUID, set_id: UUID) -> UUID:
    """The id of the version of a dataset that a run, or a dataset event, has made."""
    return uuid5(dataset, f"version\0{set_id}")


def set_of(event_hash: bytes) -> UUID:
    """The id of the datasets that an event without a run names."""
    return uuid5(_NAMES, f"event\0{event_hash.hex()}")


def slot_id(set_id: UUID, direction: str, dataset: UUID) -> UUID:
    """The owner of the facets that a dataset has as the input or output of one run."""
    return uuid5(set_id, f"{direction}\0{dataset}")


@dataclass(frozen=True, slots=True)
class Latest:
    """Columns that are taken together from the latest event that says them, and the columns with its stamp."""

    at: str
    hash: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """How two rows with the same key become one."""

    key: tuple[str, ...]
    fixed: tuple[str, ...] = ()
    """Columns that follow from the key."""
    least: tuple[str, ...] = ()
    greatest: tuple[str, ...] = ()
    latest: tuple[Latest, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns, the key first."""
        stamped = (name for one in self.latest for name in (one.at, one.hash, *one.columns))
        return (*self.key, *self.fixed, *self.least, *self.greatest, *stamped)


RULES: Mapping[str, Rule] = {
    "dataset": Rule(
        ("id",),
        ("namespace", "name"),
        ("first_at",),
        ("last_at",),
        (Latest("version_at", "version_hash", ("version_id",)),),
    ),
    "job": Rule(
        ("id",),
        ("namespace", "name"),
        ("first_at",),
        ("last_at",),
        (Latest("io_at", "io_hash", ("io_set",)),),
    ),
    "run": Rule(
        ("id",),
        (),
        ("first_at", "started_at"),
        ("last_at",),
        (Latest("job_at", "job_hash", ("job_id",)), Latest("ended_at", "ended_hash", ("ended_as",))),
    ),
    "io": Rule(("set_id", "direction", "dataset_id", "job_id"), least=("first_at",)),
    "version": Rule(
        ("id",), ("dataset_id", "set_id"), ("first_at",), (), (Latest("at", "hash", ("columns_id",)),)
    ),
    "columns": Rule(("id",), ("fields",)),
    "facet": Rule(("kind", "owner", "name"), latest=(Latest("at", "hash", ("body",)),)),
    "column_lineage": Rule(("dataset_id", "job_id"), latest=(Latest("at", "hash", ("fields",)),)),
}
"""The projected tables, in the order in which they are written."""


@dataclass(slots=True)
class Rows:
    """Rows of the projected tables by their keys."""

    tables: Mapping[str, MutableMapping[Key, Row]] = field(
        default_factory=lambda: {name: {} for name in RULES}
    )

    def add(self, table: str, **values: Any) -> None:
        """Add a row, or merge it with the one that has its key; columns that are left out say nothing."""
        rule, rows = RULES[table], self.tables[table]
        key = tuple(values[name] for name in rule.key)
        known = rows.get(key)
        if known is None:
            rows[key] = {name: values.get(name) for name in rule.columns}
        else:
            merge(rule, known, values)

    def merge(self, others: "Rows") -> None:
        """Add all rows of others."""
        for table, rows in others.tables.items():
            for row in rows.values():
                self.add(table, **row)

    def sorted(self, table: str) -> list[Row]:
        """The rows of a table in the order of their keys: whoever writes locks rows in one order."""
        return [row for _, row in sorted(self.tables[table].items(), key=lambda one: _ordered(one[0]))]


def merge(rule: Rule, into: Row, other: Mapping[str, Any]) -> None:
    """Merge a row into one with the same key."""
    for name, choose in (*((name, min) for name in rule.least), *((name, max) for name in rule.greatest)):
        said = [one for one in (into[name], other.get(name)) if one is not None]
        into[name] = choose(said, default=None)
    for latest in rule.latest:
        if other.get(latest.at) is None:
            continue
        if into[latest.at] is None or (into[latest.at], into[latest.hash]) < (
            other[latest.at],
            other[latest.hash],
        ):
            for name in (latest.at, latest.hash, *latest.columns):
                into[name] = other.get(name)


def _ordered(key: Key) -> tuple[str, ...]:
    return tuple(str(part) for part in key)


def state_of(started_at: datetime | None, ended_as: str | None) -> str:
    """The state of a run: its end counts, whatever has come after it."""
    return _ENDS.get(ended_as or "", "RUNNING" if started_at else "NEW")


_ENDS = {"COMPLETE": "COMPLETED", "FAIL": "FAILED", "ABORT": "ABORTED"}
ENDS: Iterable[str] = frozenset(_ENDS)
"""The types of events after which a run has ended."""
STARTS = frozenset({"START", "RUNNING"})
"""The types of events that say that a run has started."""
