from dataclasses import replace
from typing import get_args, get_type_hints

import pytest
from pydantic import TypeAdapter

from services.intake.domain import Profile
from services.intake.scorecard import BASE, POINTS, score
from services.lake.samples.german_credit import read

PROFILE = TypeAdapter(Profile)
PROTECTED = {"age_years", "foreign_worker"}


def profiles() -> list[tuple[Profile, int, bool]]:
    return [(PROFILE.validate_python(dict(one.profile)), one.term_months, one.good) for one in read()]


def test_it_tells_repaid_credits_from_failed_ones() -> None:
    good, bad = [], []
    for profile, term, repaid in profiles():
        (good if repaid else bad).append(score(profile, term).points)
    wins = sum((a > b) + 0.5 * (a == b) for a in good for b in bad)
    auc = wins / (len(good) * len(bad))
    # The docstring promises 0.78.
    assert auc == pytest.approx(0.78, abs=0.005)


def test_reasons_add_up_and_the_largest_deduction_comes_first() -> None:
    for profile, term, _ in profiles():
        result = score(profile, term)
        points = [reason.points for reason in result.reasons]
        assert result.points == BASE + sum(points)
        assert points == sorted(points)
        assert {reason.attribute for reason in result.reasons} == {*POINTS, "term_months"}


@pytest.mark.parametrize("change", [{"foreign_worker": False}])
def test_protected_characteristics_change_nothing(change: dict[str, object]) -> None:
    profile, term, _ = profiles()[0]
    assert score(replace(profile, **change), term) == score(profile, term)  # type: ignore[arg-type]
    assert not PROTECTED & set(POINTS)


def test_every_value_that_a_profile_can_have_has_points() -> None:
    hints = get_type_hints(Profile)
    for attribute, points in POINTS.items():
        values = get_args(hints[attribute]) or ("1", "2", "3", "4")
        assert set(points) == set(values), attribute


def test_the_range_is_the_documented_one() -> None:
    lowest = BASE + sum(min(points.values()) for points in POINTS.values())
    highest = BASE + sum(max(points.values()) for points in POINTS.values())
    profile, _, _ = profiles()[0]
    best = replace(profile, **{name: _value(name, max) for name in POINTS})
    worst = replace(profile, **{name: _value(name, min) for name in POINTS})
    assert (score(worst, 60).points, score(best, 6).points) == (lowest - 30, highest + 15) == (325, 655)


def _value(attribute: str, pick: object) -> object:
    points = POINTS[attribute]
    value = pick(points, key=points.__getitem__)  # type: ignore[operator]
    return int(value) if value.isdigit() else value
