"""Inputs and results of approval's use cases."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from services.approval.domain import (
    Case,
    ChangedParty,
    Decision,
    Event,
    Outcome,
    ReasonCode,
    Version,
)
from services.approval.errors import ValueDateRefused
from services.lake.domain.dates import today
from services.lake.domain.schedule import Instalment

Clock = Callable[[], datetime]
"""Gives the present instant."""


def utc_now() -> datetime:
    """The present instant."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A requested decision; `stage`, if given, must be the stage that is due."""

    outcome: Outcome
    stage: str | None
    reason_code: ReasonCode | None
    comment: str | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """One of several requested decisions, on an application as it was at `revision`."""

    application_id: UUID
    revision: int
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Record:
    """Everything that an officer needs for a decision."""

    row: Mapping[str, Any]
    versions: Sequence[Version]
    parties: Sequence[Mapping[str, Any]]
    changed_parties: Sequence[ChangedParty]
    decisions: Sequence[Decision]
    bureau: Sequence[Mapping[str, Any]]
    events: Sequence[Event]
    case: Case | None


@dataclass(frozen=True, slots=True)
class Booking:
    """A booked loan with its schedule; `revision` is the application's."""

    loan_id: UUID
    application_id: UUID
    revision: int
    principal: Decimal
    currency: str
    interest_rate: Decimal
    value_date: date
    booked_at: datetime
    instalments: Sequence[Instalment]


@dataclass(frozen=True, slots=True)
class BookingPolicy:
    """From which days loans may count: those of the last `days_back` days and today, by the calendar of `zone`."""

    zone: ZoneInfo
    days_back: int

    def day_of(self, instant: datetime) -> date:
        """The business day of an instant."""
        return instant.astimezone(self.zone).date()

    def value_date(self, wanted: date | None) -> date:
        """The day `wanted`, by default today; raises ValueDateRefused."""
        latest = today(self.zone)
        earliest = latest - timedelta(days=self.days_back)
        if wanted is not None and not earliest <= wanted <= latest:
            raise ValueDateRefused(wanted, earliest, latest)
        return wanted or latest
