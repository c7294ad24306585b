"""Builds, points and pages as analytics knows them. Plain Python."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime


@dataclass(frozen=True, slots=True)
class Build:
    """A published build: which data are in it, and how many of its tests passed."""

    build_id: int
    finished_at: datetime
    published_at: datetime
    as_of_date: date | None
    through_position: str | None
    through_time: datetime | None
    tests_passed: int
    tests_warned: int


@dataclass(frozen=True, slots=True)
class Run:
    """A build of `ap` as dbt noted it, whether or not it was published."""

    started_at: datetime
    finished_at: datetime | None
    """None: under way, or killed."""
    models_left: int
    tests_left: int
    failures: Sequence[str]
    """The models and tests that failed."""
    build_id: int | None
    """Its number; None: not published."""

    @property
    def state(self) -> str:
        """`published`, `under_way`, `failed`, `partial` (models or tests were left out) or `passed`: not yet copied."""
        if self.build_id is not None:
            return "published"
        if self.finished_at is None:
            return "under_way"
        if self.failures:
            return "failed"
        return "partial" if self.models_left or self.tests_left else "passed"


@dataclass(frozen=True, slots=True)
class Asked:
    """What points of a KPI are asked for; None: whatever it is."""

    currency: str | None = None
    dimension: str | None = None
    member: str | None = None
    grain: str | None = None
    as_of: date | None = None
    period_from: date | None = None
    period_to: date | None = None
    from_bucket: str | None = None
    to_bucket: str | None = None
    cohort_month: date | None = None
    months_on_book: int | None = None


FILTERS: Mapping[str, str] = {
    "currency": "currency",
    "dimension": "dimension",
    "member": "member",
    "grain": "grain",
    "as_of": "as_of_date",
    "from_bucket": "from_bucket",
    "to_bucket": "to_bucket",
    "cohort_month": "cohort_month",
    "months_on_book": "months_on_book",
}
"""The column that each member of Asked must be equal to."""

MOST_POINTS = 5_000
"""Most points in one answer."""

PAGE_MONTHS = 36
"""Months before its day that a page shows: three years of month ends, and the cohorts of three years."""

PAGES: Mapping[str, tuple[str, ...]] = {
    "portfolio": (
        "exposure",
        "par_30",
        "par_90",
        "npl_ratio",
        "expected_loss",
        "expected_loss_rate",
        "booked_volume",
        "approval_rate",
    ),
    "origination": (
        "booked_volume",
        "average_ticket",
        "pull_through",
        "approval_rate",
        "time_to_decision_p50",
        "time_to_decision_p95",
    ),
    "delinquency": ("dpd_bucket_share", "par_0", "par_30", "par_60", "par_90", "roll_rate", "npl_ratio"),
    "vintage": ("vintage", "write_off_rate_gross", "write_off_rate_net"),
    "decisioning": (
        "approval_rate",
        "pull_through",
        "backlog_age_p50",
        "backlog_age_average",
        "gini",
        "ks",
        "psi",
    ),
    "concentration": ("hhi", "ten_largest_share", "exposure"),
}
"""Which KPIs a page shows, in its order."""


def first_day_shown(as_of: date) -> date:
    """The first day of the earliest month that a page of this day shows."""
    year, month = divmod(as_of.year * 12 + as_of.month - 1 - PAGE_MONTHS, 12)
    return date(year, month + 1, 1)
