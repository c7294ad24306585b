"""Synthetic payments: always the same, never contradicted by a later day, and of the kinds that the KPIs need."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from services.intake.servicing.domain import Entry, Kind, Loan, Transaction
from services.intake.settings import IntakeSettings
from services.lake.domain.schedule import schedule
from services.lake.samples.german_credit import read
from services.lake.samples.payments import SPREAD_DAYS, Behaviour, Habit, Planned, behaviour, value_date

VALUE_DATE = date(2024, 1, 31)
SOME = UUID(int=7)
FAR = date(2040, 1, 1)
SCHEDULES = [schedule(one.amount, Decimal("0.089"), one.term_months, VALUE_DATE, "DEM") for one in read()]


def everybody() -> list[Behaviour]:
    return [behaviour(number, SCHEDULES[number], good=one.good) for number, one in enumerate(read())]


def test_they_are_the_same_every_time_and_a_later_day_only_adds() -> None:
    assert everybody() == everybody()
    for one in everybody():
        for days in (0, 100, 400, 800):
            day = VALUE_DATE + timedelta(days=days)
            early = one.until(day)
            assert one.until(day + timedelta(days=50))[: len(early)] == early
            assert all(planned.day <= day for planned in early)
            assert one.flags(day).items() <= one.flags(FAR).items()


def test_every_kind_of_behaviour_is_there_and_the_bad_are_worse() -> None:
    good = Counter(one.habit for one, sample in zip(everybody(), read(), strict=True) if sample.good)
    bad = Counter(one.habit for one, sample in zip(everybody(), read(), strict=True) if not sample.good)
    assert good.keys() | bad.keys() == set(Habit)
    assert good[Habit.PUNCTUAL] > sum(good.values()) / 2
    assert not good[Habit.STOPS]
    assert not bad[Habit.PUNCTUAL]
    kinds = Counter(planned.kind for one in everybody() for planned in one.transactions)
    assert kinds.keys() == {"payment", "reversal", "write-off", "recovery"}


def test_servicing_takes_all_that_is_planned() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    for number, (one, instalments) in enumerate(zip(everybody(), SCHEDULES, strict=True)):
        principal = sum((due.principal for due in instalments), Decimal(0))
        plan = (Planned(VALUE_DATE, "disbursement", principal), *one.transactions)
        loan = Loan(SOME, SOME, principal, "DEM", Decimal(0), 1, at, False, False, tuple(instalments), ())
        for place, planned in enumerate(plan):
            undone = None if planned.reverses is None else loan.transactions[planned.reverses + 1].id
            entry = Entry(Kind(planned.kind), planned.amount, "DEM", planned.day, undone)
            if place:
                loan.check(entry, FAR, IntakeSettings.model_fields["overpayment_tolerance"].default)
            recorded = Transaction.of(entry, id=UUID(int=place), loan_id=SOME, by=SOME, at=at)
            loan = replace(loan, transactions=(*loan.transactions, recorded))
        assert loan.outstanding_principal == 0 or one.habit in {Habit.STOPS, Habit.PARTIAL}, number


def test_a_flag_is_given_to_who_is_in_difficulty() -> None:
    for one in everybody():
        flags = {"restructured": one.habit is Habit.RESTRUCTURED, "defaulted": one.habit is Habit.STOPS}
        assert one.flags(FAR) == {name: True for name, given in flags.items() if given}
        assert one.flags(VALUE_DATE) == {}


def test_value_dates_are_spread_over_two_years() -> None:
    today = date(2026, 11, 21)
    days = [(today - value_date(today, number, "1169.0000")).days for number in range(1000)]
    assert min(days) >= 0
    assert max(days) < SPREAD_DAYS
    assert len(set(days)) > 500
    assert value_date(today, 1, "x") == value_date(today, 1, "x")
