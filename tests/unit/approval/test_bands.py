"""New bands cover every amount once, and name roles that decide; a version has the bands of its submission."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from services.approval.bands.domain import NewBand, band_faults
from services.approval.domain import band_for
from tests.unit.approval.test_domain import BAND, NOW, VERSION

SMALL = NewBand("small-2", Decimal(0), Decimal(5000), ("officer",))
LARGE = NewBand("large-2", Decimal(5000), None, ("officer", "committee"))


def faults(*bands: NewBand, known: tuple[str, ...] = ("small",), currency: str = "DEM") -> list[str]:
    return [pointer for pointer, _ in band_faults(currency, bands, known)]


def test_bands_that_cover_every_amount_once_are_fine() -> None:
    assert faults(SMALL, LARGE) == []
    assert faults(replace(LARGE, amount_from=Decimal(0))) == []


@pytest.mark.parametrize(
    ("bands", "pointers"),
    [
        ([replace(SMALL, amount_from=Decimal(1)), LARGE], ["/0/amount_from"]),
        ([SMALL, replace(LARGE, amount_from=Decimal(5001))], ["/1/amount_from"]),
        ([SMALL, replace(LARGE, amount_from=Decimal(4999))], ["/1/amount_from"]),
        ([SMALL], ["/0/amount_below"]),
        ([replace(SMALL, amount_below=None), LARGE], ["/1/amount_from"]),
        (
            [replace(SMALL, amount_below=Decimal(0)), replace(LARGE, amount_from=Decimal(0))],
            ["/0/amount_below"],
        ),
        ([replace(SMALL, name="small"), LARGE], ["/0/name"]),
        ([SMALL, replace(LARGE, name="small-2")], ["/1/name"]),
        ([SMALL, replace(LARGE, stages=("officer", "officer"))], ["/1/stages"]),
        ([SMALL, replace(LARGE, stages=("maker",))], ["/1/stages"]),
        (
            [
                replace(SMALL, amount_below=Decimal("5000.001")),
                replace(LARGE, amount_from=Decimal("5000.001")),
            ],
            ["/0/amount_below", "/1/amount_from"],
        ),
    ],
)
def test_what_is_wrong_with_bands_is_pointed_at(bands: list[NewBand], pointers: list[str]) -> None:
    assert faults(*bands) == pointers


def test_a_version_has_the_bands_of_its_submission() -> None:
    second = timedelta(seconds=1)
    before = replace(BAND, valid_to=NOW)
    after = replace(BAND, name="later", valid_from=NOW)
    for submitted, expected in ((NOW - second, before), (NOW, after), (NOW + second, after)):
        assert band_for([before, after], replace(VERSION, submitted_at=submitted)) == expected
    assert (
        band_for([replace(after, valid_to=NOW + second)], replace(VERSION, submitted_at=NOW + second)) is None
    )
