from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.auth.domain import FREE_ATTEMPTS, LONGEST_LOCK, Failures, is_username

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("failed", "seconds"), [(0, 0), (4, 0), (5, 60), (6, 120), (7, 240), (8, 480), (9, 900), (10_000, 900)]
)
def test_repeated_failures_lock_for_longer_and_longer(failed: int, seconds: int) -> None:
    assert Failures(failed, NOW).locked_for(NOW) == timedelta(seconds=seconds)


def test_a_lock_runs_out() -> None:
    locked = Failures(FREE_ATTEMPTS, NOW)

    assert locked.locked_for(NOW + timedelta(seconds=59)) == timedelta(seconds=1)
    assert locked.locked_for(NOW + timedelta(seconds=60)) == timedelta(0)


def test_failures_are_forgotten_after_an_hour() -> None:
    failures = Failures(4, NOW)

    assert failures.after_another(NOW + timedelta(minutes=60)).count == 5
    assert failures.after_another(NOW + timedelta(minutes=61)).count == 1


@given(st.lists(st.integers(min_value=0, max_value=7200), max_size=40))
def test_no_series_of_failures_locks_for_longer_than_the_longest_lock(gaps: list[int]) -> None:
    failures, now = Failures(), NOW
    for gap in gaps:
        now += timedelta(seconds=gap)
        failures = failures.after_another(now)
        assert timedelta(0) <= failures.locked_for(now) <= LONGEST_LOCK


@pytest.mark.parametrize(
    "name", ["", "a", "-ann", "ann maker", "ann\n", "ann\x00", "a" * 65, "änne", "ann'--"]
)
def test_what_cannot_be_a_user_name(name: str) -> None:
    assert not is_username(name)
