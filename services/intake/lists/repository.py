"""All SQL of the lists of applications."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from pydantic import TypeAdapter

from services.chassis.database import beyond
from services.chassis.web.identity import Caller
from services.chassis.web.paging import Cursor
from services.intake.domain import Channel
from services.intake.lists.domain import Filters, Summary, Terms
from services.lake import access
from services.lake.database import LakeReader
from services.lake.domain.states import State
from services.lake.tables import application, application_version

_TERMS = TypeAdapter(Terms)
_OF_APPLICATION = (
    *("id", "state", "current_version", "revision", "draft"),
    *("created_by", "created_at", "submitted_at", "decided_at"),
)
_OF_VERSION = (*Terms.__dataclass_fields__, "score")


def select_applications(caller: Caller, filters: Filters, after: Cursor | None, limit: int) -> sa.Select[Any]:
    """Read a page of the applications that `caller` may see, the newest first; deleted drafts are none of them."""
    own, version = application.c, application_version.c
    query = (
        sa.select(*(own[name] for name in _OF_APPLICATION), *(version[name] for name in _OF_VERSION))
        .outerjoin_from(
            application,
            application_version,
            sa.and_(version.application_id == own.id, version.version == own.current_version),
        )
        .where(access.applications(caller), sa.or_(own.current_version.is_not(None), own.draft.is_not(None)))
        .order_by(own.created_at.desc(), own.id.desc())
        .limit(limit)
    )
    if filters.states:
        query = query.where(own.state.in_(sorted(set(filters.states))))
    if filters.mine:
        query = query.where(own.created_by == caller.id)
    if after is not None:
        query = query.where(beyond(own.created_at, own.id, (after.at, after.id), descending=True))
    return query


class ListRepository:
    """Reads the lists, always in the caller's transaction; has no state."""

    async def applications(
        self, reader: LakeReader, caller: Caller, filters: Filters, after: Cursor | None, limit: int
    ) -> list[Summary]:
        """A page of the applications that `caller` may see, as `select_applications` says."""
        rows = (await reader.execute(select_applications(caller, filters, after, limit))).mappings()
        return [_summary(row, caller) for row in rows]


def _summary(row: sa.RowMapping, caller: Caller) -> Summary:
    reads_draft = row["draft"] is not None and access.may_read_draft(caller, row["created_by"])
    if reads_draft:
        terms = _TERMS.validate_json(row["draft"])
    else:
        named = {name: row[name] for name in Terms.__dataclass_fields__}
        terms = Terms(**{**named, "channel": Channel(row["channel"])})
    return Summary(
        id=row["id"],
        state=State(row["state"]),
        version=row["current_version"],
        revision=row["revision"],
        has_draft=reads_draft,
        terms=terms,
        score=row["score"],
        created_by=row["created_by"],
        created_at=row["created_at"],
        submitted_at=row["submitted_at"],
        decided_at=row["decided_at"],
    )


def statements() -> Iterator[sa.Executable]:
    """Yield an example of every statement that the lists can run."""
    after = Cursor(datetime.fromisoformat("2000-01-01T00:00:00Z"), UUID(int=1))
    for caller in access.examples():
        yield select_applications(caller, Filters(), None, 1)
        yield select_applications(caller, Filters((State.DRAFT, State.RETURNED), mine=True), after, 1)
