"""The life cycle of a credit application: its states, its actions, and the table of allowed transitions."""

from enum import StrEnum


class State(StrEnum):
    """The state of an application."""

    DRAFT = "DRAFT"
    SUBMITTED = "SUBMITTED"
    IN_REVIEW = "IN_REVIEW"
    RETURNED = "RETURNED"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    BOOKED = "BOOKED"
    WITHDRAWN = "WITHDRAWN"
    EXPIRED = "EXPIRED"


class Action(StrEnum):
    """An action on an application."""

    SUBMIT = "submit"
    REVIEW = "review"
    RETURN = "return"
    APPROVE = "approve"
    REJECT = "reject"
    BOOK = "book"
    WITHDRAW = "withdraw"
    EXPIRE = "expire"


TRANSITIONS: dict[State, dict[Action, State]] = {
    State.DRAFT: {
        Action.SUBMIT: State.SUBMITTED,
        Action.WITHDRAW: State.WITHDRAWN,
        Action.EXPIRE: State.EXPIRED,
    },
    State.SUBMITTED: {
        Action.REVIEW: State.IN_REVIEW,
        Action.WITHDRAW: State.WITHDRAWN,
        Action.EXPIRE: State.EXPIRED,
    },
    State.IN_REVIEW: {
        Action.RETURN: State.RETURNED,
        Action.APPROVE: State.APPROVED,
        Action.REJECT: State.REJECTED,
        Action.WITHDRAW: State.WITHDRAWN,
        Action.EXPIRE: State.EXPIRED,
    },
    State.RETURNED: {
        Action.SUBMIT: State.SUBMITTED,
        Action.WITHDRAW: State.WITHDRAWN,
        Action.EXPIRE: State.EXPIRED,
    },
    State.APPROVED: {
        Action.BOOK: State.BOOKED,
        # The approval is no longer valid: the maker submits a new version, which goes through all stages again.
        Action.RETURN: State.RETURNED,
        Action.WITHDRAW: State.WITHDRAWN,
        Action.EXPIRE: State.EXPIRED,
    },
    State.REJECTED: {},
    State.BOOKED: {},
    State.WITHDRAWN: {},
    State.EXPIRED: {},
}


class TransitionNotAllowed(Exception):
    """The application's state does not allow this action."""

    def __init__(self, state: State, action: Action) -> None:
        self.state = state
        self.action = action
        self.allowed = sorted(TRANSITIONS[state])
        allowed = ", ".join(self.allowed) or "nothing more"
        super().__init__(f"{action} is not allowed in {state}; allowed: {allowed}")


def after(state: State, action: Action) -> State:
    """The state that `action` leads to from `state`.

    Raises:
        TransitionNotAllowed: naming the actions that are allowed.
    """
    try:
        return TRANSITIONS[state][action]
    except KeyError:
        raise TransitionNotAllowed(state, action) from None
