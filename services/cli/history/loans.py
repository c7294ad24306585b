"""The checks of rows under a loan, the same as servicing's checks of transactions. No I/O."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from services.cli.history.rules import Fault, Values
from services.lake.domain.money import amount_fault, rounded

OVERPAYMENT_TOLERANCE = Decimal("0.15")
MONTHS_OF_A_YEAR = 12
NOTHING = Decimal(0)


@dataclass(slots=True)
class Loan:
    """A loan of the files or of the lake; its transactions come in the order in which they took effect."""

    currency: str
    principal: Decimal
    interest: Decimal = NOTHING
    """The most interest that it can bear where no schedule is known."""
    tolerance: Decimal = OVERPAYMENT_TOLERANCE
    """How much more than what is owed may be paid, as a fraction of the principal."""
    in_lake: bool = False
    """The lake may have transactions that the files lack: only rows that contradict any such history are refused."""
    numbers: set[int] = field(default_factory=set)
    scheduled_principal: Decimal = NOTHING
    scheduled_interest: Decimal = NOTHING
    totals: Counter[str] = field(default_factory=Counter)
    """Sums of what stands, by kind."""
    first_day: date | None = None
    """The day of its first disbursement, where it is known."""
    classified: set[tuple[str, date]] = field(default_factory=set)
    """Classifications of the past that were read, by their first days."""
    transactions: dict[str, tuple[str, Decimal, bool]] = field(default_factory=dict)
    """By external_ref: kind, amount, and whether it was reversed."""

    @classmethod
    def of(cls, values: Values, tolerance: Decimal, *, in_lake: bool = False) -> "Loan":
        """A loan by its row, of the files or of the lake."""
        years = Decimal(values["term_months"]) / MONTHS_OF_A_YEAR
        interest = rounded(values["principal"] * values["interest_rate"] * years, values["currency"])
        return cls(values["currency"], values["principal"], interest, tolerance, in_lake)

    def classification_faults(self, values: Values) -> Iterator[Fault]:
        """Say what is wrong with a classification of the past; notes it when nothing is."""
        key = (values["classification"], values["effective_from"])
        if key in self.classified:
            yield "effective_from", "this classification was there before"
        elif values["effective_to"] <= values["effective_from"]:
            yield "effective_to", "is not after effective_from"
        else:
            self.classified.add(key)

    def instalment_faults(self, values: Values) -> Iterator[Fault]:
        """Say what is wrong with an instalment; notes it when nothing is."""
        faults = list(self._instalment_faults(values))
        yield from faults
        if not faults:
            self.numbers.add(values["number"])
            self.scheduled_principal += values["principal"]
            self.scheduled_interest += values["interest"]

    def _instalment_faults(self, values: Values) -> Iterator[Fault]:
        if values["number"] in self.numbers:
            yield "number", "this instalment was there before"
        for name in ("principal", "interest"):
            if fault := amount_fault(values[name], self.currency):
                yield name, fault
        if self.scheduled_principal + values["principal"] > self.principal:
            yield "principal", "the schedule repays more than the loan's principal"

    def transaction_faults(self, values: Values) -> Iterator[Fault]:
        """Say what is wrong with a transaction; notes it when nothing is."""
        faults = [*self._faults(values), *self._order_faults(values), *self._amount_faults(values)]
        yield from faults
        if not faults:
            self._note(values)

    def _faults(self, values: Values) -> Iterator[Fault]:
        if values["external_ref"] in self.transactions:
            yield "external_ref", "this transaction was there before"
        if values["currency"] != self.currency:
            yield "currency", "is not the currency of the loan"
        if values["kind"] == "reversal":
            undone = self.transactions.get(values["reverses_ref"])
            if undone is None:
                yield "reverses_ref", "names no transaction of this loan before it"
            elif undone[0] == "reversal" or undone[2]:
                yield "reverses_ref", "names a reversal, or what was reversed before"
            elif undone[1] != values["amount"]:
                yield "amount", "is not that of what it reverses"

    def _order_faults(self, values: Values) -> Iterator[Fault]:
        if (
            values["kind"] in {"payment", "write-off"}
            and not self.in_lake
            and not self.totals["disbursement"]
        ):
            yield "kind", "comes before anything of the loan is disbursed"
        day = values["effective_on"]
        if self.first_day is not None and day is not None and day < self.first_day:
            yield "effective_on", "is before the loan's first disbursement"

    def _amount_faults(self, values: Values) -> Iterator[Fault]:
        kind = values["kind"]
        after = self.totals[kind] + values["amount"]
        match kind:
            case "disbursement" if after > self.principal:
                yield "amount", "more is disbursed than the loan's principal"
            case "payment":
                interest = self.scheduled_interest if self.numbers else self.interest
                if after > (self.principal + interest) + self.principal * self.tolerance:
                    yield "amount", "more is paid than principal, interest and the tolerance for overpayment"
            case "write-off" if after > (self.principal if self.in_lake else self.totals["disbursement"]):
                yield "amount", "more is written off than was disbursed"
            case "recovery" if after > (self.principal if self.in_lake else self.totals["write-off"]):
                yield "amount", "more is recovered than was written off"

    def _note(self, values: Values) -> None:
        kind, amount = values["kind"], values["amount"]
        self.transactions[values["external_ref"]] = (kind, amount, False)
        if kind == "reversal":
            undone, undone_amount, _ = self.transactions[values["reverses_ref"]]
            self.transactions[values["reverses_ref"]] = (undone, undone_amount, True)
            self.totals[undone] -= amount
            return
        self.totals[kind] += amount
        if kind == "disbursement" and self.first_day is None:
            self.first_day = values["effective_on"]
