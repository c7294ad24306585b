"""The days that follow from a point."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from services.analytics.catalogue.parameters import PARAMETERS, Known, parameters_of


def of_kpi(as_of: date, period_start: date | None = None, zone: str = "UTC") -> Known:
    point = {"as_of_date": as_of, "grain": "as_of", "period_start": period_start or as_of, "currency": "DEM"}
    return parameters_of("ap.kpi", point, zone)


@pytest.mark.parametrize("table", PARAMETERS)
def test_a_point_gives_every_parameter_of_its_table(table: str) -> None:
    point: Known = {
        "as_of_date": date(2026, 3, 31),
        "grain": "as_of",
        "period_start": date(2026, 3, 1),
        "currency": "DEM",
        "opened_on": date(2026, 2, 28),
        "from_bucket": "0",
        "to_bucket": "1-30",
        "cohort_month": date(2025, 12, 1),
        "months_on_book": 2,
    }
    assert set(parameters_of(table, point, "UTC")) == set(PARAMETERS[table])


@pytest.mark.parametrize(
    ("as_of", "start"),
    [
        (date(2026, 8, 31), date(2025, 9, 1)),
        (date(2024, 2, 29), date(2023, 3, 1)),
        (date(2024, 2, 28), date(2023, 2, 28)),
        # Up to 28 February 2025 they begin on 1 March 2024, not on 29 February.
        (date(2025, 2, 28), date(2024, 3, 1)),
    ],
)
def test_the_twelve_months_begin_on_the_day_after_a_year_before(as_of: date, start: date) -> None:
    assert of_kpi(as_of)["year_start"] == start


@pytest.mark.parametrize(
    ("as_of", "before"),
    [
        (date(2026, 6, 30), date(2025, 7, 1)),
        (date(2026, 6, 29), date(2025, 6, 1)),
        (date(2026, 12, 31), date(2026, 1, 1)),
    ],
)
def test_an_outcome_is_known_when_month_12_is_over(as_of: date, before: date) -> None:
    assert of_kpi(as_of)["outcome_before"] == before


def test_a_month_ends_before_the_next_one() -> None:
    assert of_kpi(date(2026, 12, 31), date(2026, 12, 1))["period_after"] == date(2027, 1, 1)
    # A balance's period begins on its day.
    assert of_kpi(date(2026, 8, 31))["period_after"] == date(2026, 9, 1)


@pytest.mark.parametrize(
    ("zone", "end"),
    [
        ("UTC", datetime(2026, 3, 29, 0, tzinfo=UTC)),
        ("Asia/Ho_Chi_Minh", datetime(2026, 3, 28, 17, tzinfo=UTC)),
        ("Europe/Berlin", datetime(2026, 3, 28, 23, tzinfo=UTC)),
        ("America/New_York", datetime(2026, 3, 29, 4, tzinfo=UTC)),
    ],
)
def test_a_day_ends_at_midnight_of_the_business_time_zone(zone: str, end: datetime) -> None:
    assert of_kpi(date(2026, 3, 28), zone=zone)["as_of_end"] == end


def test_the_end_of_a_day_whose_next_one_begins_an_hour_late() -> None:
    # In Beirut the clocks went from midnight to one o'clock on 31 March 2024.
    assert of_kpi(date(2024, 3, 30), zone="Asia/Beirut")["as_of_end"] == datetime(2024, 3, 30, 22, tzinfo=UTC)


def test_a_month_on_book_is_observed_until_it_is_over() -> None:
    point: Known = {
        "as_of_date": date(2026, 8, 31),
        "cohort_month": date(2025, 11, 1),
        "months_on_book": 2,
        "currency": "DEM",
    }
    found = parameters_of("ap.vintage", point, "UTC")
    assert (found["period_start"], found["period_after"]) == (date(2025, 11, 1), date(2025, 12, 1))
    assert found["observed_until"] == date(2026, 2, 1)


def test_a_point_without_a_column_of_its_key_is_refused() -> None:
    with pytest.raises(KeyError, match="from_bucket"):
        parameters_of(
            "ap.roll_rate",
            {
                "as_of_date": date(2026, 8, 31),
                "grain": "as_of",
                "currency": "DEM",
                "opened_on": date(2026, 7, 31),
            },
            "UTC",
        )
    with pytest.raises(TypeError, match="which is no day"):
        of_kpi(datetime(2026, 8, 31, tzinfo=UTC))
