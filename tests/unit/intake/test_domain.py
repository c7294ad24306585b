from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from pydantic import TypeAdapter

from services.intake.domain import (
    AmountBand,
    Application,
    Channel,
    Content,
    NotADraft,
    Participant,
    PartyDetails,
    PartyKind,
    PartyRole,
    Product,
    Profile,
    Score,
    age_of,
    band_faults,
    borrower_faults,
    details_faults,
    limit_faults,
    party_faults,
)
from services.lake.domain.states import State, TransitionNotAllowed
from services.lake.samples.german_credit import read

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
        ({"amount": Decimal("99.99")}, "/amount"),
        ({"amount": Decimal("25000.01")}, "/amount"),
        ({"amount": Decimal("100.001")}, "/amount"),
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
    first = drafted().submitted(SCORE, 40, NOW)
    assert (first.state, first.current_version, first.has_draft) == (State.SUBMITTED, 1, False)
    returned = replace(first, state=State.RETURNED, revision=5)
    edited = returned.edited(replace(CONTENT, amount=Decimal(900)))
    assert (edited.revision, edited.has_draft, edited.state) == (6, True, State.RETURNED)
    again = edited.submitted(SCORE, 40, NOW.replace(day=1, month=2))
    assert (again.current_version, again.revision, again.submitted_at) == (2, 7, NOW)
    assert again.content.amount == Decimal(900)


@pytest.mark.parametrize("state", sorted(set(State) - {State.DRAFT, State.RETURNED}))
def test_only_drafts_and_returned_applications_are_edited_or_submitted(state: State) -> None:
    application = replace(drafted(), state=state)
    with pytest.raises(TransitionNotAllowed):
        application.edited(CONTENT)
    with pytest.raises(TransitionNotAllowed):
        application.submitted(SCORE, 40, NOW)


@pytest.mark.parametrize("state", [State.REJECTED, State.BOOKED, State.WITHDRAWN, State.EXPIRED])
def test_what_is_over_is_not_withdrawn(state: State) -> None:
    with pytest.raises(TransitionNotAllowed, match="allowed: nothing more"):
        replace(drafted(), state=state).withdrawn()


@pytest.mark.parametrize(
    ("birth_date", "age"),
    [
        (date(2008, 1, 31), 18),
        (date(2008, 2, 1), None),
        (date(1905, 2, 1), 120),
        (date(1905, 1, 31), None),
        (date(2021, 5, 5), None),
        (None, None),
    ],
)
def test_who_borrows_is_of_age_by_the_birth_date_on_record(birth_date: date | None, age: int | None) -> None:
    borrower = PartyDetails(PartyKind.PERSON, "An", birth_date=birth_date)
    faults = [fault.pointer for fault in borrower_faults(CONTENT, borrower, NOW.date())]
    assert faults == ([] if age is not None else ["/parties/0/party_id"])
    if age is not None:
        assert age_of(borrower, NOW.date()) == age


def test_an_organisation_has_no_age() -> None:
    firm = PartyDetails(PartyKind.ORGANISATION, "An and Sons")
    assert list(borrower_faults(CONTENT, firm, NOW.date())) == []
    assert age_of(firm, NOW.date()) is None


BANDS = [AmountBand(Decimal(100), Decimal(1000)), AmountBand(Decimal(1000), Decimal(5000))]


@pytest.mark.parametrize(
    ("amount", "bands", "pointer"),
    [
        ("100", BANDS, None),
        ("999.99", BANDS, None),
        ("1000", BANDS, None),
        ("4999.99", BANDS, None),
        ("99.99", BANDS, "/amount"),
        ("5000", BANDS, "/amount"),
        ("5000", [*BANDS, AmountBand(Decimal(5000), None)], None),
        ("1000", [BANDS[0], AmountBand(Decimal(2000), None)], "/amount"),
        ("1000", [], "/currency"),
    ],
)
def test_an_amount_that_no_band_covers_is_refused(
    amount: str, bands: list[AmountBand], pointer: str | None
) -> None:
    faults = list(band_faults(replace(CONTENT, amount=Decimal(amount)), bands))
    assert [fault.pointer for fault in faults] == ([] if pointer is None else [pointer])
    assert all("DEM" in fault.detail for fault in faults)


@pytest.mark.parametrize("state", [state for state in State if state is not State.DRAFT])
def test_only_what_was_never_submitted_is_deleted(state: State) -> None:
    deleted = drafted().deleted()
    assert (deleted.state, deleted.has_draft, deleted.revision) == (State.WITHDRAWN, False, 2)
    with pytest.raises(NotADraft, match=state):
        replace(drafted(), state=state).deleted()
