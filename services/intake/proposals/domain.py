"""Proposals under a loan, the people who may settle them, and a loan's classifications by day. Plain Python."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from services.intake.domain import Fault
from services.intake.servicing.domain import Entry, EntryFaulty, Kind, Loan


class ProposalKind(StrEnum):
    """The kinds of changes of a loan that need two people."""

    DISBURSEMENT = "disbursement"
    WRITE_OFF = "write-off"
    RECOVERY = "recovery"
    REVERSAL = "reversal"
    CLASSIFICATION = "classification"


class ProposalState(StrEnum):
    """The state of a proposal."""

    WAITING = "waiting"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


class Classification(StrEnum):
    """The classifications of a loan; a loan can have several."""

    DEFAULT = "default"
    RESTRUCTURED = "restructured"
    WRITTEN_OFF = "written-off"


FLAGS = {Classification.DEFAULT: "defaulted", Classification.RESTRUCTURED: "restructured"}
"""The loan's columns with its current classifications."""

NOT_BY_WHO_GRANTED = frozenset({ProposalKind.WRITE_OFF, ProposalKind.CLASSIFICATION})
"""Kinds that nobody may confirm who approved or booked the loan: they would judge their own decision."""


class Refusal(StrEnum):
    """Why somebody may not settle a proposal."""

    OWN_PROPOSAL = "own_proposal"
    NOT_THE_PROPOSER = "not_the_proposer"
    GRANTED_THE_LOAN = "granted_the_loan"
    ROLE_OF_BAND = "role_of_band"


class SettlementRefused(Exception):
    """This person may not settle the proposal."""

    def __init__(self, reason: Refusal, text: str) -> None:
        """`text`: for people, says who may."""
        super().__init__(text)
        self.reason = reason


class ClassificationRefused(Exception):
    """The loan's state does not allow this classification; the message says why."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A requested change; without a day it is effective today."""

    kind: ProposalKind
    reason: str
    amount: Decimal | None
    currency: str | None
    effective_on: date | None
    reverses: UUID | None
    classification: Classification | None
    ends: bool

    def faults(self) -> Iterator[Fault]:
        """Find fields that its kind does not allow, and fields that are missing."""
        if self.kind is ProposalKind.CLASSIFICATION:
            if self.classification is None:
                yield Fault("/classification", "say what the loan is classified as")
            elif self.classification is Classification.WRITTEN_OFF:
                yield Fault("/classification", "follows from write-offs; propose one of those")
            for name in ("amount", "currency", "reverses"):
                if getattr(self, name) is not None:
                    yield Fault(f"/{name}", "a classification has none")
            return
        for name in ("amount", "currency"):
            if getattr(self, name) is None:
                yield Fault(f"/{name}", f"a {self.kind} has one")
        if self.classification is not None:
            yield Fault("/classification", "only a classification has one")
        if self.ends:
            yield Fault("/ends", "only a classification ends")


@dataclass(frozen=True, slots=True)
class Band:
    """Amounts from `amount_from` up to but not including `amount_below`, and a role that may confirm them."""

    kind: ProposalKind
    currency: str
    amount_from: Decimal
    amount_below: Decimal | None
    role: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """A proposal under a loan; the amount of a classification is the loan's principal."""

    id: UUID
    loan_id: UUID
    booked_by: UUID
    kind: ProposalKind
    amount: Decimal
    currency: str
    effective_on: date
    reverses: UUID | None
    classification: Classification | None
    ends: bool | None
    reason: str
    state: ProposalState
    revision: int
    proposed_by: UUID
    proposed_at: datetime
    confirmed_by: UUID | None = None
    confirmed_at: datetime | None = None
    refused_by: UUID | None = None
    refused_at: datetime | None = None
    comment: str | None = None

    @property
    def entry(self) -> Entry:
        """The transaction that it proposes; raises ValueError for a classification, which is none."""
        return Entry(Kind(self.kind), self.amount, self.currency, self.effective_on, self.reverses)

    def judged_amount(self, loan: Loan) -> Decimal:
        """The amount that determines the band: for a write-off including earlier write-offs of the loan.

        Otherwise somebody could confirm several small write-offs who may not confirm their sum.
        """
        return self.amount + (loan.total(Kind.WRITE_OFF) if self.kind is ProposalKind.WRITE_OFF else 0)

    def check_confirmer(self, person: UUID, roles: Iterable[str], confirming: frozenset[str]) -> None:
        """Check that a person may confirm it, as far as the proposal and the loan's booking determine it.

        Args:
            person: the user who wants to confirm it.
            roles: the user's roles.
            confirming: the roles of the band that contains its amount.

        Raises:
            SettlementRefused: saying who may.
        """
        self._check_other(person, roles, confirming)
        if self.kind in NOT_BY_WHO_GRANTED and person == self.booked_by:
            raise granted_the_loan(self.kind)

    def check_rejecter(self, person: UUID, roles: Iterable[str], confirming: frozenset[str]) -> None:
        """Check that a person may reject it: as `check_confirmer`, but the people who granted the loan may too."""
        self._check_other(person, roles, confirming)

    def check_withdrawer(self, person: UUID) -> None:
        """Check that a person may withdraw it; raises SettlementRefused."""
        if person != self.proposed_by:
            raise SettlementRefused(Refusal.NOT_THE_PROPOSER, "Only who proposed it takes it back.")

    def _check_other(self, person: UUID, roles: Iterable[str], confirming: frozenset[str]) -> None:
        if person == self.proposed_by:
            raise SettlementRefused(
                Refusal.OWN_PROPOSAL, "Another person settles what you propose; you can withdraw it."
            )
        if not confirming.intersection(roles):
            who = " or ".join(sorted(confirming)) or "nobody: no band has its amount any more"
            raise SettlementRefused(
                Refusal.ROLE_OF_BAND, f"A {self.kind} of this amount is settled by {who}."
            )


def granted_the_loan(kind: ProposalKind) -> SettlementRefused:
    """The refusal of somebody who approved or booked the loan."""
    return SettlementRefused(
        Refusal.GRANTED_THE_LOAN, f"Who approved or booked a loan does not confirm its {kind}."
    )


def confirming_roles(
    bands: Iterable[Band], kind: ProposalKind, amount: Decimal, currency: str
) -> frozenset[str]:
    """The roles that may confirm this; empty when no band contains the amount."""
    return frozenset(
        band.role
        for band in bands
        if (band.kind, band.currency) == (kind, currency)
        and band.amount_from <= amount
        and (band.amount_below is None or amount < band.amount_below)
    )


@dataclass(frozen=True, slots=True)
class Standing:
    """One classification of a loan: from a day on, and up to but not including another one."""

    id: UUID
    loan_id: UUID
    classification: Classification
    effective_from: date | None
    """None for an imported classification without a date."""
    effective_to: date | None
    reason: str | None
    proposal_id: UUID | None
    proposed_by: UUID | None
    confirmed_by: UUID | None
    ending_proposal_id: UUID | None
    ending_confirmed_by: UUID | None
    recorded_at: datetime
    migrated: bool


@dataclass(frozen=True, slots=True)
class Classifications:
    """All classifications of a loan, past and current, in any order."""

    rows: Sequence[Standing]

    def open(self, classification: Classification) -> Standing | None:
        """The one that has not ended."""
        return next(
            (one for one in self.rows if one.classification == classification and one.effective_to is None),
            None,
        )

    def check(
        self, classification: Classification, *, ends: bool, on: date, value_date: date, today: date
    ) -> None:
        """Check that a classification may begin, or end, on a day.

        Raises:
            EntryFaulty: the day contradicts the loan, or the classification's other days.
            ClassificationRefused: the loan has this classification already, or does not have it.
        """
        current = self.open(classification)
        if ends and current is None:
            raise ClassificationRefused(f"The loan is not classified as {classification}.")
        if not ends and current is not None:
            raise ClassificationRefused(f"The loan is classified as {classification} already.")
        if current is not None:
            earliest = current.effective_from or value_date
        else:
            ended = (one.effective_to for one in self.rows if one.classification == classification)
            earliest = max((day for day in ended if day is not None), default=value_date)
        earliest = max(earliest, value_date)
        if on > today:
            raise EntryFaulty([Fault("/effective_on", f"is in the future; today is {today}")])
        if on < earliest:
            raise EntryFaulty(
                [Fault("/effective_on", f"is before {earliest}, on which it can be at the earliest")]
            )
