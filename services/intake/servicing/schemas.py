"""Bodies of servicing's HTTP API."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

from services.chassis.web.input.strict import Amount, Day
from services.intake.schemas import Body
from services.intake.servicing.domain import Kind, Loan, LoanSummary, Transaction
from services.intake.servicing.service import Recording
from services.lake.domain.currency import Currency


def _by_one_person(kind: Kind) -> Kind:
    if kind is not Kind.PAYMENT:
        raise ValueError(
            f"a {kind} takes two people: POST /loans/{{loan_id}}/proposals, and another person confirms it"
        )
    return kind


class NewTransaction(Body):
    """A payment to record under a loan; what else happens to it is proposed, and confirmed by another person."""

    kind: Annotated[
        Kind,
        AfterValidator(_by_one_person),
        WithJsonSchema({"type": "string", "const": "payment"}, mode="validation"),
    ]
    amount: Amount
    currency: Currency
    effective_on: Annotated[
        Day | None,
        Field(
            description="The day from which it counts, not before the loan's value date; by default today."
        ),
    ] = None

    def to_domain(self) -> Recording:
        """The transaction as the use case knows it."""
        return Recording(**dict(self))


class View(BaseModel):
    """A view made from what has the attributes of the same names."""

    model_config = ConfigDict(from_attributes=True)


class TransactionView(View):
    """A recorded transaction; it never changes, a reversal undoes it."""

    id: UUID
    loan_id: UUID
    kind: Kind
    amount: Decimal
    currency: str
    effective_on: date | None
    reverses: UUID | None
    recorded_by: UUID
    recorded_at: datetime
    proposal_id: UUID | None
    confirmed_by: UUID | None

    @classmethod
    def of(cls, transaction: Transaction) -> Self:
        """Show `transaction`."""
        return cls.model_validate(transaction)


class InstalmentView(View):
    """What is due on one day."""

    number: int
    due_on: date
    principal: Decimal
    interest: Decimal


class LoanSummaryView(View):
    """A booked loan in a list; `transactions` is how many were recorded under it, reversals included."""

    id: UUID
    application_id: UUID
    principal: Decimal
    currency: str
    interest_rate: Decimal
    term_months: int
    value_date: date | None
    booked_at: datetime
    restructured: bool
    defaulted: bool
    transactions: int


class LoanPage(BaseModel):
    """A page of loans; `next` is the next page's `after`, null on the last page."""

    items: list[LoanSummaryView]
    next: UUID | None

    @classmethod
    def of(cls, loans: Sequence[LoanSummary], more: UUID | None) -> Self:
        """Show a page of `loans`."""
        return cls(items=[LoanSummaryView.model_validate(one) for one in loans], next=more)


class LoanView(View):
    """A booked loan; its sums leave out what was reversed, `outstanding_principal` also what is written off.

    `overpaid` is what was paid beyond all principal and interest of the schedule.
    """

    id: UUID
    application_id: UUID
    principal: Decimal
    currency: str
    interest_rate: Decimal
    term_months: int
    value_date: date
    booked_at: datetime
    restructured: bool
    defaulted: bool
    disbursed: Decimal
    paid: Decimal
    written_off: Decimal
    recovered: Decimal
    outstanding_principal: Decimal
    outstanding_interest: Decimal
    overpaid: Decimal
    instalments: list[InstalmentView]
    transactions: list[TransactionView]

    @classmethod
    def of(cls, loan: Loan) -> Self:
        """Show `loan`."""
        own = {name: getattr(loan, name) for name in cls.model_fields if hasattr(loan, name)}
        return cls.model_validate(
            own
            | {
                "disbursed": loan.total(Kind.DISBURSEMENT),
                "paid": loan.total(Kind.PAYMENT),
                "written_off": loan.total(Kind.WRITE_OFF),
                "recovered": loan.total(Kind.RECOVERY),
            }
        )
