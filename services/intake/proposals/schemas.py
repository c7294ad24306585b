"""Bodies of the HTTP API of proposals."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, Field

from services.chassis.web.input.strict import Amount, Day, Flag, Identifier, Label
from services.chassis.web.paging import Cursor, Cursors
from services.intake.proposals.domain import (
    Classification,
    Proposal,
    ProposalKind,
    ProposalState,
    Standing,
    Wish,
)
from services.intake.schemas import Body
from services.intake.servicing.schemas import View
from services.lake.domain.currency import Currency


class NewProposal(Body):
    """A change of a loan that another person must confirm."""

    kind: ProposalKind
    reason: Annotated[str, Label(1000)]
    amount: Annotated[Amount | None, Field(description="Of all but a classification.")] = None
    currency: Annotated[Currency | None, Field(description="Of the amount.")] = None
    effective_on: Annotated[
        Day | None,
        Field(
            description="The day from which it counts, not before the loan's value date; by default today."
        ),
    ] = None
    reverses: Annotated[
        Identifier | None,
        Field(description="Of a reversal, and only of it: the transaction that it undoes, in full."),
    ] = None
    classification: Annotated[
        Classification | None,
        Field(description="Of a classification: `default` or `restructured`; write-offs say the rest."),
    ] = None
    ends: Annotated[
        Flag, Field(description="Of a classification: whether it ends on that day instead of beginning.")
    ] = False

    def to_domain(self) -> Wish:
        """What the use case asks for."""
        return Wish(**dict(self))


class Rejection(Body):
    """The reason of a rejection."""

    comment: Annotated[str, Label(1000)]


class ProposalView(View):
    """A proposal under a loan, and its state; the amount of a classification is the loan's principal."""

    id: UUID
    loan_id: UUID
    kind: ProposalKind
    state: ProposalState
    revision: int
    amount: Decimal
    currency: str
    effective_on: date
    reverses: UUID | None
    classification: Classification | None
    ends: bool | None
    reason: str
    proposed_by: UUID
    proposed_at: datetime
    confirmed_by: UUID | None
    confirmed_at: datetime | None
    refused_by: UUID | None
    refused_at: datetime | None
    comment: str | None

    @classmethod
    def of(cls, proposal: Proposal) -> Self:
        """Show `proposal`."""
        return cls.model_validate(proposal)


class ProposalPage(BaseModel):
    """A page of proposals, oldest first; `next` is the next page's `after`, null on the last page."""

    items: list[ProposalView]
    next: str | None

    @classmethod
    def of(cls, found: Sequence[Proposal], limit: int, cursors: Cursors) -> Self:
        """Show the first `limit` of `found`, which has one more where there is a next page."""
        page = found[:limit]
        more = Cursor(page[-1].proposed_at, page[-1].id) if len(found) > limit else None
        return cls(items=[ProposalView.of(one) for one in page], next=cursors.next(more))


class ClassificationView(View):
    """A classification from a day up to but not including another; null where a day is unknown or in the future."""

    id: UUID
    loan_id: UUID
    classification: Classification
    effective_from: date | None
    effective_to: date | None
    reason: str | None
    proposal_id: UUID | None
    proposed_by: UUID | None
    confirmed_by: UUID | None
    ending_proposal_id: UUID | None
    ending_confirmed_by: UUID | None
    recorded_at: datetime
    migrated: bool

    @classmethod
    def of(cls, standing: Standing) -> Self:
        """Show `standing`."""
        return cls.model_validate(standing)
