"""Who may change a party."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest

from services.chassis.web.identity import Caller
from services.intake.domain import Party, PartyDetails, PartyKind
from services.intake.errors import PartyNeedsOfficer, PartyNotYours
from services.intake.parties.rights import PartyUse, check_change
from services.lake.domain.states import State

ME, OTHER = uuid.UUID(int=1), uuid.UUID(int=2)
LIVE = [
    state for state in State if state not in {State.REJECTED, State.WITHDRAWN, State.EXPIRED, State.BOOKED}
]


def party(created_by: uuid.UUID) -> Party:
    details = PartyDetails(PartyKind.PERSON, "name")
    return Party(uuid.UUID(int=9), details, created_by, datetime.now(UTC), 1)


def caller(*scopes: str) -> Caller:
    return Caller(ME, "me", frozenset(), frozenset(scopes))


MAKER, OFFICER = caller("parties:write"), caller("parties:correct")


@pytest.mark.parametrize("state", LIVE)
def test_makers_change_what_they_put_on_record_or_applied_for(state: State) -> None:
    check_change(party(ME), [], by=MAKER)
    check_change(party(ME), [PartyUse(OTHER, state)], by=MAKER)
    check_change(party(OTHER), [PartyUse(ME, state)], by=MAKER)


def test_nobody_else_does() -> None:
    for uses in ([], [PartyUse(OTHER, State.SUBMITTED)]):
        with pytest.raises(PartyNotYours):
            check_change(party(OTHER), uses, by=MAKER)


def test_a_booked_loan_needs_an_officer() -> None:
    for created_by, uses in ((ME, [PartyUse(OTHER, State.BOOKED)]), (OTHER, [PartyUse(ME, State.BOOKED)])):
        with pytest.raises(PartyNeedsOfficer):
            check_change(party(created_by), uses, by=MAKER)
        check_change(party(created_by), uses, by=OFFICER)


@pytest.mark.parametrize("state", State)
def test_naming_a_foreign_party_gives_no_right_to_what_others_rest_on_it(state: State) -> None:
    uses = [PartyUse(ME, State.SUBMITTED), PartyUse(OTHER, state)]
    if state in LIVE or state is State.BOOKED:
        with pytest.raises(PartyNeedsOfficer):
            check_change(party(OTHER), uses, by=MAKER)
    else:
        check_change(party(OTHER), uses, by=MAKER)
