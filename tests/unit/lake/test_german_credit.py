from collections import Counter
from decimal import Decimal

import pytest

from services.lake.samples.german_credit import PATH, BadRow, parse, read, sample_split

LINES = PATH.read_text(encoding="utf-8").splitlines()
HEADER = LINES[0].split(",")


def with_value(column: str, value: str) -> list[str]:
    """The header and the second row, which has no quoted cells, with one cell replaced."""
    cells = LINES[2].split(",")
    cells[HEADER.index(column)] = value
    return [LINES[0], ",".join(cells)]


def test_the_whole_file_is_read() -> None:
    applications = list(read())
    assert Counter(one.good for one in applications) == {True: 700, False: 300}
    first = applications[0]
    assert (first.amount, first.term_months, first.purpose) == (Decimal(1169), 6, "radio/television")
    assert first.profile["checking_account"] == "below_0"
    assert first.profile["telephone"] is True
    assert first.age_years == 67


def test_every_row_has_the_same_attributes_and_none_of_sex_or_marital_status() -> None:
    attributes = {frozenset(one.profile) for one in read()}
    assert len(attributes) == 1
    assert not {name for name in next(iter(attributes)) if "sex" in name or "status" in name}


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("credit_amount", "a lot"),
        ("credit_amount", "-5"),
        ("credit_amount", "NaN"),
        ("duration_in_month", "6.5"),
        ("duration_in_month", ""),
        ("age_in_years", "17"),
        ("housing", "castle"),
        ("creditability", "maybe"),
        ("foreign_worker", "perhaps"),
    ],
)
def test_a_bad_cell_is_named(column: str, value: str) -> None:
    with pytest.raises(BadRow) as caught:
        list(parse(with_value(column, value), file="some.csv"))
    assert str(caught.value).startswith(f"some.csv, line 2, column {column}: expected ")


def test_a_row_that_is_cut_short_is_named() -> None:
    with pytest.raises(BadRow, match=r"line 2, column .*: expected a value, found none"):
        list(parse([LINES[0], ",".join(LINES[2].split(",")[:8])]))


def test_the_split_keeps_the_classes_and_loses_nobody() -> None:
    samples, rest = sample_split(7)
    assert Counter(one.good for one in samples) == {True: 35, False: 15}
    assert len(rest) == 950
    # Rows are compared by identity of content; the file has no two equal ones.
    assert Counter(map(repr, (*samples, *rest))) == Counter(map(repr, read()))


def test_a_seed_gives_the_same_split_and_another_seed_another() -> None:
    assert sample_split(7) == sample_split(7)
    assert sample_split(7)[0] != sample_split(8)[0]
