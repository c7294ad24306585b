"""Bodies of the audit."""

from datetime import UTC, datetime
from typing import Any, Self

import orjson
from pydantic import BaseModel, ConfigDict

from services.search.audit.trail import Entry, Trail
from services.search.domain import trace_id


class ColumnChangeView(BaseModel):
    """A column whose value a change has changed, in the form of the journal; masked where you see it masked."""

    model_config = ConfigDict(from_attributes=True)

    column: str
    before: Any
    after: Any


class ChangeView(BaseModel):
    """One change in the journal: `c` created, `u` updated, `d` deleted, `r` journalled again.

    `changes` compare `image`, the row after it, with the row before it. Where `before_known` is false, the journal does
    not have the row before, and all columns are named. `role` is the one in which the actor acted, where it is known.
    """

    position: str
    table: str
    operation: str
    key: list[str]
    image: dict[str, Any] | None
    changes: list[ColumnChangeView]
    before_known: bool
    actor: str
    role: str | None
    traceparent: str | None
    trace_id: str | None
    captured_at: datetime

    @classmethod
    def of(cls, entry: Entry) -> Self:
        """Show `entry`."""
        change = entry.change
        return cls(
            position=str(change.position),
            table=change.table,
            operation=change.operation,
            key=orjson.loads(change.key),
            image=None if entry.image is None else dict(entry.image),
            changes=[ColumnChangeView.model_validate(one) for one in entry.changes],
            before_known=entry.before_known,
            actor=change.actor,
            role=entry.role,
            traceparent=change.traceparent,
            trace_id=trace_id(change.traceparent),
            captured_at=change.captured_at.replace(tzinfo=UTC),
        )


class PurgedView(BaseModel):
    """The journal was purged from its start through this position: changes up to there are not shown."""

    through: str
    purged_at: datetime | None


class AuditTrail(BaseModel):
    """The changes of an application and of what belongs to it, in order; `purged` names the ranges that are gone."""

    items: list[ChangeView]
    purged: list[PurgedView]

    @classmethod
    def of(cls, trail: Trail) -> Self:
        """Show `trail`."""
        gone = trail.purged
        return cls(
            items=[ChangeView.of(entry) for entry in trail.entries],
            purged=[PurgedView(through=str(gone.through), purged_at=gone.purged_at)] if gone else [],
        )
