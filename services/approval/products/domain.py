"""Proposals of a product's parameters. Plain Python."""

from dataclasses import dataclass
from decimal import Decimal

from services.approval.proposals.domain import Proposal


@dataclass(frozen=True, slots=True)
class Parameters:
    """A product's yearly interest rate and risk parameters, as fractions."""

    interest_rate: Decimal
    probability_of_default: Decimal
    loss_given_default: Decimal
    credit_conversion_factor: Decimal


@dataclass(frozen=True, kw_only=True)
class ProductProposal(Proposal):
    """New parameters of a product from a day on."""

    product_code: str
    interest_rate: Decimal
    probability_of_default: Decimal
    loss_given_default: Decimal
    credit_conversion_factor: Decimal

    @property
    def parameters(self) -> Parameters:
        """What it proposes."""
        return Parameters(
            self.interest_rate,
            self.probability_of_default,
            self.loss_given_default,
            self.credit_conversion_factor,
        )
