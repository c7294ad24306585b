"""Problems that only approval answers."""

from datetime import date
from uuid import UUID

from services.approval import domain
from services.chassis.problems import Conflict, Forbidden, NotFound, Problem, Unprocessable


class MakerCannotDecide(Forbidden):
    """The maker of a version never decides on it."""


class StageNotYours(Forbidden):
    """The stage is not one of your roles."""


class DecidedAlready(Forbidden):
    """Every stage needs a different person."""


class StageNotDue(Conflict):
    """Another stage is due."""


class NoBandApplies(Conflict):
    """No approval band covers this amount."""


class ValueDateRefused(Unprocessable):
    """A loan cannot be booked for this value date."""

    def __init__(self, value_date: date, earliest: date, latest: date) -> None:
        """`earliest`, `latest`: the first and the last day that are allowed."""
        detail = f"{value_date} is not from {earliest} to {latest}"
        super().__init__(
            "Correct the parts named in errors.", errors=[{"pointer": "/body/value_date", "detail": detail}]
        )


class NoSuchLoan(NotFound):
    """There is no such loan."""

    def __init__(self, loan_id: UUID) -> None:
        """`loan_id`: the one that was asked for."""
        super().__init__(f"No loan has the id {loan_id}.")


class BookerCannotClassify(Forbidden):
    """Who booked a loan does not classify it."""


class AmountNotBookable(Conflict):
    """The approved amount cannot be lent."""


class StageDecidedMeanwhile(Conflict):
    """This stage of the version has been decided already."""


_PROBLEMS: dict[type[domain.DecisionRefused], type[Problem]] = {
    domain.MakerCannotDecide: MakerCannotDecide,
    domain.StageNotYours: StageNotYours,
    domain.DecidedAlready: DecidedAlready,
    domain.StageNotDue: StageNotDue,
    domain.NoBandApplies: NoBandApplies,
}


def refusal(reason: domain.DecisionRefused) -> Problem:
    """The problem that tells a client why a decision was refused."""
    return _PROBLEMS[type(reason)](str(reason))
