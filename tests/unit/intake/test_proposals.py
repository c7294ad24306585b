"""The allowed proposals, the people who may settle them, and a loan's classifications by day."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest

from services.intake.proposals.domain import (
    Band,
    Classification,
    ClassificationRefused,
    Classifications,
    Proposal,
    ProposalKind,
    ProposalState,
    Refusal,
    SettlementRefused,
    Standing,
    Wish,
    confirming_roles,
)
from services.intake.servicing.domain import EntryFaulty, Kind
from services.lake.samples.reference import SERVICING_BANDS
from services.lake.tables import CLASSIFICATIONS, PROPOSAL_KINDS

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
DAY = NOW.date()
PROPOSER, BOOKER, OTHER = (UUID(int=number) for number in (1, 2, 3))
PROPOSAL = Proposal(
    id=UUID(int=10),
    loan_id=UUID(int=11),
    booked_by=BOOKER,
    kind=ProposalKind.WRITE_OFF,
    amount=Decimal(100),
    currency="DEM",
    effective_on=DAY,
    reverses=None,
    classification=None,
    ends=None,
    reason="lost",
    state=ProposalState.WAITING,
    revision=1,
    proposed_by=PROPOSER,
    proposed_at=NOW,
)
BANDS = [Band(**{name: row[name] for name in Band.__dataclass_fields__}) for row in SERVICING_BANDS]
COMMITTEE = frozenset({"committee"})


def test_words_are_those_of_the_lake() -> None:
    assert {*ProposalKind} == set(PROPOSAL_KINDS)
    assert {*Classification} == set(CLASSIFICATIONS)
    assert {*ProposalKind} - {ProposalKind.CLASSIFICATION} == {*Kind} - {Kind.PAYMENT}


@pytest.mark.parametrize(
    ("kind", "person", "roles", "refusal"),
    [
        ("write-off", OTHER, {"committee"}, None),
        ("write-off", OTHER, {"servicing", "officer"}, Refusal.ROLE_OF_BAND),
        ("write-off", OTHER, set(), Refusal.ROLE_OF_BAND),
        ("write-off", PROPOSER, {"committee"}, Refusal.OWN_PROPOSAL),
        ("write-off", BOOKER, {"committee"}, Refusal.GRANTED_THE_LOAN),
        ("classification", BOOKER, {"committee"}, Refusal.GRANTED_THE_LOAN),
        ("recovery", BOOKER, {"committee"}, None),
        ("reversal", BOOKER, {"committee"}, None),
        ("recovery", PROPOSER, {"committee"}, Refusal.OWN_PROPOSAL),
    ],
)
def test_who_confirms(kind: str, person: UUID, roles: set[str], refusal: Refusal | None) -> None:
    proposal = replace(PROPOSAL, kind=ProposalKind(kind))
    if refusal is None:
        proposal.check_confirmer(person, roles, COMMITTEE)
        return
    with pytest.raises(SettlementRefused) as refused:
        proposal.check_confirmer(person, roles, COMMITTEE)
    assert refused.value.reason == refusal


def test_who_granted_a_loan_may_reject_and_only_the_proposer_withdraws() -> None:
    PROPOSAL.check_rejecter(BOOKER, COMMITTEE, COMMITTEE)
    PROPOSAL.check_withdrawer(PROPOSER)
    for check in (
        lambda: PROPOSAL.check_withdrawer(OTHER),
        lambda: PROPOSAL.check_rejecter(PROPOSER, COMMITTEE, COMMITTEE),
    ):
        with pytest.raises(SettlementRefused):
            check()


@pytest.mark.parametrize("kind", ProposalKind)
def test_every_amount_is_in_one_band_and_larger_ones_take_no_lesser_role(kind: ProposalKind) -> None:
    edges = sorted({(band.amount_from, band.amount_below) for band in BANDS if band.kind == kind})
    assert edges[0][0] == 0
    assert edges[-1][1] is None
    for below, above in pairwise(edges):
        assert below[1] == above[0]
    for edge in (start for start, _ in edges if start):
        just_below = confirming_roles(BANDS, kind, edge - Decimal("0.01"), "DEM")
        assert confirming_roles(BANDS, kind, edge, "DEM") < just_below
    assert confirming_roles(BANDS, kind, Decimal(1), "EUR") == frozenset()


def wish(kind: str, **parts: Any) -> Wish:
    named = {"amount": None, "currency": None, "reverses": None, "classification": None, "ends": False}
    return Wish(kind=ProposalKind(kind), reason="why", effective_on=None, **{**named, **parts})


@pytest.mark.parametrize(
    ("wanted", "pointers"),
    [
        (wish("write-off", amount=Decimal(1), currency="DEM"), []),
        (wish("write-off"), ["/amount", "/currency"]),
        (wish("recovery", amount=Decimal(1), currency="DEM", ends=True), ["/ends"]),
        (
            wish("reversal", amount=Decimal(1), currency="DEM", classification=Classification.DEFAULT),
            ["/classification"],
        ),
        (wish("classification"), ["/classification"]),
        (wish("classification", classification=Classification.DEFAULT, ends=True), []),
        (wish("classification", classification=Classification.WRITTEN_OFF), ["/classification"]),
        (
            wish("classification", classification=Classification.RESTRUCTURED, amount=Decimal(1)),
            ["/amount"],
        ),
    ],
)
def test_a_wish_says_what_belongs_to_its_kind(wanted: Wish, pointers: list[str]) -> None:
    assert [fault.pointer for fault in wanted.faults()] == pointers


def standing(start: date | None, end: date | None, what: Classification = Classification.DEFAULT) -> Standing:
    return Standing(
        id=UUID(int=20),
        loan_id=UUID(int=11),
        classification=what,
        effective_from=start,
        effective_to=end,
        reason=None,
        proposal_id=None,
        proposed_by=None,
        confirmed_by=None,
        ending_proposal_id=None,
        ending_confirmed_by=None,
        recorded_at=NOW,
        migrated=True,
    )


def days(number: int) -> date:
    return DAY - timedelta(days=number)


@pytest.mark.parametrize(
    ("rows", "ends", "on", "error"),
    [
        ([], False, days(0), None),
        ([], False, days(100), None),
        ([], False, days(101), EntryFaulty),
        ([], False, days(-1), EntryFaulty),
        ([], True, days(0), ClassificationRefused),
        ([(50, None)], False, days(0), ClassificationRefused),
        ([(50, None)], True, days(50), None),
        ([(50, None)], True, days(51), EntryFaulty),
        ([(50, 20)], False, days(20), None),
        ([(50, 20)], False, days(21), EntryFaulty),
        ([(50, 20)], True, days(0), ClassificationRefused),
        # A history says that it is so, and not since when.
        ([(None, None)], True, days(100), None),
        ([(None, None)], True, days(101), EntryFaulty),
    ],
)
def test_a_classification_begins_and_ends_in_the_order_of_days(
    rows: list[tuple[int | None, int | None]], ends: bool, on: date, error: type[Exception] | None
) -> None:
    known = Classifications([standing(*(None if one is None else days(one) for one in row)) for row in rows])

    def check() -> None:
        known.check(Classification.DEFAULT, ends=ends, on=on, value_date=days(100), today=DAY)

    if error is None:
        check()
    else:
        with pytest.raises(error):
            check()


def test_one_classification_does_not_exclude_another() -> None:
    known = Classifications([standing(days(10), None, Classification.RESTRUCTURED)])
    known.check(Classification.DEFAULT, ends=False, on=days(20), value_date=days(100), today=DAY)
    assert known.open(Classification.DEFAULT) is None
