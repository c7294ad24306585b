from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from pydantic import TypeAdapter

from services.intake.domain import (
    Application,
    Channel,
    Content,
    Participant,
    PartyDetails,
    PartyKind,
    PartyRole,
    Product,
    Profile,
    Score,
    details_faults,
    limit_faults,
    party_faults,
)
from services.lake.samples.german_credit import read
from services.lake.states import State, TransitionNotAllowed

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
MAKER, BORROWER, OTHER = UUID(int=1), UUID(int=2), UUID(int=3)
SAMPLE = next(read())
CONTENT = Content(
    product_code="CONSUMER",
    amount=Decimal("1169.0000"),
    currency="DEM",
    term_months=6,
    purpose="radio/television",
    channel=Channel.BRANCH,
    parties=(Participant(BORROWER, PartyRole.BORROWER),),
    profile=TypeAdapter(Profile).validate_python(dict(SAMPLE.profile)),
)
PRODUCT = Product("CONSUMER", "Consumer loan", "DEM", Decimal(100), Decimal(25_000), 3, 84, Decimal("0.089"))
SCORE = Score(500, ())


def drafted() -> Application:
    return Application.drafted(UUID(int=9), CONTENT, by=MAKER, at=NOW)


def test_limits_are_inclusive() -> None:
    for amount, term in ((Decimal(100), 3), (Decimal(25_000), 84)):
        assert list(limit_faults(replace(CONTENT, amount=amount, term_months=term), PRODUCT)) == []


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"amount": Decimal("99.9999")}, "/amount"),
        ({"amount": Decimal("25000.0001")}, "/amount"),
        ({"term_months": 2}, "/term_months"),
        ({"term_months": 85}, "/term_months"),
        ({"currency": "EUR"}, "/currency"),
    ],
)
def test_what_is_outside_of_a_limit_is_pointed_at(change: dict[str, object], pointer: str) -> None:
    faults = list(limit_faults(replace(CONTENT, **change), PRODUCT))  # type: ignore[arg-type]
    assert [fault.pointer for fault in faults] == [pointer]


@pytest.mark.parametrize(
    ("roles", "pointers"),
    [
        ([(BORROWER, "borrower"), (OTHER, "guarantor")], []),
        ([(BORROWER, "guarantor")], ["/parties"]),
        ([(BORROWER, "borrower"), (OTHER, "borrower")], ["/parties"]),
        ([(BORROWER, "borrower"), (BORROWER, "guarantor")], ["/parties/1/party_id"]),
    ],
)
def test_exactly_one_borrower_and_nobody_twice(roles: list[tuple[UUID, str]], pointers: list[str]) -> None:
    participants = [Participant(party_id, PartyRole(role)) for party_id, role in roles]
    assert [fault.pointer for fault in party_faults(participants)] == pointers


def test_organisations_are_not_born() -> None:
    person = PartyDetails(PartyKind.PERSON, "An", birth_date=NOW.date())
    assert not list(details_faults(person))
    assert [f.pointer for f in details_faults(replace(person, kind=PartyKind.ORGANISATION))] == [
        "/birth_date"
    ]


def test_a_resubmission_is_a_new_version_and_keeps_the_first_submission_time() -> None:
    first = drafted().submitted(SCORE, NOW)
    assert (first.state, first.current_version, first.has_draft) == (State.SUBMITTED, 1, False)
    returned = replace(first, state=State.RETURNED, revision=5)
    edited = returned.edited(replace(CONTENT, amount=Decimal(900)))
    assert (edited.revision, edited.has_draft, edited.state) == (6, True, State.RETURNED)
    again = edited.submitted(SCORE, NOW.replace(day=1, month=2))
    assert (again.current_version, again.revision, again.submitted_at) == (2, 7, NOW)
    assert again.content.amount == Decimal(900)


@pytest.mark.parametrize("state", sorted(set(State) - {State.DRAFT, State.RETURNED}))
def test_only_drafts_and_returned_applications_are_edited_or_submitted(state: State) -> None:
    application = replace(drafted(), state=state)
    with pytest.raises(TransitionNotAllowed):
        application.edited(CONTENT)
    with pytest.raises(TransitionNotAllowed):
        application.submitted(SCORE, NOW)


@pytest.mark.parametrize("state", [State.REJECTED, State.BOOKED, State.WITHDRAWN, State.EXPIRED])
def test_what_is_over_is_not_withdrawn(state: State) -> None:
    with pytest.raises(TransitionNotAllowed, match="allowed: nothing more"):
        replace(drafted(), state=state).withdrawn()
