"""Bodies of the HTTP API of products' proposals."""

import re
from collections.abc import Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from services.approval.products.domain import Parameters, ProductProposal
from services.approval.products.service import Shown, Wish
from services.approval.proposals.schemas import ProposalView
from services.approval.schemas import View
from services.chassis.web.input.strict import Day, Label
from services.chassis.web.paging import Cursor, Cursors

_FRACTION = r"(0|[1-9][0-9]?)(\.[0-9]{1,6})?"


def _fraction(value: object) -> object:
    is_number = isinstance(value, Decimal) or (isinstance(value, int) and not isinstance(value, bool))
    spelt = str(value) if is_number or isinstance(value, str) else ""
    if not re.fullmatch(_FRACTION, spelt):
        raise ValueError("give a fraction in digits, at most 6 after a point, such as 0.0890 for 8.9 %")
    return Decimal(spelt)


def _described(most: int) -> WithJsonSchema:
    return WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": f"^{_FRACTION}$"},
                {"type": "number", "minimum": 0, "maximum": most},
            ],
            "examples": ["0.0890"],
        },
        mode="validation",
    )


YearlyRate = Annotated[Decimal, BeforeValidator(_fraction), Field(le=10), _described(10)]
"""A yearly rate as a fraction; one above 10 is a mistake in the unit."""
Share = Annotated[Decimal, BeforeValidator(_fraction), Field(le=1), _described(1)]
"""A share from 0 to 1."""
ProductCode = Annotated[str, Field(pattern=r"^[A-Z0-9_-]{1,32}$")]


class NewProductProposal(BaseModel):
    """New parameters of a product, all of them, from a day after today on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    product_code: ProductCode
    valid_from: Day
    interest_rate: YearlyRate
    probability_of_default: Share
    loss_given_default: Share
    credit_conversion_factor: Share
    reason: Annotated[str, Label(1000)]

    def to_domain(self) -> Wish:
        """What the use case asks for."""
        parameters = Parameters(
            self.interest_rate,
            self.probability_of_default,
            self.loss_given_default,
            self.credit_conversion_factor,
        )
        return Wish(self.product_code, self.valid_from, parameters, self.reason)


class ParametersView(View):
    """A product's yearly interest rate and risk parameters, as fractions."""

    interest_rate: Decimal
    probability_of_default: Decimal
    loss_given_default: Decimal
    credit_conversion_factor: Decimal


class ProductProposalView(ProposalView, ParametersView):
    """Proposed parameters of a product, and what became of the proposal."""

    product_code: str


class ProductProposalRecord(ProductProposalView):
    """A proposal, and the parameters that it `replaces` on its first day; they are its own once it is confirmed."""

    replaces: ParametersView | None

    @classmethod
    def of(cls, shown: Shown) -> Self:
        """Show `shown`."""
        return cls(**asdict(shown.proposal), replaces=shown.replaces and asdict(shown.replaces))


class ProductProposalPage(BaseModel):
    """A page of proposals, oldest first; `next` is the next page's `after`, null on the last page."""

    items: list[ProductProposalView]
    next: str | None

    @classmethod
    def of(cls, found: Sequence[ProductProposal], limit: int, cursors: Cursors) -> Self:
        """Show the first `limit` of `found`, which has one more where there is a next page."""
        page = found[:limit]
        more = Cursor(page[-1].proposed_at, page[-1].id) if len(found) > limit else None
        return cls(items=[ProductProposalView.model_validate(one) for one in page], next=cursors.next(more))
