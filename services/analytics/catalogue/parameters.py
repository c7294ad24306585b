"""The parameters of conditions: what is known of a point of a KPI, and the days that follow from it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import TypeAlias
from zoneinfo import ZoneInfo

from services.analytics.catalogue.conditions import Kind

OUTCOME_MONTHS = 12
"""Months on book after which a loan counts as good or bad: the variable `outcome_months` of the dbt project."""

Known: TypeAlias = Mapping[str, str | int | date | datetime]
"""Values of parameters by name, or of columns of a point. An instant is aware."""

_EVERYWHERE = {
    "as_of": Kind.DATE,
    "as_of_end": Kind.INSTANT,
    "currency": Kind.TEXT,
    "outcome_before": Kind.DATE,
    "year_start": Kind.DATE,
}

PARAMETERS: Mapping[str, Mapping[str, Kind]] = {
    "ap.kpi": {
        **_EVERYWHERE,
        "grain": Kind.TEXT,
        "period_start": Kind.DATE,
        "period_after": Kind.DATE,
    },
    "ap.roll_rate": {
        **_EVERYWHERE,
        "grain": Kind.TEXT,
        "opened_on": Kind.DATE,
        "from_bucket": Kind.TEXT,
        "to_bucket": Kind.TEXT,
    },
    "ap.vintage": {
        **_EVERYWHERE,
        "period_start": Kind.DATE,
        "period_after": Kind.DATE,
        "observed_until": Kind.DATE,
    },
}
"""The parameters that a KPI of a table has.

as_of: the day t.
as_of_end: the instant at which it ends in the business time zone.
year_start: the first day of the twelve months that end with it.
outcome_before: loans disbursed before this day have their outcome by then.
period_start, period_after: the first day of the month, or of the cohort's, and of the next one.
observed_until: the first day after the month on book.
grain, currency, opened_on, from_bucket, to_bucket: the columns of those names.
"""


def parameters_of(table: str, point: Known, business_time_zone: str) -> Known:
    """The parameters of one point: `point` has the key columns of a row of `table`, which holds the values.

    Raises:
        KeyError: a column of the key is missing, or there is no such table.
        zoneinfo.ZoneInfoNotFoundError: there is no such time zone.
    """
    as_of = _day(point, "as_of_date")
    # A day ends where the next one begins: clocks may change in between, and a day need not have 24 hours.
    midnight = datetime.combine(as_of + timedelta(days=1), time(), ZoneInfo(business_time_zone))
    found: dict[str, str | int | date | datetime] = {
        "as_of": as_of,
        "as_of_end": midnight.astimezone(UTC),
        "year_start": _add_months(as_of + timedelta(days=1), -12),
        # The month of the window's end is over on t when the next one begins on the day after, at the latest.
        "outcome_before": _add_months((as_of + timedelta(days=1)).replace(day=1), -OUTCOME_MONTHS),
    }
    if table == "ap.vintage":
        start = _day(point, "cohort_month")
        found |= _month(start)
        found["observed_until"] = _add_months(start, int(str(point["months_on_book"])) + 1)
    elif table == "ap.kpi":
        found |= _month(_day(point, "period_start"))
    return {name: found[name] if name in found else point[name] for name in PARAMETERS[table]}


def _month(start: date) -> dict[str, str | int | date | datetime]:
    return {"period_start": start, "period_after": _add_months(start.replace(day=1), 1)}


def _day(point: Known, column: str) -> date:
    value = point[column]
    if not isinstance(value, date) or isinstance(value, datetime):
        raise TypeError(f"{column} is {value!r}, which is no day")
    return value


def _add_months(day: date, months: int) -> date:
    """The same day of another month, or that month's last, as the warehouse counts."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    first_of_next = date(year + (month == 11), (month + 1) % 12 + 1, 1)
    return date(year, month + 1, min(day.day, (first_of_next - timedelta(days=1)).day))
