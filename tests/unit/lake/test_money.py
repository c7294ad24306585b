"""Currencies and their minor units."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.lake.domain.money import (
    MINOR_UNITS,
    NoSuchCurrency,
    amount_fault,
    minor_unit,
    rounded,
    shown,
    smallest,
)


@pytest.mark.parametrize(
    ("currency", "decimals"),
    [
        ("EUR", 2),
        ("DEM", 2),
        ("JPY", 0),
        ("VND", 0),
        ("ITL", 0),
        ("KWD", 3),
        ("TND", 3),
        ("CLF", 4),
        ("BRL", 2),
    ],
)
def test_the_minor_unit_is_that_of_the_standard(currency: str, decimals: int) -> None:
    assert minor_unit(currency) == decimals


@pytest.mark.parametrize(
    "currency", ["XXX", "XTS", "XAU", "XDR", "eur", "EU", "EURO", "", "ABC", "\uff25\uff35\uff32"]
)
def test_what_money_cannot_be_in_has_no_minor_unit(currency: str) -> None:
    with pytest.raises(NoSuchCurrency):
        minor_unit(currency)
    assert amount_fault(Decimal(1), currency) is not None


def test_every_code_is_listed_once() -> None:
    assert len(MINOR_UNITS) == 291
    assert all(len(code) == 3 and code.isascii() and code.isupper() for code in MINOR_UNITS)


@given(st.sampled_from(sorted(MINOR_UNITS)), st.decimals(0, 10**14, places=4))
def test_an_amount_is_faultless_if_and_only_if_rounding_leaves_it(currency: str, amount: Decimal) -> None:
    assert (amount_fault(amount, currency) is None) == (rounded(amount, currency) == amount)
    assert amount_fault(rounded(amount, currency), currency) is None


@given(st.sampled_from(sorted(MINOR_UNITS)), st.integers(1, 10**15))
def test_two_amounts_that_differ_are_shown_differently(currency: str, units: int) -> None:
    amount = units * smallest(currency)
    assert shown(amount, currency) != shown(amount + smallest(currency), currency)
    assert shown(amount, currency) != shown(amount + Decimal("0.0001"), currency) or currency in {
        "CLF",
        "UYW",
    }
