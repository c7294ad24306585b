from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID, uuid4

import pytest

from services.approval import domain
from services.approval.domain import Band, Case, Decision, Outcome, Version, band_for, bands_of, differences
from services.lake.domain.states import State, TransitionNotAllowed

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
MAKER, ANNA, BEN = UUID(int=1), UUID(int=2), UUID(int=3)
BAND = Band("medium", "DEM", Decimal(4000), Decimal(10_000), ("officer", "senior_officer"))
VERSION = Version(
    version=1,
    product_code="CONSUMER",
    amount=Decimal("5000.0000"),
    currency="DEM",
    term_months=24,
    purpose="repairs",
    channel="branch",
    maker=MAKER,
    profile={"savings": "below_100", "telephone": True},
    score=520,
    score_reasons=(),
    submitted_at=NOW,
)


def approved(stage: str, by: UUID) -> Decision:
    return Decision(uuid4(), UUID(int=9), 1, stage, Outcome.APPROVE, MAKER, by, None, None, NOW)


def case(state: State = State.SUBMITTED, *decisions: Decision, band: Band | None = BAND) -> Case:
    return Case(UUID(int=9), state, 1, NOW, None, VERSION, band, decisions)


def roles(*names: str) -> frozenset[str]:
    return frozenset(names)


def test_the_first_of_two_stages_puts_it_in_review() -> None:
    ruling = case().decide(Outcome.APPROVE, by=ANNA, roles=roles("officer"), stage=None)
    assert (ruling.stage, ruling.states) == ("officer", (State.IN_REVIEW,))


def test_the_last_stage_approves() -> None:
    waiting = case(State.IN_REVIEW, approved("officer", ANNA))
    ruling = waiting.decide(Outcome.APPROVE, by=BEN, roles=roles("senior_officer"), stage="senior_officer")
    assert (ruling.stage, ruling.states) == ("senior_officer", (State.APPROVED,))


def test_the_only_stage_passes_through_review() -> None:
    small = replace(BAND, stages=("officer",))
    ruling = case(band=small).decide(Outcome.APPROVE, by=ANNA, roles=roles("officer"), stage=None)
    assert ruling.states == (State.IN_REVIEW, State.APPROVED)


@pytest.mark.parametrize(
    ("outcome", "state"), [(Outcome.REJECT, State.REJECTED), (Outcome.RETURN, State.RETURNED)]
)
def test_any_stage_rejects_or_returns(outcome: Outcome, state: State) -> None:
    ruling = case().decide(outcome, by=ANNA, roles=roles("officer"), stage=None)
    assert ruling.states == (State.IN_REVIEW, state)


@pytest.mark.parametrize("outcome", Outcome)
def test_the_maker_never_decides_whatever_their_roles(outcome: Outcome) -> None:
    everything = roles("officer", "senior_officer", "committee", "administrator")
    with pytest.raises(domain.MakerCannotDecide):
        case().decide(outcome, by=MAKER, roles=everything, stage=None)


def test_every_stage_needs_a_different_person() -> None:
    waiting = case(State.IN_REVIEW, approved("officer", ANNA))
    with pytest.raises(domain.DecidedAlready):
        waiting.decide(Outcome.APPROVE, by=ANNA, roles=roles("officer", "senior_officer"), stage=None)


def test_stages_come_in_their_order() -> None:
    with pytest.raises(domain.StageNotDue, match="officer is due"):
        case().decide(Outcome.APPROVE, by=ANNA, roles=roles("senior_officer"), stage="senior_officer")
    with pytest.raises(domain.StageNotYours):
        case().decide(Outcome.APPROVE, by=ANNA, roles=roles("senior_officer"), stage=None)


def test_an_amount_outside_of_every_band_is_not_decided() -> None:
    with pytest.raises(domain.NoBandApplies):
        case(band=None).decide(Outcome.APPROVE, by=ANNA, roles=roles("officer"), stage=None)


@pytest.mark.parametrize("state", sorted(set(State) - {State.SUBMITTED, State.IN_REVIEW}))
def test_nothing_else_is_up_for_decision(state: State) -> None:
    with pytest.raises(TransitionNotAllowed):
        case(state).decide(Outcome.APPROVE, by=ANNA, roles=roles("officer"), stage=None)
    assert case(state).due_stage is None


def test_bands_are_put_together_and_bounds_belong_to_the_upper_one() -> None:
    rows = [
        ("small", "officer", "DEM", Decimal(0), Decimal(4000)),
        ("medium", "officer", "DEM", Decimal(4000), None),
        ("medium", "senior_officer", "DEM", Decimal(4000), None),
    ]
    bands = bands_of(rows)
    assert [(band.name, band.stages) for band in bands] == [
        ("small", ("officer",)),
        ("medium", ("officer", "senior_officer")),
    ]
    for amount, name in (("3999.9999", "small"), ("4000", "medium"), ("999999", "medium")):
        found = band_for(bands, replace(VERSION, amount=Decimal(amount)))
        assert found is not None
        assert found.name == name
    assert band_for(bands, replace(VERSION, currency="EUR")) is None


def test_differences_are_in_words_for_people() -> None:
    new = replace(
        VERSION, amount=Decimal(4500), profile={"savings": "unknown", "telephone": False}, score=540
    )
    assert [one.text for one in differences(VERSION, new)] == [
        "amount: 5,000.00 DEM → 4,500.00 DEM",
        "savings: below 100 → unknown",
        "telephone: yes → no",
        "score: 520 → 540",
    ]
    assert differences(VERSION, VERSION) == []


def test_an_attribute_that_a_version_lacks_is_a_difference() -> None:
    new = replace(VERSION, profile={"savings": "below_100"})
    assert [one.text for one in differences(VERSION, new)] == ["telephone: yes → (not given)"]
