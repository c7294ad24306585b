"""Problems of proposals."""

from uuid import UUID

from services.chassis.web.problems import Conflict, Forbidden, NotFound, PreconditionFailed
from services.intake.proposals.domain import ProposalState, SettlementRefused
from services.intake.servicing.domain import EntryFaulty


class ProposalNotFound(NotFound):
    """There is no proposal with this id."""

    def __init__(self, proposal_id: UUID) -> None:
        """`proposal_id`: the one that was asked for."""
        super().__init__(f"No proposal has the id {proposal_id}.")


class ProposalSettled(Conflict):
    """The proposal does not wait any more."""

    def __init__(self, state: ProposalState) -> None:
        """`state`: what became of it."""
        super().__init__(f"It is {state}.", state=state)


class ProposalChanged(PreconditionFailed):
    """The proposal has changed since it was read."""


class SecondPersonNeeded(Forbidden):
    """Another person settles this."""

    def __init__(self, refused: SettlementRefused) -> None:
        """`refused`: says who may; its reason goes into the body as a code."""
        super().__init__(str(refused), reason=refused.reason)


class NobodyConfirms(Conflict):
    """No band says who confirms this amount."""


class ProposalOutdated(Conflict):
    """The loan does not take what was proposed any more."""

    def __init__(self, faulty: EntryFaulty) -> None:
        """`faulty`: says why."""
        super().__init__("; ".join(f"{fault.pointer[1:]} {fault.detail}" for fault in faulty.faults) + ".")


class ClassificationNotAllowed(Conflict):
    """The loan does not allow this classification."""


class NotYoursToPropose(Forbidden):
    """Only servicing proposes what moves money."""
