"""Problems that only intake answers."""

from collections.abc import Iterable
from uuid import UUID

from services.chassis.web.problems import BadRequest, Conflict, Forbidden, NotFound, Unprocessable
from services.intake.domain import Fault
from services.lake.domain.states import State


class NoSuchParty(NotFound):
    """There is no such party."""

    def __init__(self, party_id: UUID) -> None:
        """`party_id`: the one that was asked for."""
        super().__init__(f"No party has the id {party_id}.")


class NothingSought(Unprocessable):
    """Parties are found by their national id, e-mail or phone number."""

    def __init__(self) -> None:
        super().__init__(
            "Give at least one of them.",
            errors=[
                {"pointer": f"/query/{name}", "detail": "give this or another"}
                for name in ("national_id", "email", "phone")
            ],
        )


class ContentRefused(Unprocessable):
    """A value of the request is not allowed."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        """`faults`: at least one, pointers relative to the request's body."""
        super().__init__(
            "Correct the parts named in errors.",
            errors=[{"pointer": f"/body{fault.pointer}", "detail": fault.detail} for fault in faults],
        )


class NotTheMaker(Forbidden):
    """Only the maker of an application may change, submit or withdraw it."""


class NoDraft(Conflict):
    """Only an application that was never submitted is deleted."""

    def __init__(self, state: State) -> None:
        """`state`: the one that it is in."""
        super().__init__(
            f"The application is {state}; withdraw it instead, where its state allows that.", state=state
        )


class DuplicateNationalId(Conflict):
    """A party with this national id is on record."""

    def __init__(self, own: Iterable[UUID]) -> None:
        """`own`: those parties that the caller created; the answer names no others."""
        super().__init__(
            "Use that party. If it is another person, an officer confirms it with a reason "
            "(POST /national-id-confirmations); then send this again.",
            own_parties=[str(party_id) for party_id in own],
        )


class NothingToConfirm(Conflict):
    """There is no duplicate to confirm."""


class PartyNotYours(Forbidden):
    """Only its own maker and officers change a party."""


class PartyNeedsOfficer(Forbidden):
    """Only an officer changes a party on which others rely."""


class IdempotencyKeyMissing(BadRequest):
    """A request that creates something must carry an Idempotency-Key."""


class IdempotencyKeyInvalid(BadRequest):
    """The Idempotency-Key is not usable."""


class RequestInFlight(Conflict):
    """A request with this Idempotency-Key is being worked on."""

    def __init__(self) -> None:
        super().__init__("Send the same request again in a second to get its answer.")
        self.headers["Retry-After"] = "1"


class IdempotencyKeyReused(Unprocessable):
    """This Idempotency-Key was used for another request."""

    def __init__(self) -> None:
        super().__init__(
            "Use a new key for a new request.",
            errors=[{"pointer": "/header/Idempotency-Key", "detail": "already used with another body"}],
        )


class AnswerDeleted(Conflict):
    """What the request with this Idempotency-Key made was deleted."""

    def __init__(self) -> None:
        super().__init__("Use a new key to make another.")


class ImportedWithoutProfile(Conflict):
    """The application was imported without its profile."""

    def __init__(self, application_id: UUID) -> None:
        """`application_id`: the one that was asked for."""
        super().__init__(
            f"Application {application_id} has no profile to submit again; search shows what is known."
        )
