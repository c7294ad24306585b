"""Bodies of the HTTP API of proposals of bands."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from services.approval.bands.domain import BandProposal, NewBand
from services.approval.bands.service import Wish
from services.approval.proposals.schemas import ProposalView
from services.approval.schemas import StageName, View
from services.chassis.web.input.strict import Amount, AmountOrZero, Day, Label
from services.chassis.web.paging import Cursor, Cursors
from services.lake.domain.currency import Currency

BandName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]


class NewBandBody(BaseModel):
    """A band: amounts from `amount_from` up to but not including `amount_below`, and its stages in order."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[BandName, Field(description="One that no band has or had.")]
    amount_from: AmountOrZero
    amount_below: Annotated[Amount | None, Field(description="Left out for the last band.")] = None
    stages: Annotated[list[StageName], Field(min_length=1, max_length=8)]

    def to_domain(self) -> NewBand:
        """The band as the use case knows it."""
        return NewBand(self.name, self.amount_from, self.amount_below, tuple(self.stages))


class NewBandProposal(BaseModel):
    """All bands of a currency, the smallest first, for what is submitted from a day after today on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    currency: Currency
    valid_from: Day
    bands: Annotated[list[NewBandBody], Field(min_length=1, max_length=20)]
    reason: Annotated[str, Label(1000)]

    def to_domain(self) -> Wish:
        """What the use case asks for."""
        return Wish(self.currency, self.valid_from, [one.to_domain() for one in self.bands], self.reason)


class NewBandView(View):
    """A proposed band."""

    name: str
    amount_from: Decimal
    amount_below: Decimal | None
    stages: list[str]


class BandProposalView(ProposalView):
    """Proposed bands of a currency, and what became of the proposal."""

    currency: str
    bands: list[NewBandView]

    @classmethod
    def of(cls, proposal: BandProposal) -> Self:
        """Show `proposal`."""
        return cls.model_validate(proposal)


class BandProposalPage(BaseModel):
    """A page of proposals, oldest first; `next` is the next page's `after`, null on the last page."""

    items: list[BandProposalView]
    next: str | None

    @classmethod
    def of(cls, found: Sequence[BandProposal], limit: int, cursors: Cursors) -> Self:
        """Show the first `limit` of `found`, which has one more where there is a next page."""
        page = found[:limit]
        more = Cursor(page[-1].proposed_at, page[-1].id) if len(found) > limit else None
        return cls(items=[BandProposalView.of(one) for one in page], next=cursors.next(more))
