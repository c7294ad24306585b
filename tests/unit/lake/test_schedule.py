import itertools
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.lake.domain.money import MINOR_UNITS, amount_fault, smallest
from services.lake.domain.schedule import annuity, months_later, schedule

CURRENCIES = st.sampled_from(["JPY", "EUR", "KWD", "CLF"])
UNITS = st.integers(1, 10**11)
RATES = st.decimals("0", "0.5", places=6)
MONTHS = st.integers(1, 480)
DAYS = st.dates(date(2000, 1, 1), date(2050, 12, 31))


@pytest.mark.parametrize(
    ("principal", "rate", "months", "expected", "currency"),
    [
        # 100,000 over 30 years at 6 %: the figure of any mortgage table.
        ("100000", "0.06", 360, "599.55", "EUR"),
        ("10000", "0.12", 12, "888.49", "EUR"),
        ("1200", "0", 12, "100.00", "EUR"),
        ("1000", "0", 3, "333.33", "EUR"),
        ("1000", "0.12", 1, "1010.00", "EUR"),
        # The same in yen, which has no decimals, and in dinar, which has three.
        ("1000000", "0.06", 360, "5996", "JPY"),
        ("10000", "0.12", 12, "888.488", "KWD"),
    ],
)
def test_known_annuities(principal: str, rate: str, months: int, expected: str, currency: str) -> None:
    assert annuity(Decimal(principal), Decimal(rate), months, currency) == Decimal(expected)


def test_a_schedule_by_hand() -> None:
    plan = schedule(Decimal(1000), Decimal("0.12"), 3, date(2026, 1, 31), "EUR")
    # Payment 340.02; interest 10.00, 6.70 and 3.37 on 1000.00, 669.98 and 336.66.
    assert [(one.principal, one.interest) for one in plan] == [
        (Decimal("330.02"), Decimal("10.00")),
        (Decimal("333.32"), Decimal("6.70")),
        (Decimal("336.66"), Decimal("3.37")),
    ]
    assert [one.due_on for one in plan] == [date(2026, 2, 28), date(2026, 3, 31), date(2026, 4, 30)]


@given(UNITS, CURRENCIES, RATES, MONTHS, DAYS)
def test_every_schedule_repays_exactly_what_was_lent_in_whole_minor_units(
    units: int, currency: str, rate: Decimal, months: int, day: date
) -> None:
    principal = units * smallest(currency)
    plan = schedule(principal, rate, months, day, currency)
    assert sum(one.principal for one in plan) == principal
    assert [one.number for one in plan] == list(range(1, months + 1))
    assert all(one.principal >= 0 and one.interest >= 0 for one in plan)
    assert all(before.due_on < after.due_on for before, after in itertools.pairwise(plan))
    for one in plan:
        assert amount_fault(one.interest, currency) is None
        assert amount_fault(one.principal, currency) is None


@pytest.mark.parametrize("currency", sorted(MINOR_UNITS))
def test_every_currency_has_a_schedule(currency: str) -> None:
    assert (
        sum(one.principal for one in schedule(Decimal(100), Decimal("0.1"), 7, date(2026, 1, 1), currency))
        == 100
    )


def test_decimals_that_the_currency_does_not_have_are_closed_by_the_last_instalment() -> None:
    # Loans from before amounts were held to the minor unit.
    plan = schedule(Decimal("100.1234"), Decimal("0.1"), 7, date(2026, 5, 1), "EUR")
    assert sum(one.principal for one in plan) == Decimal("100.1234")


@pytest.mark.parametrize(
    ("day", "months", "expected"),
    [
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2028, 1, 31), 1, date(2028, 2, 29)),
        (date(2026, 1, 31), 2, date(2026, 3, 31)),
        (date(2026, 12, 15), 1, date(2027, 1, 15)),
        (date(2026, 8, 30), 18, date(2028, 2, 29)),
    ],
)
def test_months_end_where_months_end(day: date, months: int, expected: date) -> None:
    assert months_later(day, months) == expected
