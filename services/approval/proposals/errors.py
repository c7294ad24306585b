"""Problems of proposals."""

from uuid import UUID

from services.chassis.web.problems import Conflict, Forbidden, NotFound, Unavailable, Unprocessable


class ProposalNotFound(NotFound):
    """There is no proposal with this id."""

    def __init__(self, proposal_id: UUID) -> None:
        """`proposal_id`: the one that was asked for."""
        super().__init__(f"No proposal has the id {proposal_id}.")


class ProposalRefused(Unprocessable):
    """A value of the proposal is not allowed."""

    def __init__(self, pointer: str, detail: str) -> None:
        """`pointer`: the faulty part of the body."""
        super().__init__(
            "Correct the parts named in errors.", errors=[{"pointer": pointer, "detail": detail}]
        )


class ProposalSettled(Conflict):
    """The proposal does not wait any more."""


class SecondPersonNeeded(Forbidden):
    """Another person settles this."""


class ProposedAlready(Conflict):
    """Such a proposal waits already."""

    def __init__(self, proposal_id: UUID) -> None:
        """`proposal_id`: the one that waits."""
        super().__init__("Settle it first.", proposal_id=proposal_id)


class DayTaken(Conflict):
    """Something else counts from this day on already."""


class DayOver(Conflict):
    """The first day of the proposed change is not in the future any more."""


class ProposalBusy(Unavailable):
    """Somebody else is proposing or settling the same at this moment."""

    def __init__(self) -> None:
        super().__init__("Nothing was changed; send the same request again in a second.")
