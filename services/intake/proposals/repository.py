"""All SQL of proposals: waiting proposals, the people who may confirm them, and confirmed changes."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from services.chassis.database import beyond
from services.chassis.web.identity import Caller
from services.chassis.web.paging import Cursor
from services.intake.proposals.domain import (
    NOT_BY_WHO_GRANTED,
    Band,
    Classification,
    Proposal,
    ProposalKind,
    ProposalState,
    Standing,
)
from services.lake import access
from services.lake.database import LakeReader, LakeTransaction
from services.lake.tables import (
    decision,
    loan,
    loan_classification,
    loan_proposal,
    loan_transaction,
    servicing_band,
)

_PROPOSAL_COLUMNS = [loan_proposal.c[name] for name in Proposal.__dataclass_fields__]
_STANDING_COLUMNS = [loan_classification.c[name] for name in Standing.__dataclass_fields__]

INSERT_PROPOSAL = sa.insert(loan_proposal)
INSERT_CLASSIFICATION = sa.insert(loan_classification)


def select_booker(loan_id: UUID) -> sa.Select[Any]:
    """Read who booked a loan."""
    return sa.select(loan.c.booked_by).where(loan.c.id == loan_id)


def select_bands() -> sa.Select[Any]:
    """Read who may confirm what."""
    return sa.select(*(servicing_band.c[name] for name in Band.__dataclass_fields__))


def approved_by(person: UUID, loan_id: sa.ColumnElement[UUID] | UUID) -> sa.Exists:
    """The condition that a person approved a version of the loan's application."""
    granted = loan.alias("granted")
    return sa.exists().where(
        granted.c.id == loan_id,
        decision.c.application_id == granted.c.application_id,
        decision.c.outcome == "approve",
        decision.c.decided_by == person,
    )


def select_approved_by(person: UUID, loan_id: UUID) -> sa.Select[Any]:
    """Read whether a person approved the loan's application."""
    return (
        sa.select(sa.func.count())
        .select_from(loan)
        .where(loan.c.id == loan_id, approved_by(person, loan.c.id))
    )


def select_proposal(proposal_id: UUID, caller: Caller) -> sa.Select[Any]:
    """Read a proposal, if `caller` may see its loan."""
    return (
        sa.select(*_PROPOSAL_COLUMNS)
        .join_from(loan_proposal, loan, loan.c.id == loan_proposal.c.loan_id)
        .where(loan_proposal.c.id == proposal_id, access.loans(caller))
    )


def judged_amount() -> sa.ColumnElement[Decimal]:
    """The amount that a proposal's band goes by; see `Proposal.judged_amount`."""
    written, undoing = loan_transaction.alias("written"), loan_transaction.alias("undoing")
    before = (
        sa.select(sa.func.coalesce(sa.func.sum(written.c.amount), 0))
        .where(
            written.c.loan_id == loan_proposal.c.loan_id,
            written.c.kind == ProposalKind.WRITE_OFF,
            ~sa.exists().where(undoing.c.reverses == written.c.id).correlate(written),
        )
        .correlate(loan_proposal)
        .scalar_subquery()
    )
    earlier = sa.case((loan_proposal.c.kind == ProposalKind.WRITE_OFF, before), else_=0)
    return loan_proposal.c.amount + earlier


def select_proposals(
    caller: Caller,
    after: Cursor | None,
    limit: int,
    *,
    state: ProposalState | None = None,
    loan_id: UUID | None = None,
    confirmable: bool = False,
) -> sa.Select[Any]:
    """Read the proposals under loans that `caller` may see, oldest first.

    `confirmable`: only those that `caller` may confirm, whose amount is in a band of their roles.
    """
    proposal = loan_proposal.c
    query = (
        sa.select(*_PROPOSAL_COLUMNS)
        .join_from(loan_proposal, loan, loan.c.id == proposal.loan_id)
        .where(access.loans(caller))
        .order_by(proposal.proposed_at, proposal.id)
        .limit(limit)
    )
    if state is not None:
        query = query.where(proposal.state == state)
    if loan_id is not None:
        query = query.where(proposal.loan_id == loan_id)
    if confirmable:
        band, amount = servicing_band.c, judged_amount()
        query = query.where(
            proposal.proposed_by != caller.id,
            sa.exists().where(
                band.kind == proposal.kind,
                band.currency == proposal.currency,
                amount >= band.amount_from,
                sa.or_(band.amount_below.is_(None), amount < band.amount_below),
                band.role.in_(sorted(caller.roles)),
            ),
            sa.or_(
                proposal.kind.not_in(sorted(NOT_BY_WHO_GRANTED)),
                sa.and_(proposal.booked_by != caller.id, ~approved_by(caller.id, proposal.loan_id)),
            ),
        )
    if after is not None:
        query = query.where(beyond(proposal.proposed_at, proposal.id, (after.at, after.id)))
    return query


def update_proposal(proposal_id: UUID, expected: int, **values: Any) -> sa.Update:
    """Settle a proposal that waits at revision `expected`."""
    return (
        sa.update(loan_proposal)
        .where(
            loan_proposal.c.id == proposal_id,
            loan_proposal.c.revision == expected,
            loan_proposal.c.state == ProposalState.WAITING,
        )
        .values(**values, revision=expected + 1)
    )


def select_classifications(loan_id: UUID) -> sa.Select[Any]:
    """Read all that a loan was and is, in the order of recording."""
    return (
        sa.select(*_STANDING_COLUMNS)
        .where(loan_classification.c.loan_id == loan_id)
        .order_by(loan_classification.c.recorded_at, loan_classification.c.id)
    )


def end_classification(standing_id: UUID, on: date, proposal_id: UUID, confirmed_by: UUID) -> sa.Update:
    """End a classification on a day."""
    return (
        sa.update(loan_classification)
        .where(loan_classification.c.id == standing_id, loan_classification.c.effective_to.is_(None))
        .values(effective_to=on, ending_proposal_id=proposal_id, ending_confirmed_by=confirmed_by)
    )


def update_flag(loan_id: UUID, flag: str, value: bool) -> sa.Update:
    """Set a flag of a loan."""
    return sa.update(loan).where(loan.c.id == loan_id).values({flag: value})


class ProposalRepository:
    """Reads and writes proposals and classifications, always in the caller's transaction; keeps nothing."""

    async def booker(self, reader: LakeReader, loan_id: UUID) -> UUID:
        """Who booked the loan, which exists."""
        booker: UUID = await reader.scalar(select_booker(loan_id))
        return booker

    async def bands(self, reader: LakeReader) -> list[Band]:
        """Who may confirm what."""
        rows = (await reader.execute(select_bands())).mappings()
        return [Band(**{**row, "kind": ProposalKind(row["kind"])}) for row in rows]

    async def has_approved(self, reader: LakeReader, person: UUID, loan_id: UUID) -> bool:
        """Whether the person approved the loan's application."""
        return bool(await reader.scalar(select_approved_by(person, loan_id)))

    async def add(self, tx: LakeTransaction, new: Proposal) -> None:
        """Add a proposal."""
        await tx.execute(INSERT_PROPOSAL, asdict(new))

    async def proposal(self, reader: LakeReader, proposal_id: UUID, caller: Caller) -> Proposal | None:
        """The proposal, if `caller` may see it."""
        row = (await reader.execute(select_proposal(proposal_id, caller))).mappings().first()
        return None if row is None else _proposal(row)

    async def proposals(
        self,
        reader: LakeReader,
        caller: Caller,
        after: Cursor | None,
        limit: int,
        *,
        state: ProposalState | None,
        loan_id: UUID | None,
        confirmable: bool,
    ) -> list[Proposal]:
        """A page of the proposals that `caller` may see, as `select_proposals` says."""
        query = select_proposals(caller, after, limit, state=state, loan_id=loan_id, confirmable=confirmable)
        return [_proposal(row) for row in (await reader.execute(query)).mappings()]

    async def settle(self, tx: LakeTransaction, settled: Proposal) -> bool:
        """Write what became of a proposal; False when it does not wait any more."""
        values = {
            name: getattr(settled, name)
            for name in ("state", "confirmed_by", "confirmed_at", "refused_by", "refused_at", "comment")
        }
        done = await tx.execute(update_proposal(settled.id, settled.revision - 1, **values))
        return done.rowcount == 1

    async def classifications(self, reader: LakeReader, loan_id: UUID) -> Sequence[Standing]:
        """All that the loan was and is."""
        rows = (await reader.execute(select_classifications(loan_id))).mappings()
        return [Standing(**{**row, "classification": Classification(row["classification"])}) for row in rows]

    async def begin(self, tx: LakeTransaction, new: Standing) -> None:
        """Add a classification, and set its flag of the loan where it has one."""
        await tx.execute(INSERT_CLASSIFICATION, asdict(new))

    async def end(
        self, tx: LakeTransaction, standing: Standing, on: date, proposal_id: UUID, confirmed_by: UUID
    ) -> None:
        """End a classification on a day."""
        await tx.execute(end_classification(standing.id, on, proposal_id, confirmed_by))

    async def set_flag(self, tx: LakeTransaction, loan_id: UUID, flag: str, *, value: bool) -> None:
        """Set a flag of the loan."""
        await tx.execute(update_flag(loan_id, flag, value))


def _proposal(row: Any) -> Proposal:
    classification = row["classification"]
    return Proposal(
        **{
            **row,
            "kind": ProposalKind(row["kind"]),
            "state": ProposalState(row["state"]),
            "classification": None if classification is None else Classification(classification),
        }
    )


def statements() -> Iterator[sa.Executable]:
    """Yield an example of every statement that proposals can run."""
    some = UUID(int=1)
    at = datetime.fromisoformat("2000-01-01T00:00:00Z")
    yield from (INSERT_PROPOSAL, INSERT_CLASSIFICATION)
    yield select_booker(some)
    yield select_bands()
    yield select_approved_by(some, some)
    for caller in access.examples():
        yield select_proposal(some, caller)
        yield select_proposals(caller, None, 1, state=ProposalState.WAITING, confirmable=True)
        yield select_proposals(caller, Cursor(at, some), 1, loan_id=some)
    yield update_proposal(some, 1, state=ProposalState.CONFIRMED, confirmed_by=some, confirmed_at=at)
    yield select_classifications(some)
    yield end_classification(some, at.date(), some, some)
    yield update_flag(some, "defaulted", True)
