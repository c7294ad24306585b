"""The allowed order of transactions, and the outstanding amounts: 100 principal and 10 interest due on two days."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.intake.servicing.domain import (
    Entry,
    EntryFaulty,
    Kind,
    Loan,
    Refusal,
    Transaction,
    TransactionRefused,
)
from services.lake.domain.schedule import Instalment

TODAY = date(2026, 6, 30)
VALUE_DATE = date(2026, 1, 15)
SOME = UUID(int=7)
TOLERANCE = Decimal("0.2")
"""Of the principal of 100: 130 can be paid in all."""


def entry(
    kind: Kind, amount: str = "10", on: date = TODAY, currency: str = "DEM", reverses: UUID | None = None
) -> Entry:
    return Entry(kind, Decimal(amount), currency, on, reverses)


def with_(loan: Loan, *entries: Entry) -> Loan:
    """The loan after entries that it takes."""
    for one in entries:
        loan.check(one, TODAY, TOLERANCE)
        recorded = Transaction.of(one, id=uuid4(), loan_id=loan.id, by=SOME, at=datetime.now(UTC))
        loan = dataclasses.replace(loan, transactions=(*loan.transactions, recorded))
    return loan


def booked(*entries: Entry) -> Loan:
    """A loan as booking leaves it, then `entries`."""
    disbursed = Transaction.of(
        entry(Kind.DISBURSEMENT, "100", VALUE_DATE), id=uuid4(), loan_id=SOME, by=SOME, at=datetime.now(UTC)
    )
    instalments = (
        Instalment(1, date(2026, 2, 15), Decimal(60), Decimal(6)),
        Instalment(2, date(2026, 3, 15), Decimal(40), Decimal(4)),
    )
    loan = Loan(
        SOME, SOME, Decimal(100), "DEM", Decimal("0.1"), 2, disbursed.recorded_at,
        False, False, instalments, (disbursed,),
    )  # fmt: skip
    return with_(loan, *entries)


def undo(loan: Loan, index: int, on: date = TODAY) -> Entry:
    """The reversal of what was recorded as number `index`, the disbursement being 0."""
    one = loan.transactions[index]
    return Entry(Kind.REVERSAL, one.amount, one.currency, on, one.id)


def refused(loan: Loan, one: Entry) -> Refusal:
    with pytest.raises(TransactionRefused) as caught:
        loan.check(one, TODAY, TOLERANCE)
    assert str(caught.value)
    return caught.value.reason


def faults(loan: Loan, one: Entry) -> list[str]:
    with pytest.raises(EntryFaulty) as caught:
        loan.check(one, TODAY, TOLERANCE)
    return [fault.pointer for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("paid", "outstanding"),
    [
        ("0.01", "100"),
        # The first instalment's interest is 6: only what is above it repays principal.
        ("6", "100"),
        ("6.5", "99.5"),
        ("66", "40"),
        ("70", "40"),
        ("70.01", "39.99"),
        ("110", "0"),
        ("130", "0"),
    ],
)
def test_payments_go_to_the_oldest_instalment_interest_first(paid: str, outstanding: str) -> None:
    assert booked(entry(Kind.PAYMENT, paid)).outstanding_principal == Decimal(outstanding)


@given(st.lists(st.integers(1, 21), max_size=6), st.data())
def test_what_is_reversed_was_never_there(amounts: list[int], data: st.DataObject) -> None:
    kept = [data.draw(st.booleans()) for _ in amounts]
    loan = booked(*(entry(Kind.PAYMENT, str(amount)) for amount in amounts))
    for index, keep in enumerate(kept, start=1):
        loan = loan if keep else with_(loan, undo(loan, index))
    without = booked(
        *(entry(Kind.PAYMENT, str(amount)) for amount, keep in zip(amounts, kept, strict=True) if keep)
    )
    assert loan.outstanding_principal == without.outstanding_principal
    assert loan.total(Kind.PAYMENT) == without.total(Kind.PAYMENT)


@pytest.mark.parametrize(
    ("paid", "most", "overpaid"),
    [
        ([], "130", "0"),
        (["110"], "20", "0"),
        (["66", "44"], "20", "0"),
        (["120"], "10", "10"),
        (["130"], "0", "20"),
    ],
)
def test_a_payment_is_at_most_what_is_owed_and_a_tolerance(paid: list[str], most: str, overpaid: str) -> None:
    loan = booked(*(entry(Kind.PAYMENT, amount) for amount in paid))
    assert loan.overpaid == Decimal(overpaid)
    above = Decimal(most) + Decimal("0.01")
    with pytest.raises(EntryFaulty) as caught:
        loan.check(entry(Kind.PAYMENT, str(above)), TODAY, TOLERANCE)
    (fault,) = caught.value.faults
    assert fault.pointer == "/amount"
    assert f"{Decimal(most):,.2f} DEM that can be paid" in fault.detail
    if Decimal(most):
        assert with_(loan, entry(Kind.PAYMENT, most)).overpaid == 20


def test_what_is_written_off_in_part_lowers_what_can_be_paid() -> None:
    lost = with_(booked(), entry(Kind.WRITE_OFF, "30", date(2026, 2, 1)))
    assert faults(lost, entry(Kind.PAYMENT, "100.01")) == ["/amount"]
    paid = with_(lost, entry(Kind.PAYMENT, "100"))
    # Of the 100 paid, 10 are interest and 70 principal.
    assert (paid.outstanding_principal, paid.overpaid) == (0, 20)


@pytest.mark.parametrize("kind", [Kind.PAYMENT, Kind.WRITE_OFF])
@pytest.mark.parametrize("amount", ["0.0001", "0.001", "9.999", "1.0101"])
def test_an_amount_has_the_decimals_of_the_currency(kind: Kind, amount: str) -> None:
    assert faults(booked(), entry(kind, amount)) == ["/amount"]
    assert with_(booked(), entry(kind, "10.0000")).total(kind) == 10


def test_what_has_too_many_decimals_can_still_be_reversed() -> None:
    loan = booked()
    old = Transaction.of(
        entry(Kind.PAYMENT, "0.0001"), id=uuid4(), loan_id=SOME, by=SOME, at=datetime.now(UTC)
    )
    loan = dataclasses.replace(loan, transactions=(*loan.transactions, old))
    assert with_(loan, undo(loan, 1)).total(Kind.PAYMENT) == 0


def test_it_is_disbursed_at_most_to_its_principal_and_again_after_a_reversal() -> None:
    loan = booked()
    assert refused(loan, entry(Kind.DISBURSEMENT, "0.01")) is Refusal.PRINCIPAL_EXCEEDED
    bounced = with_(loan, undo(loan, 0))
    assert refused(bounced, entry(Kind.PAYMENT)) is Refusal.NOT_DISBURSED
    again = with_(bounced, entry(Kind.DISBURSEMENT, "70", date(2026, 2, 1)))
    # The value date stays that of the booking; payments follow the disbursement that stands.
    assert again.value_date == VALUE_DATE
    assert faults(again, entry(Kind.PAYMENT, on=date(2026, 1, 31))) == ["/effective_on"]
    assert refused(again, entry(Kind.DISBURSEMENT, "30.01")) is Refusal.PRINCIPAL_EXCEEDED
    assert with_(again, entry(Kind.DISBURSEMENT, "30")).outstanding_principal == 100


def test_after_a_write_off_in_part_payments_come_in_until_the_rest_is_repaid() -> None:
    # The first instalment is 66, 60 of it principal. Of the 100, 30 are written off: 70 are left to repay.
    lost = with_(booked(), entry(Kind.WRITE_OFF, "30", date(2026, 2, 1)))
    assert refused(lost, entry(Kind.DISBURSEMENT)) is Refusal.WRITTEN_OFF
    assert with_(lost, entry(Kind.RECOVERY, "30")).total(Kind.RECOVERY) == 30
    paid = with_(lost, entry(Kind.PAYMENT, "66", date(2026, 2, 15)))
    assert paid.outstanding_principal == 10
    # Of the second instalment 4 are interest; with 14 the 10 are repaid, and all is over.
    repaid = with_(paid, entry(Kind.PAYMENT, "13.99"), entry(Kind.PAYMENT, "0.01"))
    assert repaid.outstanding_principal == 0
    assert refused(repaid, entry(Kind.PAYMENT)) is Refusal.WRITTEN_OFF
    # What is written off later follows the payment, and is at most what is left.
    assert refused(paid, entry(Kind.WRITE_OFF, "10.01")) is Refusal.OUTSTANDING_EXCEEDED
    assert with_(paid, entry(Kind.WRITE_OFF, "10")).outstanding_principal == 0
    # A payment taken back makes room for others: 10 and the 0.01 are 4 of interest and 6.01 of the 10.
    assert with_(repaid, undo(repaid, 3), entry(Kind.PAYMENT)).outstanding_principal == Decimal("3.99")


def test_after_a_whole_write_off_only_recoveries_come_in() -> None:
    loan = booked(entry(Kind.PAYMENT, "66"))
    assert refused(loan, entry(Kind.RECOVERY)) is Refusal.WRITTEN_OFF_EXCEEDED
    assert refused(loan, entry(Kind.WRITE_OFF, "40.01")) is Refusal.OUTSTANDING_EXCEEDED
    lost = with_(loan, entry(Kind.WRITE_OFF, "40"))
    assert lost.outstanding_principal == 0
    assert refused(lost, entry(Kind.PAYMENT)) is Refusal.WRITTEN_OFF
    assert refused(lost, entry(Kind.DISBURSEMENT)) is Refusal.WRITTEN_OFF
    assert refused(lost, entry(Kind.RECOVERY, "40.01")) is Refusal.WRITTEN_OFF_EXCEEDED
    recovered = with_(lost, entry(Kind.RECOVERY, "30"), entry(Kind.RECOVERY, "10"))
    assert refused(recovered, entry(Kind.RECOVERY, "0.01")) is Refusal.WRITTEN_OFF_EXCEEDED
    assert refused(recovered, undo(recovered, 2)) is Refusal.OTHERS_DEPEND
    healed = with_(lost, undo(lost, 2))
    assert with_(healed, entry(Kind.PAYMENT)).outstanding_principal == 34


def test_a_reversal_undoes_one_standing_transaction_in_full() -> None:
    loan = booked(entry(Kind.PAYMENT, "20", date(2026, 2, 15)))
    assert refused(loan, undo(loan, 0)) is Refusal.OTHERS_DEPEND
    assert faults(loan, dataclasses.replace(undo(loan, 1), amount=Decimal(19))) == ["/amount"]
    assert faults(loan, undo(loan, 1, date(2026, 2, 14))) == ["/effective_on"]
    assert faults(loan, entry(Kind.REVERSAL)) == ["/reverses"]
    assert faults(loan, entry(Kind.REVERSAL, reverses=uuid4())) == ["/reverses"]
    assert faults(loan, entry(Kind.PAYMENT, reverses=loan.transactions[1].id)) == ["/reverses"]
    undone = with_(loan, undo(loan, 1))
    assert refused(undone, undo(loan, 1)) is Refusal.REVERSED_ALREADY
    assert refused(undone, undo(undone, 2)) is Refusal.REVERSAL_NOT_REVERSIBLE
    assert with_(undone, undo(undone, 0)).total(Kind.DISBURSEMENT) == 0


@pytest.mark.parametrize("kind", [Kind.PAYMENT, Kind.WRITE_OFF])
def test_days_are_within_the_loans_life(kind: Kind) -> None:
    loan = booked()
    assert faults(loan, entry(kind, on=date(2026, 7, 1))) == ["/effective_on"]
    assert faults(loan, entry(kind, on=date(2026, 1, 14))) == ["/effective_on"]
    assert with_(loan, entry(kind, on=VALUE_DATE)).total(kind) == 10
    assert faults(loan, entry(kind, currency="EUR", on=date(2026, 7, 1))) == ["/currency", "/effective_on"]


def test_a_write_off_follows_what_was_paid_and_a_recovery_the_write_off() -> None:
    loan = booked(entry(Kind.PAYMENT, "66", date(2026, 3, 1)))
    assert faults(loan, entry(Kind.WRITE_OFF, on=date(2026, 2, 28))) == ["/effective_on"]
    lost = with_(loan, entry(Kind.WRITE_OFF, on=date(2026, 3, 1)))
    assert faults(lost, entry(Kind.RECOVERY, on=date(2026, 2, 28))) == ["/effective_on"]
