"""Real credit applications to fill the lake with: the Statlog German Credit Data.

Source: Hans Hofmann, 1994, UCI Machine Learning Repository, doi:10.24432/C5NC77, licence CC BY 4.0.
The labels are those of the file. Groemping (2019), "South German Credit Data: Correcting a Widely Used Data
Set", documents coding errors in some categorical columns of it; amounts and durations are sound.
"""

import csv
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

PATH = Path(__file__).with_name("german_credit.csv")

SAMPLE_GOOD = 35
SAMPLE_BAD = 15


class BadRow(ValueError):
    """A row of the file does not hold what its column promises."""

    def __init__(self, file: str, line: int, column: str, expected: str) -> None:
        self.file = file
        self.line = line
        self.column = column
        super().__init__(f"{file}, line {line}, column {column}: expected {expected}")


@dataclass(frozen=True, slots=True)
class SampleApplication:
    """One application of the file: its terms, the applicant's profile, and whether it was repaid."""

    amount: Decimal
    """In Deutsche Mark."""
    term_months: int
    purpose: str
    profile: Mapping[str, Any]
    """The financial profile in the terms of the intake API."""
    age_years: int
    """Not a part of the profile: intake derives it from the birth date."""
    good: bool
    """True when the credit was repaid as agreed."""


# field of the profile, column of the file, and what each text of that column is in the API's terms
_CODES: tuple[tuple[str, str, Mapping[str, str]], ...] = (
    (
        "checking_account",
        "status_of_existing_checking_account",
        {
            "no checking account": "none",
            "... < 0 DM": "below_0",
            "0 <= ... < 200 DM": "0_to_200",
            "... >= 200 DM / salary assignments for at least 1 year": "200_or_more",
        },
    ),
    (
        "credit_history",
        "credit_history",
        {
            "critical account/ other credits existing (not at this bank)": "critical",
            "delay in paying off in the past": "delayed",
            "existing credits paid back duly till now": "paid_duly",
            "all credits at this bank paid back duly": "all_paid_here",
            "no credits taken/ all credits paid back duly": "none_taken",
        },
    ),
    (
        "savings",
        "savings_account_and_bonds",
        {
            "unknown/ no savings account": "unknown",
            "... < 100 DM": "below_100",
            "100 <= ... < 500 DM": "100_to_500",
            "500 <= ... < 1000 DM": "500_to_1000",
            "... >= 1000 DM": "1000_or_more",
        },
    ),
    (
        "employment_since",
        "present_employment_since",
        {
            "unemployed": "unemployed",
            "... < 1 year": "below_1",
            "1 <= ... < 4 years": "1_to_4",
            "4 <= ... < 7 years": "4_to_7",
            "... >= 7 years": "7_or_more",
        },
    ),
    (
        "other_debtors",
        "other_debtors_or_guarantors",
        {"none": "none", "guarantor": "guarantor", "co-applicant": "co_applicant"},
    ),
    (
        "property",
        "property",
        {
            "real estate": "real_estate",
            "building society savings agreement/ life insurance": "savings_agreement",
            "car or other, not in attribute Savings account/bonds": "car_or_other",
            "unknown / no property": "none",
        },
    ),
    (
        "other_installment_plans",
        "other_installment_plans",
        {"none": "none", "bank": "bank", "stores": "stores"},
    ),
    ("housing", "housing", {"own": "own", "rent": "rent", "for free": "free"}),
    (
        "job",
        "job",
        {
            "unemployed/ unskilled - non-resident": "unemployed_unskilled",
            "unskilled - resident": "unskilled",
            "skilled employee / official": "skilled",
            "management/ self-employed/ highly qualified employee/ officer": "management",
        },
    ),
)

# field of the profile, column of the file, lowest and highest value
_NUMBERS: tuple[tuple[str, str, int, int], ...] = (
    ("installment_rate_percent_class", "installment_rate_in_percentage_of_disposable_income", 1, 4),
    ("residence_since", "present_residence_since", 1, 4),
    ("existing_credits", "number_of_existing_credits_at_this_bank", 1, 99),
    ("dependants", "number_of_people_being_liable_to_provide_maintenance_for", 0, 20),
)

_FLAGS: tuple[tuple[str, str, Mapping[str, bool]], ...] = (
    ("telephone", "telephone", {"none": False, "yes, registered under the customers name": True}),
    ("foreign_worker", "foreign_worker", {"no": False, "yes": True}),
)


@dataclass(frozen=True, slots=True)
class _Row:
    file: str
    line: int
    values: Mapping[str, str | None]

    def bad(self, column: str, expected: str) -> BadRow:
        return BadRow(self.file, self.line, column, expected)

    def text(self, column: str) -> str:
        value = (self.values.get(column) or "").strip()
        if not value:
            raise self.bad(column, "a value, found none")
        return value

    def one_of(self, column: str, meanings: Mapping[str, Any]) -> Any:
        value = self.text(column)
        try:
            return meanings[value]
        except KeyError:
            raise self.bad(column, f"one of {sorted(meanings)}, found {value!r}") from None

    def number(self, column: str, low: int, high: int) -> int:
        value = self.text(column)
        if not (value.isascii() and value.isdigit() and low <= int(value) <= high):
            raise self.bad(column, f"a whole number from {low} to {high}, found {value!r}")
        return int(value)

    def amount(self, column: str) -> Decimal:
        value = self.text(column)
        try:
            amount = Decimal(value)
        except InvalidOperation:
            raise self.bad(column, f"an amount, found {value!r}") from None
        if not (amount.is_finite() and amount > 0):
            raise self.bad(column, f"an amount above 0, found {value!r}")
        return amount

    def application(self) -> SampleApplication:
        profile: dict[str, Any] = {}
        for field, column, meanings in _CODES:
            profile[field] = self.one_of(column, meanings)
        for field, column, low, high in _NUMBERS:
            profile[field] = self.number(column, low, high)
        for field, column, flags in _FLAGS:
            profile[field] = self.one_of(column, flags)
        return SampleApplication(
            amount=self.amount("credit_amount"),
            term_months=self.number("duration_in_month", 1, 600),
            purpose=self.text("purpose"),
            profile=profile,
            age_years=self.number("age_in_years", 18, 120),
            good=bool(self.one_of("creditability", {"good": True, "bad": False})),
        )


def read(path: Path = PATH) -> Iterator[SampleApplication]:
    """Yield the applications of the file at `path`, in its order.

    Raises:
        BadRow: naming file, line, column and what was expected there.
        OSError: when the file cannot be read.
    """
    with path.open(encoding="utf-8", newline="") as lines:
        yield from parse(lines, file=path.name)


def parse(lines: Iterable[str], *, file: str = "german_credit.csv") -> Iterator[SampleApplication]:
    """Yield the applications of CSV `lines`, the header first; `file` is the name used in errors.

    Raises:
        BadRow: naming file, line, column and what was expected there.
    """
    reader = csv.DictReader(lines)
    for values in reader:
        yield _Row(file, reader.line_num, values).application()


def sample_split(
    seed: int = 0, *, path: Path = PATH
) -> tuple[tuple[SampleApplication, ...], tuple[SampleApplication, ...]]:
    """Split the file into 50 samples (35 good, 15 bad) and the rest, both in the file's order.

    The same seed gives the same split.

    Raises:
        BadRow: as `read` does.
    """
    applications = tuple(read(path))
    # Python keeps this generator's sequence stable across versions; nothing here is secret.
    chance = random.Random(seed)  # noqa: S311
    drawn: set[int] = set()
    for good, size in ((True, SAMPLE_GOOD), (False, SAMPLE_BAD)):
        drawn.update(chance.sample([i for i, a in enumerate(applications) if a.good is good], size))
    return (
        tuple(a for i, a in enumerate(applications) if i in drawn),
        tuple(a for i, a in enumerate(applications) if i not in drawn),
    )
