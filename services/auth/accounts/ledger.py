"""The SQL of proposals and of the record of events."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from services.auth.accounts.audit import Event, EventKind
from services.auth.domain import Proposal, ProposalKind, ProposalState
from services.auth.tables import events, proposals
from services.chassis.database import ApplicationReader, ApplicationTransaction, beyond
from services.chassis.web.paging import Cursor
from services.lake.domain.roles import Role


async def add_proposal(tx: ApplicationTransaction, new: Proposal) -> None:
    """Insert a proposal."""
    values = asdict(new)
    for name in ("roles", "roles_before"):
        values[name] = None if values[name] is None else sorted(values[name])
    await tx.execute(proposals.insert().values(values))


async def get_proposal(db: ApplicationReader, proposal_id: UUID, *, lock: bool = False) -> Proposal | None:
    """The proposal of this id; with `lock`, nobody else can settle it before the transaction ends."""
    query = sa.select(proposals).where(proposals.c.id == proposal_id)
    row = (await db.execute(query.with_for_update() if lock else query)).mappings().one_or_none()
    return None if row is None else _proposal(row)


async def list_proposals(
    db: ApplicationReader, state: ProposalState | None, now: datetime, after: Cursor | None, limit: int
) -> list[Proposal]:
    """At most `limit` proposals after `after`, newest first."""
    own = proposals.c
    waits = sa.and_(own.confirmed_by.is_(None), own.refused_by.is_(None))
    conditions = {
        ProposalState.PENDING: sa.and_(waits, own.expires_at > now),
        ProposalState.EXPIRED: sa.and_(waits, own.expires_at <= now),
        ProposalState.CONFIRMED: own.confirmed_by.is_not(None),
        ProposalState.REFUSED: own.refused_by.is_not(None),
    }
    query = sa.select(proposals)
    if state is not None:
        query = query.where(conditions[state])
    page = _behind(query, own.proposed_at, own.id, after).limit(limit)
    return [_proposal(row) for row in (await db.execute(page)).mappings()]


async def confirm_proposal(tx: ApplicationTransaction, proposal_id: UUID, by: UUID, at: datetime) -> None:
    """Record who confirmed a proposal, and delete the password that it set."""
    mine = proposals.update().where(proposals.c.id == proposal_id)
    await tx.execute(mine.values(confirmed_by=by, confirmed_at=at, password_hash=None))


async def refuse_proposal(tx: ApplicationTransaction, proposal_id: UUID, by: UUID, at: datetime) -> None:
    """Record who refused a proposal, and delete the password that it would set."""
    mine = proposals.update().where(proposals.c.id == proposal_id)
    await tx.execute(mine.values(refused_by=by, refused_at=at, password_hash=None))


async def forget_expired_passwords(tx: ApplicationTransaction, now: datetime) -> None:
    """Delete the passwords of expired proposals."""
    expired = sa.and_(proposals.c.expires_at <= now, proposals.c.password_hash.is_not(None))
    await tx.execute(proposals.update().where(expired).values(password_hash=None))


async def list_events(
    db: ApplicationReader,
    *,
    kinds: Sequence[EventKind],
    user: UUID | None,
    after: Cursor | None,
    limit: int,
) -> list[Event]:
    """At most `limit` events after `after`, newest first.

    Args:
        db: where to read.
        kinds: only these kinds; all when empty.
        user: only events by this user or about this user.
        after: the last one of the page before.
        limit: the maximum number of events.
    """
    query = sa.select(events)
    if kinds:
        query = query.where(events.c.kind.in_(kinds))
    if user is not None:
        query = query.where(sa.or_(events.c.actor == user, events.c.object == user))
    page = _behind(query, events.c.at, events.c.id, after).limit(limit)
    return [Event(**{**row, "kind": EventKind(row["kind"])}) for row in (await db.execute(page)).mappings()]


def _behind(
    query: sa.Select[Any], at: sa.Column[datetime], identifier: sa.Column[UUID], after: Cursor | None
) -> sa.Select[Any]:
    if after is not None:
        query = query.where(beyond(at, identifier, (after.at, after.id), descending=True))
    return query.order_by(at.desc(), identifier.desc())


def _proposal(row: Mapping[Any, Any]) -> Proposal:
    values = dict(row)
    for name in ("roles", "roles_before"):
        roles: Sequence[str] | None = values[name]
        values[name] = None if roles is None else frozenset(Role(role) for role in roles)
    values["kind"] = ProposalKind(values["kind"])
    return Proposal(**values)
