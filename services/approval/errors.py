"""Problems that only approval answers."""

from services.approval import domain
from services.chassis.problems import Conflict, Forbidden, Problem


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
