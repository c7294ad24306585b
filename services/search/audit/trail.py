"""The audit trail of an application: each change in the journal beside the row before it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from services.lake import access
from services.lake.domain.roles import Personal
from services.lake.journal.model import START, Position
from services.lake.tables import application, application_event

CREATED = "c"
DELETED = "d"


@dataclass(frozen=True, slots=True)
class Change:
    """One row of the journal; `image` is JSON, None for a delete."""

    position: Position
    table: str
    operation: str
    key: str
    image: str | None
    actor: str
    traceparent: str | None
    captured_at: datetime


@dataclass(frozen=True, slots=True)
class ColumnChange:
    """A column whose value a change has changed."""

    column: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Entry:
    """A change, what it has changed, and in which role its actor made it, where that is known.

    `before_known` is False when the journal has no row before a change that has one: then every column counts as
    changed.
    """

    change: Change
    image: Mapping[str, Any] | None
    changes: Sequence[ColumnChange]
    before_known: bool
    role: str | None


@dataclass(frozen=True, slots=True)
class Purged:
    """The positions of the journal that are gone, from its start to `through`."""

    through: Position
    purged_at: datetime | None


@dataclass(frozen=True, slots=True)
class Trail:
    """The entries in order; `purged` is None when the journal has the application from its beginning."""

    entries: Sequence[Entry]
    purged: Purged | None


@dataclass(frozen=True, slots=True)
class History:
    """What the lake has of an application's past: the changes in order, and what its journal has no more.

    `level` says how much of personal data the reader sees: a value of `Personal`.
    """

    changes: Sequence[Change]
    purged: Purged
    level: int


def trail(history: History) -> Trail:
    """Pair each change with the row before it.

    Rows are compared before they are masked: a change of a masked value is shown as one, by two masks.
    """
    roles = _roles(history.changes)
    rows: dict[tuple[str, str], dict[str, Any] | None] = {}
    entries = []
    for change in history.changes:
        place = (change.table, change.key)
        known = place in rows or change.operation == CREATED
        before = rows.get(place) or {}
        after = {} if change.image is None else orjson.loads(change.image)
        rows[place] = after
        shown = [
            access.shown(row, history.level) if history.level < Personal.CLEAR else row
            for row in (before, after)
        ]
        changed = [
            ColumnChange(column, shown[0].get(column), shown[1].get(column))
            for column in dict.fromkeys((*after, *before))
            if before.get(column) != after.get(column) or not known
        ]
        role = roles.get((change.actor, change.traceparent)) if change.traceparent else None
        image = None if change.image is None else shown[1]
        entries.append(Entry(change, image, changed, known, role))
    return Trail(
        entries, None if _begins(history.changes) or history.purged.through <= START else history.purged
    )


def _begins(changes: Iterable[Change]) -> bool:
    """Whether the first change of the application's own row created it: everything else is younger."""
    own = next((change for change in changes if change.table == application.fullname), None)
    return own is not None and own.operation == CREATED


def _roles(changes: Iterable[Change]) -> dict[tuple[str, str], str]:
    """The role in which an actor acted in a request: its event names it for all that the request has written."""
    return {
        (change.actor, change.traceparent): orjson.loads(change.image)["role"]
        for change in changes
        if change.table == application_event.fullname and change.image is not None and change.traceparent
    }
