"""Synthetic payments of the sample loans: the data set says whether a loan was repaid, not when or how.

A borrower's behaviour depends only on the application's class in the file (good or bad), its number and the loan's
schedule. So it is the same every time, and the plan up to one day does not change when a later day is requested.
The shares below are invented: plausible for consumer lending, not measured.
"""

import random
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_CEILING, Decimal
from enum import StrEnum
from zlib import crc32

from services.lake.domain.money import smallest
from services.lake.domain.schedule import Instalment, months_later
from services.lake.samples.reference import CURRENCY

SEED = 1994
CENT = smallest(CURRENCY)
SPREAD_DAYS = 730
"""Value dates are spread over this number of days before a booking."""
WRITE_OFF_AFTER_DAYS = 180
DEFAULT_AFTER_DAYS = 90


class Habit(StrEnum):
    """How somebody pays."""

    PUNCTUAL = "punctual"
    SOMETIMES_LATE = "sometimes late"
    PREPAYS = "prepays"
    OVERPAYS = "overpays"
    RESTRUCTURED = "restructured"
    ALWAYS_LATE = "always late"
    PARTIAL = "partial"
    STOPS = "stops"


# Per hundred borrowers of a class.
_GOOD = {
    Habit.PUNCTUAL: 68,
    Habit.SOMETIMES_LATE: 20,
    Habit.PREPAYS: 6,
    Habit.OVERPAYS: 4,
    Habit.RESTRUCTURED: 2,
}
_BAD = {Habit.STOPS: 40, Habit.ALWAYS_LATE: 30, Habit.PARTIAL: 18, Habit.RESTRUCTURED: 12}
_BOUNCED = 0.02
"""The share of regular payments that the bank returns."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A transaction to record; `reverses` is the index in the plan of the transaction that a reversal undoes."""

    day: date
    kind: str
    amount: Decimal
    reverses: int | None = None


@dataclass(frozen=True, slots=True)
class Behaviour:
    """The events of one loan, in the order of days, and the first day of each flag (None: never)."""

    habit: Habit
    transactions: tuple[Planned, ...]
    restructured_on: date | None
    defaulted_on: date | None

    def until(self, day: date) -> tuple[Planned, ...]:
        """The events up to and on `day`."""
        return self.transactions[: bisect_right(self.transactions, day, key=lambda one: one.day)]

    def classified(self, day: date) -> dict[str, date]:
        """The loan's classifications up to and on `day`, with their first days."""
        given = {"default": self.defaulted_on, "restructured": self.restructured_on}
        return {name: since for name, since in given.items() if since is not None and since <= day}

    def flags(self, day: date) -> dict[str, bool]:
        """The loan's flags on `day`."""
        given = {"restructured": self.restructured_on, "defaulted": self.defaulted_on}
        return {name: True for name, since in given.items() if since is not None and since <= day}


def value_date(booked_on: date, *what: object) -> date:
    """The value date of a loan that is booked on a day: spread over the time before, depending on `what`."""
    return booked_on - timedelta(days=crc32(" ".join(map(str, what)).encode()) % SPREAD_DAYS)


def behaviour(number: int, instalments: Sequence[Instalment], *, good: bool) -> Behaviour:
    """The behaviour of application `number`'s borrower under a loan with this schedule.

    Args:
        number: the application's number; the only seed of the random draws.
        instalments: the loan's, at least one.
        good: the application's class.
    """
    chance = random.Random(SEED * 1_000 + number)  # noqa: S311 - always the same behaviour
    shares = _GOOD if good else _BAD
    (habit,) = chance.choices(list(shares), list(shares.values()))
    restructured_on = defaulted_on = None
    match habit:
        case Habit.STOPS:
            events, defaulted_on = _stops(chance, instalments)
        case Habit.RESTRUCTURED:
            events, restructured_on = _restructured(chance, instalments)
        case Habit.PREPAYS:
            events = _prepays(chance, instalments)
        case _:
            events = [event for one in instalments for event in _pays(chance, habit, one)]
    return Behaviour(habit, _in_order(events), restructured_on, defaulted_on)


_Event = tuple[Planned, Planned | None]
"""A transaction, and the one that it reverses."""


def _in_order(events: Sequence[_Event]) -> tuple[Planned, ...]:
    ordered = sorted(events, key=lambda event: event[0].day)  # stable: of one day in the order of planning
    places = {id(one): place for place, (one, _) in enumerate(ordered)}
    return tuple(
        one if undone is None else Planned(one.day, one.kind, one.amount, places[id(undone)])
        for one, undone in ordered
    )


def _total(instalment: Instalment) -> Decimal:
    return instalment.principal + instalment.interest


def _payment(day: date, amount: Decimal) -> _Event:
    return Planned(day, "payment", amount), None


def _pays(chance: random.Random, habit: Habit, one: Instalment) -> Iterator[_Event]:
    """One instalment, paid according to the habit."""
    due, amount = one.due_on, _total(one)
    match habit:
        case Habit.ALWAYS_LATE:
            yield _payment(due + timedelta(days=chance.randint(8, 80)), amount)
            return
        case Habit.PARTIAL:
            part = (amount * chance.randint(40, 95) / 100).quantize(CENT)
            yield _payment(due + timedelta(days=chance.randint(0, 20)), part)
            return
        case Habit.SOMETIMES_LATE if chance.random() < 0.3:
            yield _payment(due + timedelta(days=chance.choice((6, 12, 20, 28, 33, 45, 64))), amount)
            return
        case Habit.OVERPAYS:
            amount = (amount / 10).quantize(Decimal(1), ROUND_CEILING) * 10
    paid = _payment(due + timedelta(days=chance.randint(-2, 2)), amount)
    yield paid
    if chance.random() < _BOUNCED:
        back = paid[0].day + timedelta(days=chance.randint(2, 5))
        yield Planned(back, "reversal", amount), paid[0]
        yield _payment(back + timedelta(days=chance.randint(3, 20)), amount)


def _prepays(chance: random.Random, instalments: Sequence[Instalment]) -> list[_Event]:
    """Regular for a while, then the whole rest at once, with its interest."""
    regular = chance.randrange(len(instalments))
    events = [_payment(one.due_on, _total(one)) for one in instalments[:regular]]
    rest = sum(map(_total, instalments[regular:]), Decimal(0))
    return [*events, _payment(instalments[regular].due_on, rest)]


def _restructured(chance: random.Random, instalments: Sequence[Instalment]) -> tuple[list[_Event], date]:
    """In difficulty for some months, then regular again, each instalment later by the months missed."""
    regular = chance.randrange(len(instalments))
    pause = chance.randint(3, 4)
    events = [_payment(one.due_on, _total(one)) for one in instalments[:regular]]
    events += [_payment(months_later(one.due_on, pause), _total(one)) for one in instalments[regular:]]
    return events, instalments[regular].due_on + timedelta(days=chance.randint(40, 85))


def _stops(chance: random.Random, instalments: Sequence[Instalment]) -> tuple[list[_Event], date]:
    """A few payments, then none: default after 90 days, often a write-off after 180, and some recoveries."""
    regular = chance.randrange(len(instalments) // 2 + 1)
    events = [
        _payment(one.due_on + timedelta(days=chance.randint(0, 25)), _total(one))
        for one in instalments[:regular]
    ]
    unpaid_since = instalments[regular].due_on
    defaulted_on = unpaid_since + timedelta(days=DEFAULT_AFTER_DAYS + chance.randint(1, 15))
    if chance.random() < 0.7:
        lost = sum((one.principal for one in instalments[regular:]), Decimal(0))
        day = unpaid_since + timedelta(days=WRITE_OFF_AFTER_DAYS + chance.randint(0, 30))
        events.append((Planned(day, "write-off", lost), None))
        for _ in range(chance.choice((0, 0, 1, 2, 3))):
            day += timedelta(days=chance.randint(20, 60))
            part = (lost * chance.randint(4, 15) / 100).quantize(CENT)
            events.append((Planned(day, "recovery", part), None))
    return events, defaulted_on
