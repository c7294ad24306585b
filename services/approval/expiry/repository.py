"""All SQL of expiry."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from services.approval.claims.repository import counting
from services.chassis.database import beyond
from services.chassis.web.paging import Cursor
from services.lake.database import LakeReader
from services.lake.domain.states import TRANSITIONS, Action, State
from services.lake.tables import application, application_event, claim, decision

EXPIRING = tuple(
    state for state, actions in TRANSITIONS.items() if Action.EXPIRE in actions and state is not State.DRAFT
)
"""The states that end by themselves. A draft waits for nobody, and no time is kept of its changes."""


def select_waiting(before: datetime, now: datetime, after: Cursor | None, limit: int) -> sa.Select[Any]:
    """Read applications that nobody has moved on since `before`, by their submission.

    A change of state, a decision of a stage and a claim that counts move one on.
    """
    at, identifier = application.c.submitted_at, application.c.id
    query = (
        sa.select(
            identifier,
            application.c.state,
            application.c.revision,
            application.c.current_version,
            at,
            application.c.decided_at,
        )
        .where(
            application.c.state.in_(EXPIRING),
            at < before,
            ~sa.exists().where(
                application_event.c.application_id == identifier, application_event.c.occurred_at >= before
            ),
            ~sa.exists().where(decision.c.application_id == identifier, decision.c.decided_at >= before),
            ~sa.exists().select_from(claim).where(counting(now)).correlate(application),
        )
        .order_by(at, identifier)
        .limit(limit)
    )
    if after is not None:
        query = query.where(beyond(at, identifier, (after.at, after.id)))
    return query


class ExpiryRepository:
    """Reads which applications wait for too long."""

    async def waiting(
        self, reader: LakeReader, before: datetime, now: datetime, after: Cursor | None, limit: int
    ) -> Sequence[Mapping[str, Any]]:
        """Rows of id, state, revision, current_version, submitted_at and decided_at."""
        rows = (await reader.execute(select_waiting(before, now, after, limit))).mappings()
        return [{str(name): value for name, value in row.items()} for row in rows]


def statements() -> Iterator[sa.Executable]:
    """Yield an example of every statement of expiry."""
    at = datetime.fromisoformat("2000-01-01T00:00:00Z")
    yield select_waiting(at, at, None, 1)
    yield select_waiting(at, at, Cursor(at, UUID(int=1)), 1)
