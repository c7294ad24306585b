"""The one table of transitions: what leads where, and what is refused with what is allowed."""

from __future__ import annotations

import itertools

import pytest

from services.lake.domain.states import TRANSITIONS, Action, State, TransitionNotAllowed, after

FINAL = {State.BOOKED, State.REJECTED, State.WITHDRAWN, State.EXPIRED}


@pytest.mark.parametrize(
    ("state", "action", "next_state"),
    [
        (State.DRAFT, Action.SUBMIT, State.SUBMITTED),
        (State.SUBMITTED, Action.REVIEW, State.IN_REVIEW),
        (State.IN_REVIEW, Action.RETURN, State.RETURNED),
        (State.RETURNED, Action.SUBMIT, State.SUBMITTED),
        (State.IN_REVIEW, Action.APPROVE, State.APPROVED),
        (State.IN_REVIEW, Action.REJECT, State.REJECTED),
        (State.APPROVED, Action.BOOK, State.BOOKED),
        (State.APPROVED, Action.RETURN, State.RETURNED),
    ],
)
def test_an_application_goes_its_way(state: State, action: Action, next_state: State) -> None:
    assert after(state, action) is next_state


@pytest.mark.parametrize("state", sorted(set(State) - FINAL))
def test_whatever_is_open_can_be_withdrawn_and_expires(state: State) -> None:
    assert after(state, Action.WITHDRAW) is State.WITHDRAWN
    assert after(state, Action.EXPIRE) is State.EXPIRED


@pytest.mark.parametrize(("state", "action"), list(itertools.product(sorted(FINAL), Action)))
def test_nothing_follows_a_final_state(state: State, action: Action) -> None:
    with pytest.raises(
        TransitionNotAllowed, match=f"{action} is not allowed in {state}; allowed: nothing more"
    ):
        after(state, action)


def test_a_refusal_names_what_is_allowed_in_order() -> None:
    with pytest.raises(TransitionNotAllowed) as refused:
        after(State.APPROVED, Action.APPROVE)
    assert (refused.value.state, refused.value.action) == (State.APPROVED, Action.APPROVE)
    assert refused.value.allowed == ["book", "expire", "return", "withdraw"]
    assert str(refused.value) == "approve is not allowed in APPROVED; allowed: book, expire, return, withdraw"


def test_only_a_review_decides_and_an_approval_can_only_be_taken_back() -> None:
    for state, actions in TRANSITIONS.items():
        decides = {Action.APPROVE, Action.REJECT, Action.RETURN} & actions.keys()
        assert (
            not decides or state is State.IN_REVIEW or (state, decides) == (State.APPROVED, {Action.RETURN})
        )


def test_every_state_but_the_first_can_be_reached() -> None:
    assert {state for actions in TRANSITIONS.values() for state in actions.values()} == set(State) - {
        State.DRAFT
    }
    assert TRANSITIONS.keys() == set(State)
