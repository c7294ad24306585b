"""The rules of claims: who gets one, renews it, takes it over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from services.approval.claims.domain import Claim, Claimant, TakeOverNotYours, claimed
from services.approval.domain import (
    Case,
    ClaimedByAnother,
    DecidedAlready,
    Hold,
    MakerCannotDecide,
    Outcome,
    StageNotYours,
)
from services.lake.domain.states import State, TransitionNotAllowed
from tests.unit.approval.test_domain import ANNA, BEN, MAKER, NOW, approved, case, roles

LENGTH = timedelta(minutes=30)
HELD = Claim(UUID(int=9), 1, ANNA, NOW - timedelta(minutes=20), NOW + timedelta(minutes=10))
OFFICER = roles("officer")


def by(person: UUID, *names: str, reason: str | None = None) -> Claimant:
    return Claimant(person, roles(*names), reason)


def test_what_nobody_has_is_claimed_for_the_whole_time() -> None:
    made = claimed(case(), None, by(ANNA, "officer"), NOW, LENGTH)
    assert made == Claim(UUID(int=9), 1, ANNA, NOW, NOW + LENGTH)


def test_who_has_it_renews_it_and_stays_since_when_they_had_it() -> None:
    made = claimed(case(), HELD, by(ANNA, "officer"), NOW, LENGTH)
    assert made == replace(HELD, expires_at=NOW + LENGTH)


@pytest.mark.parametrize(
    "old",
    [
        pytest.param(lambda: replace(HELD, expires_at=NOW), id="its time is over"),
        pytest.param(lambda: replace(HELD, revision=0), id="the application has changed since"),
    ],
)
def test_case_22_a_claim_that_does_not_count_holds_nobody_up(old: Callable[[], Claim]) -> None:
    made = claimed(case(), old(), by(BEN, "officer"), NOW, LENGTH)
    assert (made.claimed_by, made.claimed_at, made.taken_from, made.revision) == (BEN, NOW, None, 1)


def test_another_person_learns_who_and_until_when() -> None:
    for waiting, names in ((case(), OFFICER), (case(), roles("senior_officer"))):
        with pytest.raises(ClaimedByAnother) as refused:
            claimed(waiting, HELD, Claimant(BEN, names), NOW, LENGTH)
        assert refused.value.hold == Hold(ANNA, HELD.expires_at)


@pytest.mark.parametrize("role", ["senior_officer", "committee"])
def test_case_22_a_senior_officer_takes_it_over_with_a_reason(role: str) -> None:
    made = claimed(case(), HELD, by(BEN, role, reason="she is ill"), NOW, LENGTH)
    assert made == Claim(UUID(int=9), 1, BEN, NOW, NOW + LENGTH, ANNA, "she is ill")


def test_an_officer_does_not_take_over() -> None:
    with pytest.raises(TakeOverNotYours):
        claimed(case(), HELD, by(BEN, "officer", reason="I am faster"), NOW, LENGTH)


@pytest.mark.parametrize("reason", [None, "I want to"])
@pytest.mark.parametrize("held", [None, HELD])
def test_the_maker_never_claims(held: Claim | None, reason: str | None) -> None:
    with pytest.raises(MakerCannotDecide):
        claimed(case(), held, by(MAKER, "officer", "committee", reason=reason), NOW, LENGTH)


@pytest.mark.parametrize(
    ("waiting", "names", "refusal"),
    [
        (case(), ("senior_officer",), StageNotYours),
        (case(State.IN_REVIEW, approved("officer", ANNA)), ("officer", "senior_officer"), DecidedAlready),
        (case(State.APPROVED), ("officer",), TransitionNotAllowed),
        (case(State.WITHDRAWN), ("officer",), TransitionNotAllowed),
    ],
)
def test_who_may_not_decide_does_not_claim(
    waiting: Case, names: tuple[str, ...], refusal: type[Exception]
) -> None:
    with pytest.raises(refusal):
        claimed(waiting, None, by(ANNA, *names), NOW, LENGTH)


def test_only_who_has_the_claim_decides() -> None:
    held = replace(case(), hold=HELD.hold)
    assert held.decide(Outcome.APPROVE, by=ANNA, roles=OFFICER, stage=None).stage == "officer"
    with pytest.raises(ClaimedByAnother):
        held.decide(Outcome.APPROVE, by=BEN, roles=OFFICER, stage=None)
