"""Which builds are kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.analytics.publication import DAYS_KEPT, NEWEST_KEPT, superfluous

NOW = datetime(2026, 6, 30, 12, tzinfo=UTC)


def every(step: timedelta, count: int) -> list[tuple[int, datetime]]:
    """`count` builds up to NOW, one each `step`."""
    return [(number, NOW - step * (count - number)) for number in range(1, count + 1)]


def test_the_newest_builds_stay() -> None:
    assert superfluous(every(timedelta(minutes=1), NEWEST_KEPT), NOW) == set()
    assert superfluous(every(timedelta(minutes=1), NEWEST_KEPT + 5), NOW) == {1, 2, 3, 4, 5}


def test_the_last_build_of_each_day_stays_for_ninety_days() -> None:
    builds = every(timedelta(hours=6), 4 * 120)
    kept = {build_id for build_id, _ in builds} - superfluous(builds, NOW)
    days = {when.date() for build_id, when in builds if build_id in kept}
    # From noon to noon: the ninety-first calendar day is half within.
    assert len(days) == DAYS_KEPT + 1
    assert len(kept) < NEWEST_KEPT + DAYS_KEPT + 1
    last_of_a_day = {when.date(): build_id for build_id, when in builds}
    assert {last_of_a_day[day] for day in days} <= kept


@given(st.lists(st.integers(0, 200 * 24), max_size=300))
def test_what_is_kept_stays_kept_when_nothing_new_comes(hours: list[int]) -> None:
    builds = [(number, NOW - timedelta(hours=ago)) for number, ago in enumerate(sorted(hours, reverse=True))]
    gone = superfluous(builds, NOW)
    left = [one for one in builds if one[0] not in gone]
    assert superfluous(left, NOW) == set()
    assert len(left) >= min(len(builds), NEWEST_KEPT)
