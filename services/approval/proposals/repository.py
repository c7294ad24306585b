"""The SQL that proposals of every kind have in common, each kind on its own table."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa

from services.approval.proposals.domain import SETTLED, Proposal, ProposalState
from services.chassis.database import beyond
from services.chassis.web.paging import Cursor


def select_proposal(table: sa.Table, kind: type[Proposal], proposal_id: UUID) -> sa.Select[Any]:
    """Read a proposal of a kind by the names of its fields."""
    return _columns(table, kind).where(table.c.id == proposal_id)


def select_proposals(
    table: sa.Table, kind: type[Proposal], state: ProposalState | None, after: Cursor | None, limit: int
) -> sa.Select[Any]:
    """Read proposals of a kind, oldest first."""
    at, identifier = table.c.proposed_at, table.c.id
    query = _columns(table, kind).order_by(at, identifier).limit(limit)
    if state is not None:
        query = query.where(table.c.state == state)
    if after is not None:
        query = query.where(beyond(at, identifier, (after.at, after.id)))
    return query


def update_proposal(table: sa.Table, settled: Proposal) -> sa.Update:
    """Settle a proposal that waits at the revision before."""
    return (
        sa.update(table)
        .where(
            table.c.id == settled.id,
            table.c.revision == settled.revision - 1,
            table.c.state == ProposalState.WAITING,
        )
        .values(revision=settled.revision, **{name: getattr(settled, name) for name in SETTLED})
    )


def _columns(table: sa.Table, kind: type[Proposal]) -> sa.Select[Any]:
    return sa.select(*(table.c[name] for name in kind.__dataclass_fields__))
