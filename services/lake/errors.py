"""Problems that all services over the lake's applications share."""

from uuid import UUID

from services.chassis.web.problems import Conflict, NotFound, PreconditionFailed, Unavailable
from services.lake.domain.states import TransitionNotAllowed


class NoSuchApplication(NotFound):
    """There is no such application."""

    def __init__(self, application_id: UUID) -> None:
        """`application_id`: the one that was asked for."""
        super().__init__(f"No application has the id {application_id}.")


class StaleRevision(PreconditionFailed):
    """The record has changed since it was read."""

    def __init__(self, expected: int) -> None:
        """`expected`: the revision that the caller's change was based on."""
        super().__init__(f"Revision {expected} is no longer current; read the record and decide again.")


class ActionNotAllowed(Conflict):
    """The application's state does not allow this."""

    def __init__(self, reason: TransitionNotAllowed) -> None:
        """`reason`: text that names the state and the actions that it allows."""
        super().__init__(f"{reason}.", state=reason.state, allowed=reason.allowed)


class PartiesBusy(Unavailable):
    """A party is being changed, or decided on, by somebody else."""

    def __init__(self) -> None:
        super().__init__("Nothing was changed; send the same request again in a second.")
