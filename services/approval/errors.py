"""Problems that only approval answers."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from services.approval import domain
from services.approval.claims import domain as claims
from services.approval.domain import ChangedParty, Hold
from services.chassis.web.problems import Conflict, Forbidden, Problem, Unprocessable
from services.lake.domain.states import TransitionNotAllowed
from services.lake.errors import ActionNotAllowed


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


class AmountNotBookable(Conflict):
    """The approved amount cannot be lent."""


class NoRateOnDecisionDay(Conflict):
    """The product has no interest rate for the day of the approval."""

    def __init__(self, product_code: str, day: date) -> None:
        """`day`: when the application was approved, as a business day."""
        super().__init__(
            f"Product {product_code} has no parameters on {day}, the day of the approval: somebody has to record them "
            "in credit.product_parameters."
        )


class StageDecidedMeanwhile(Conflict):
    """This stage of the version has been decided already."""


class PartiesChanged(Conflict):
    """A party is not as it was when this version was submitted."""

    def __init__(self, version: int, changed: Sequence[ChangedParty], *, values: bool) -> None:
        """`version`: the current one; `values`: whether the caller may read what the fields were and are."""
        names = ", ".join(dict.fromkeys(name for one in changed for name in one.fields))
        super().__init__(
            f"Version {version} was submitted with other values of {names}. Return the application to its maker, who "
            "submits it again; then it is decided on as it is.",
            reason="parties_changed",
            parties=[_changed(one, values=values) for one in changed],
        )


def _changed(one: ChangedParty, *, values: bool) -> dict[str, Any]:
    said: dict[str, Any] = {"party_id": one.party_id, "role": one.role, "fields": list(one.fields)}
    if values and one.known:
        said["differences"] = [
            {"field": name, "before": before, "after": now} for name, (before, now) in one.fields.items()
        ]
    return said


class ClaimedByAnother(Conflict):
    """Another person works on this application."""

    def __init__(self, hold: Hold) -> None:
        """`hold`: who, and until when."""
        super().__init__(
            "Wait until the claim ends, or have a senior officer take it over.",
            claimed_by=hold.by,
            claimed_until=hold.until,
        )


class TakeOverNotYours(Forbidden):
    """Senior officers take claims over."""


_PROBLEMS: dict[type[domain.DecisionRefused], type[Problem]] = {
    domain.MakerCannotDecide: MakerCannotDecide,
    domain.StageNotYours: StageNotYours,
    domain.DecidedAlready: DecidedAlready,
    domain.StageNotDue: StageNotDue,
    domain.NoBandApplies: NoBandApplies,
    claims.TakeOverNotYours: TakeOverNotYours,
}


def problem(reason: domain.DecisionRefused | TransitionNotAllowed) -> Problem:
    """Convert a refusal to the problem that a client receives."""
    if isinstance(reason, TransitionNotAllowed):
        return ActionNotAllowed(reason)
    if isinstance(reason, domain.ClaimedByAnother):
        return ClaimedByAnother(reason.hold)
    return _PROBLEMS[type(reason)](str(reason))
