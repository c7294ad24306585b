"""The rights to change an existing party."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from services.chassis.web.identity import Caller
from services.intake.domain import Party
from services.intake.errors import PartyNeedsOfficer, PartyNotYours
from services.lake.domain.states import State

CORRECT_PARTIES = "parties:correct"
"""The scope of those who correct any party: officers."""

_OVER = frozenset({State.REJECTED, State.WITHDRAWN, State.EXPIRED})


@dataclass(frozen=True, slots=True)
class PartyUse:
    """An application that the party takes part in, as submitted last: its maker and its state."""

    made_by: UUID
    state: State


def check_change(party: Party, uses: Sequence[PartyUse], *, by: Caller) -> None:
    """Check that `by` may change `party`.

    Args:
        party: the current party.
        uses: every application that it takes part in.
        by: the user who wants to change it.

    Raises:
        PartyNotYours: they neither put it on record nor made an application that it takes part in, and are no officer.
        PartyNeedsOfficer: a loan of it is booked, or it takes part in somebody else's application and was put on record
            by another.
    """
    if CORRECT_PARTIES in by.scopes:
        return
    own = [use for use in uses if use.made_by == by.id]
    if party.created_by != by.id and not own:
        raise PartyNotYours("Ask who put it on record or made its application, or an officer.")
    if any(use.state is State.BOOKED for use in uses):
        raise PartyNeedsOfficer("It takes part in a booked loan; ask an officer.")
    # Otherwise a user could add another maker's party to an own application, change it and block that maker.
    live = (use for use in uses if use.state not in _OVER)
    if party.created_by != by.id and any(use.made_by != by.id for use in live):
        raise PartyNeedsOfficer("It takes part in somebody else's application too; ask an officer.")
