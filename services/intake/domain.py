"""Parties and applications as a maker enters them: their terms, and the rules that need no database."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Literal, NamedTuple, Self
from uuid import UUID

from annotated_types import Interval
from pydantic import Strict

from services.lake.domain.dates import age_on
from services.lake.domain.money import amount_fault, shown
from services.lake.domain.states import Action, State, after

MAKER_ROLE = "maker"
YOUNGEST, OLDEST = 18, 120
"""Ages in years, on the day of submission, of people who can borrow."""


class PartyKind(StrEnum):
    """The kind of a party."""

    PERSON = "person"
    ORGANISATION = "organisation"


class PartyRole(StrEnum):
    """The role of a party in an application."""

    BORROWER = "borrower"
    CO_BORROWER = "co-borrower"
    GUARANTOR = "guarantor"


class Channel(StrEnum):
    """The channel of an application."""

    BRANCH = "branch"
    ONLINE = "online"
    PHONE = "phone"
    PARTNER = "partner"


CheckingAccount = Literal["none", "below_0", "0_to_200", "200_or_more"]
CreditHistory = Literal["critical", "delayed", "paid_duly", "all_paid_here", "none_taken"]
Savings = Literal["unknown", "below_100", "100_to_500", "500_to_1000", "1000_or_more"]
EmploymentSince = Literal["unemployed", "below_1", "1_to_4", "4_to_7", "7_or_more"]
OtherDebtors = Literal["none", "guarantor", "co_applicant"]
Property = Literal["real_estate", "savings_agreement", "car_or_other", "none"]
OtherInstallmentPlans = Literal["none", "bank", "stores"]
Housing = Literal["own", "rent", "free"]
Job = Literal["unemployed_unskilled", "unskilled", "skilled", "management"]


@dataclass(frozen=True, slots=True)
class Profile:
    """The borrower's financial profile, in the attributes of the German Credit Data; amounts in its currency.

    The borrower's age is not among them: it follows from their birth date.
    """

    checking_account: CheckingAccount
    credit_history: CreditHistory
    savings: Savings
    employment_since: EmploymentSince
    installment_rate_percent_class: Annotated[int, Strict(), Interval(ge=1, le=4)]
    other_debtors: OtherDebtors
    residence_since: Annotated[int, Strict(), Interval(ge=1, le=4)]
    property: Property
    other_installment_plans: OtherInstallmentPlans
    housing: Housing
    existing_credits: Annotated[int, Strict(), Interval(ge=1, le=99)]
    job: Job
    dependants: Annotated[int, Strict(), Interval(ge=0, le=20)]
    telephone: Annotated[bool, Strict()]
    foreign_worker: Annotated[bool, Strict()]


@dataclass(frozen=True, slots=True)
class Participant:
    """A party's part in an application."""

    party_id: UUID
    role: PartyRole


@dataclass(frozen=True, slots=True)
class Content:
    """The terms of an application; `amount` has at most four decimals, in `currency` (ISO 4217)."""

    product_code: str
    amount: Decimal
    currency: str
    term_months: int
    purpose: str
    channel: Channel
    parties: tuple[Participant, ...]
    profile: Profile


@dataclass(frozen=True, slots=True)
class Product:
    """A product on a day, with its limits for applications; `interest_rate` is a yearly fraction."""

    code: str
    name: str
    currency: str
    min_amount: Decimal
    max_amount: Decimal
    min_term_months: int
    max_term_months: int
    interest_rate: Decimal


@dataclass(frozen=True, slots=True)
class AmountBand:
    """One approval band: amounts from `amount_from` up to but not including `amount_below`, or without a limit."""

    amount_from: Decimal
    amount_below: Decimal | None

    def covers(self, amount: Decimal) -> bool:
        """Whether `amount`, in the band's currency, falls into it."""
        return amount >= self.amount_from and (self.amount_below is None or amount < self.amount_below)


@dataclass(frozen=True, slots=True)
class Reason:
    """The points that one attribute added to a score, or deducted."""

    attribute: str
    value: str
    points: int


@dataclass(frozen=True, slots=True)
class Score:
    """A score and its reasons, the largest deduction first; higher is better."""

    points: int
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Application:
    """An application as its maker sees it: the saved draft if there is one, otherwise the current version."""

    id: UUID
    state: State
    current_version: int | None
    revision: int
    content: Content
    has_draft: bool
    score: Score | None
    age_years: int | None
    created_by: UUID
    created_at: datetime
    submitted_at: datetime | None
    decided_at: datetime | None

    @classmethod
    def drafted(cls, application_id: UUID, content: Content, *, by: UUID, at: datetime) -> Self:
        """A new application, not submitted yet."""
        return cls(application_id, State.DRAFT, None, 1, content, True, None, None, by, at, None, None)

    def edited(self, content: Content) -> Self:
        """A copy with another draft.

        Raises:
            TransitionNotAllowed: when a submission could not follow.
        """
        after(self.state, Action.SUBMIT)
        return replace(self, content=content, has_draft=True, revision=self.revision + 1)

    def submitted(self, score: Score, age_years: int | None, at: datetime) -> Self:
        """A copy as its next version, with the borrower's age; `submitted_at` stays the time of the first submission.

        Raises:
            TransitionNotAllowed: when its state does not allow a submission.
        """
        return replace(
            self,
            state=after(self.state, Action.SUBMIT),
            current_version=(self.current_version or 0) + 1,
            revision=self.revision + 1,
            has_draft=False,
            score=score,
            age_years=age_years,
            submitted_at=self.submitted_at or at,
        )

    def withdrawn(self) -> Self:
        """A copy that its maker has withdrawn.

        Raises:
            TransitionNotAllowed: when its state is final.
        """
        return replace(self, state=after(self.state, Action.WITHDRAW), revision=self.revision + 1)

    def deleted(self) -> Self:
        """A copy that its maker has withdrawn before its submission, without its content.

        Raises:
            NotADraft: when it was submitted or has ended.
        """
        if self.state is not State.DRAFT:
            raise NotADraft(self.state)
        return replace(self.withdrawn(), has_draft=False)


class NotADraft(Exception):
    """The application was submitted, or has ended: it has no draft to delete."""

    def __init__(self, state: State) -> None:
        self.state = state
        super().__init__(f"the application is {state}")


class ProfileUnknown(Exception):
    """An imported version has no profile, so there is no content to show or to submit again."""


@dataclass(frozen=True, slots=True)
class PartyDetails:
    """The identity of a party."""

    kind: PartyKind
    full_name: str
    birth_date: date | None = None
    national_id: str | None = None
    email: str | None = None
    phone: str | None = None


@dataclass(frozen=True, slots=True)
class Party:
    """A party on record."""

    id: UUID
    details: PartyDetails
    created_by: UUID
    created_at: datetime
    revision: int


@dataclass(frozen=True, slots=True)
class RecordedParty:
    """A party that was just put on record; `possible_duplicates` may be the same person or organisation."""

    party: Party
    possible_duplicates: list[UUID]


@dataclass(frozen=True, slots=True)
class Sought:
    """By what parties are sought: all that is given."""

    national_id: str | None = None
    email: str | None = None
    phone: str | None = None


class Fault(NamedTuple):
    """What is wrong with one part of a request; `pointer` is relative to its body."""

    pointer: str
    detail: str


def details_faults(details: PartyDetails) -> Iterator[Fault]:
    """Find the faults in a party's details."""
    if details.kind is PartyKind.ORGANISATION and details.birth_date is not None:
        yield Fault("/birth_date", "an organisation has none")


def party_faults(participants: Sequence[Participant]) -> Iterator[Fault]:
    """Find the faults in the parties: there must be exactly one borrower, and nobody twice."""
    borrowers = sum(one.role is PartyRole.BORROWER for one in participants)
    if borrowers != 1:
        yield Fault("/parties", f"exactly one party must be the borrower, found {borrowers}")
    seen: set[UUID] = set()
    for index, one in enumerate(participants):
        if one.party_id in seen:
            yield Fault(f"/parties/{index}/party_id", "this party takes part already")
        seen.add(one.party_id)


def limit_faults(content: Content, product: Product) -> Iterator[Fault]:
    """Find the limits of `product` that the application violates."""
    if content.currency != product.currency:
        yield Fault("/currency", f"{product.code} is lent in {product.currency}, not in {content.currency}")
    elif fault := amount_fault(content.amount, content.currency):
        yield Fault("/amount", fault)
    elif not product.min_amount <= content.amount <= product.max_amount:
        yield Fault(
            "/amount",
            f"{product.code} allows {shown(product.min_amount, product.currency)} to "
            f"{shown(product.max_amount, product.currency)}",
        )
    if not product.min_term_months <= content.term_months <= product.max_term_months:
        yield Fault(
            "/term_months",
            f"{product.code} allows {product.min_term_months} to {product.max_term_months} months",
        )


def borrower_faults(content: Content, borrower: PartyDetails, on: date) -> Iterator[Fault]:
    """Find the reasons why `borrower` cannot borrow `on` a day: a person needs a birth date and an allowed age."""
    if borrower.kind is not PartyKind.PERSON:
        return
    index = next(place for place, one in enumerate(content.parties) if one.role is PartyRole.BORROWER)
    pointer = f"/parties/{index}/party_id"
    if borrower.birth_date is None:
        yield Fault(pointer, "the borrower has no birth date; add it to the party")
    elif not YOUNGEST <= (age := age_on(borrower.birth_date, on)) <= OLDEST:
        yield Fault(pointer, f"the borrower is {age} years old; {YOUNGEST} to {OLDEST} is possible")


def age_of(borrower: PartyDetails, on: date) -> int | None:
    """The age of `borrower` `on` a day, in full years; None for an organisation."""
    return None if borrower.birth_date is None else age_on(borrower.birth_date, on)


def band_faults(content: Content, bands: Sequence[AmountBand]) -> Iterator[Fault]:
    """Find out whether anybody could approve the application: `bands` of its currency must cover its amount."""
    currency = content.currency
    if not bands:
        yield Fault("/currency", f"no approval band is set for {currency}: nobody could approve it")
    elif not any(band.covers(content.amount) for band in bands):
        covered = "; ".join(_covered(band, currency) for band in bands)
        yield Fault(
            "/amount",
            f"no approval band of {currency} covers {shown(content.amount, currency)}: nobody could approve it; "
            f"covered are {covered}",
        )


def _covered(band: AmountBand, currency: str) -> str:
    if band.amount_below is None:
        return f"{shown(band.amount_from, currency)} and more"
    return f"{shown(band.amount_from, currency)} to below {shown(band.amount_below, currency)}"
