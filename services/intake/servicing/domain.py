"""A booked loan and its transactions: which transaction may follow, and the outstanding amount."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Self
from uuid import UUID

from services.intake.domain import Fault
from services.lake.domain import money
from services.lake.domain.schedule import Instalment

NOTHING = Decimal("0.0000")


class Kind(StrEnum):
    """The kind of a transaction."""

    DISBURSEMENT = "disbursement"
    PAYMENT = "payment"
    WRITE_OFF = "write-off"
    RECOVERY = "recovery"
    REVERSAL = "reversal"


class Refusal(StrEnum):
    """Why a loan's state does not allow a transaction."""

    NOT_DISBURSED = "not_disbursed"
    PRINCIPAL_EXCEEDED = "principal_exceeded"
    OUTSTANDING_EXCEEDED = "outstanding_exceeded"
    WRITTEN_OFF = "written_off"
    WRITTEN_OFF_EXCEEDED = "written_off_exceeded"
    REVERSED_ALREADY = "reversed_already"
    REVERSAL_NOT_REVERSIBLE = "reversal_not_reversible"
    OTHERS_DEPEND = "others_depend"


class TransactionRefused(Exception):
    """The loan's state does not allow this transaction."""

    def __init__(self, reason: Refusal, text: str) -> None:
        """`text`: for people, says what to do."""
        super().__init__(text)
        self.reason = reason


class EntryFaulty(Exception):
    """The entry contradicts the loan."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        """`faults`: at least one."""
        super().__init__("; ".join(fault.detail for fault in faults))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Entry:
    """A transaction to be recorded; `reverses` is the transaction that a reversal undoes."""

    kind: Kind
    amount: Decimal
    currency: str
    effective_on: date
    reverses: UUID | None


@dataclass(frozen=True, slots=True)
class Transaction:
    """A recorded transaction; it never changes."""

    id: UUID
    loan_id: UUID
    kind: Kind
    amount: Decimal
    currency: str
    effective_on: date | None
    """None for an imported disbursement without a known day."""
    reverses: UUID | None
    recorded_by: UUID
    """The proposer, for a transaction that needs two people."""
    recorded_at: datetime
    proposal_id: UUID | None = None
    confirmed_by: UUID | None = None

    @classmethod
    def of(
        cls,
        entry: Entry,
        *,
        id: UUID,  # noqa: A002 - what it is
        loan_id: UUID,
        by: UUID,
        at: datetime,
        proposal_id: UUID | None = None,
        confirmed_by: UUID | None = None,
    ) -> Self:
        """Convert `entry` to a transaction, of a confirmed proposal where it needs two people."""
        return cls(
            id,
            loan_id,
            entry.kind,
            entry.amount,
            entry.currency,
            entry.effective_on,
            entry.reverses,
            by,
            at,
            proposal_id,
            confirmed_by,
        )


@dataclass(frozen=True, slots=True)
class LoanSummary:
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


@dataclass(frozen=True, slots=True)
class _Balance:
    """The outstanding amounts of a loan, and the overpayment."""

    principal: Decimal
    interest: Decimal
    overpaid: Decimal


@dataclass(frozen=True, slots=True)
class Loan:
    """A booked loan with its schedule in the order of its instalments, and all that was recorded under it.

    `instalments` is None where the schedule was not read: then the outstanding amounts are unknown.
    """

    id: UUID
    application_id: UUID
    principal: Decimal
    currency: str
    interest_rate: Decimal
    term_months: int
    booked_at: datetime
    restructured: bool
    defaulted: bool
    instalments: tuple[Instalment, ...] | None
    transactions: tuple[Transaction, ...]
    standing: tuple[Transaction, ...] = field(init=False)
    """The transactions that no reversal has undone, without the reversals."""

    def __post_init__(self) -> None:
        undone = {one.reverses for one in self.transactions}
        standing = (
            one for one in self.transactions if one.kind is not Kind.REVERSAL and one.id not in undone
        )
        object.__setattr__(self, "standing", tuple(standing))

    @property
    def value_date(self) -> date:
        """The loan's value date: the day of its first disbursement, which booking records.

        For an imported loan that day may be unknown; then it is the day of the booking.
        """
        known = (one.effective_on for one in self.transactions if one.kind is Kind.DISBURSEMENT)
        return min((day for day in known if day is not None), default=self.booked_at.date())

    def total(self, kind: Kind) -> Decimal:
        """The sum of the standing transactions of `kind`."""
        return sum((one.amount for one in self.standing if one.kind is kind), NOTHING)

    @property
    def outstanding_principal(self) -> Decimal:
        """The principal neither repaid nor written off; raises ValueError when the schedule was not read."""
        return self._balance().principal

    @property
    def outstanding_interest(self) -> Decimal:
        """The scheduled interest, due or not, that is not paid; raises ValueError when the schedule was not read."""
        return self._balance().interest

    @property
    def overpaid(self) -> Decimal:
        """The payments beyond the whole debt; raises ValueError when the schedule was not read."""
        return self._balance().overpaid

    def _balance(self) -> _Balance:
        """Allocate the payments to the instalments in their order, in each to the interest before the principal.

        A partial write-off changes no instalment: it reduces the principal that would be repaid last.
        """
        if self.instalments is None:
            raise ValueError(f"loan {self.id} was read without its schedule")
        left = self.total(Kind.PAYMENT)
        repaid = interest = NOTHING
        for one in self.instalments:
            interest += one.interest - (paid := min(left, one.interest))
            left -= paid
            repaid += (principal := min(left, one.principal))
            left -= principal
        owed = self.total(Kind.DISBURSEMENT) - self.total(Kind.WRITE_OFF)
        return _Balance(max(owed - repaid, NOTHING), interest, left + max(repaid - owed, NOTHING))

    def check(self, entry: Entry, today: date, tolerance: Decimal) -> None:
        """Check that `entry` may be recorded.

        Args:
            entry: the transaction to record.
            today: the current day in the business's calendar.
            tolerance: the allowed overpayment, as a fraction of the principal.

        Raises:
            EntryFaulty: it contradicts what cannot change: the loan's currency and dates, the transaction it names.
            TransactionRefused: the loan's state does not allow it.
        """
        reversed_ = next((one for one in self.transactions if one.id == entry.reverses), None)
        if faults := [*self._faults(entry, reversed_), *self._date_faults(entry, reversed_, today)]:
            raise EntryFaulty(faults)
        match entry.kind:
            case Kind.DISBURSEMENT:
                if self.total(Kind.WRITE_OFF):
                    raise TransactionRefused(
                        Refusal.WRITTEN_OFF, "Something of the loan is written off: no more is disbursed."
                    )
                self._at_most(
                    entry,
                    self.principal - self.total(Kind.DISBURSEMENT),
                    Refusal.PRINCIPAL_EXCEEDED,
                    "of the principal is not disbursed",
                )
            case Kind.PAYMENT:
                if not self.total(Kind.DISBURSEMENT):
                    raise TransactionRefused(
                        Refusal.NOT_DISBURSED, "Nothing is disbursed; record the disbursement first."
                    )
                if self.total(Kind.WRITE_OFF) and not self.outstanding_principal:
                    raise TransactionRefused(
                        Refusal.WRITTEN_OFF,
                        "All that was left of the loan is written off: what still comes in is a recovery.",
                    )
                if faults := list(self._payment_faults(entry, tolerance)):
                    raise EntryFaulty(faults)
            case Kind.WRITE_OFF:
                self._at_most(
                    entry,
                    self.outstanding_principal,
                    Refusal.OUTSTANDING_EXCEEDED,
                    "of principal is outstanding",
                )
            case Kind.RECOVERY:
                self._at_most(
                    entry,
                    self.total(Kind.WRITE_OFF) - self.total(Kind.RECOVERY),
                    Refusal.WRITTEN_OFF_EXCEEDED,
                    "is written off and not recovered",
                )
            case Kind.REVERSAL if reversed_ is not None:
                self._check_reversal(reversed_)

    def _faults(self, entry: Entry, reversed_: Transaction | None) -> Iterator[Fault]:
        if entry.currency != self.currency:
            yield Fault("/currency", f"the loan is in {self.currency}")
        if entry.kind is not Kind.REVERSAL:
            if entry.reverses is not None:
                yield Fault("/reverses", "only a reversal names a transaction")
        elif entry.reverses is None:
            yield Fault("/reverses", "a reversal names the transaction that it undoes")
        elif reversed_ is None:
            yield Fault("/reverses", "this loan has no such transaction")
        elif entry.amount != reversed_.amount:
            yield Fault("/amount", f"a reversal has the amount that it undoes, {reversed_.amount:.4f}")
        # A reversal has the full amount, with all its decimals: otherwise the transaction could never be reversed.
        if (
            entry.kind is not Kind.REVERSAL
            and entry.currency == self.currency
            and (fault := money.amount_fault(entry.amount, entry.currency))
        ):
            yield Fault("/amount", fault)

    def _payment_faults(self, entry: Entry, tolerance: Decimal) -> Iterator[Fault]:
        balance = self._balance()
        allowed = money.rounded(self.principal * tolerance, self.currency)
        limit = max(balance.principal + balance.interest + allowed - balance.overpaid, NOTHING)
        if entry.amount > limit:
            parts = (
                (balance.principal, "of principal"),
                (balance.interest, "of interest"),
                (allowed, "above that"),
            )
            named = ", ".join(f"{money.shown(amount, self.currency)} {of}" for amount, of in parts)
            less = (
                f", less {money.shown(balance.overpaid, self.currency)} overpaid" if balance.overpaid else ""
            )
            most = money.shown(limit, self.currency)
            yield Fault("/amount", f"is above the {most} that can be paid: {named}{less}")

    def _date_faults(self, entry: Entry, reversed_: Transaction | None, today: date) -> Iterator[Fault]:
        ground = self._ground(entry.kind, reversed_)
        if entry.effective_on > today:
            yield Fault("/effective_on", f"is in the future; today is {today}")
        elif entry.effective_on < self.value_date:
            yield Fault("/effective_on", f"is before the loan's value date {self.value_date}")
        elif ground is not None and entry.effective_on < (ground.effective_on or self.value_date):
            yield Fault(
                "/effective_on",
                f"is before the {ground.kind} of {ground.effective_on or self.value_date} that it follows",
            )

    def _ground(self, kind: Kind, reversed_: Transaction | None) -> Transaction | None:
        """The transaction that must come before one of `kind`, if any."""
        match kind:
            case Kind.PAYMENT:
                return min(self._standing(Kind.DISBURSEMENT), key=_day, default=None)
            case Kind.WRITE_OFF:
                return max(self._standing(*Kind), key=_day, default=None)
            case Kind.RECOVERY:
                return min(self._standing(Kind.WRITE_OFF), key=_day, default=None)
            case _:
                return reversed_

    def _standing(self, *kinds: Kind) -> Iterator[Transaction]:
        return (one for one in self.standing if one.kind in kinds)

    def _at_most(self, entry: Entry, limit: Decimal, reason: Refusal, rest: str) -> None:
        if entry.amount > limit:
            too_much, most = (money.shown(amount, self.currency) for amount in (entry.amount, limit))
            raise TransactionRefused(reason, f"{too_much} is too much: {most} {rest}.")

    def _check_reversal(self, reversed_: Transaction) -> None:
        if reversed_.kind is Kind.REVERSAL:
            raise TransactionRefused(
                Refusal.REVERSAL_NOT_REVERSIBLE, "A reversal is final: record the transaction again."
            )
        if reversed_ not in self.standing:
            raise TransactionRefused(Refusal.REVERSED_ALREADY, "This transaction is reversed already.")
        dependent = {Kind.DISBURSEMENT: (Kind.PAYMENT, Kind.WRITE_OFF), Kind.WRITE_OFF: (Kind.RECOVERY,)}
        if any(self._standing(*dependent.get(reversed_.kind, ()))):
            raise TransactionRefused(
                Refusal.OTHERS_DEPEND, f"Reverse first what was recorded because of this {reversed_.kind}."
            )


def _day(transaction: Transaction) -> date:
    # An unknown day of disbursement counts as before all later transactions.
    return transaction.effective_on or date.min
