"""Builds, points and pages as analytics knows them. Plain Python."""

from collections.abc import Mapping
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
class Asked:
    """What points of a KPI are asked for; None: whatever it is."""

    currency: str | None = None
    dimension: str | None = None
    member: str | None = None
    grain: str | None = None
    as_of: date | None = None
    period_from: date | None = None
    period_to: date | None = None


MOST_POINTS = 5_000
"""Most points in one answer."""

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
