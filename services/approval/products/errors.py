"""Problems of products' proposals."""

from datetime import date
from uuid import UUID

from services.chassis.web.problems import Conflict, Forbidden, NotFound, Unavailable, Unprocessable


class ProductProposalNotFound(NotFound):
    """There is no proposal with this id."""

    def __init__(self, proposal_id: UUID) -> None:
        """`proposal_id`: the one that was asked for."""
        super().__init__(f"No proposal has the id {proposal_id}.")


class ProductProposalRefused(Unprocessable):
    """A value of the proposal is not allowed."""

    def __init__(self, pointer: str, detail: str) -> None:
        """`pointer`: the faulty part of the body."""
        super().__init__(
            "Correct the parts named in errors.", errors=[{"pointer": pointer, "detail": detail}]
        )


class ProductProposalSettled(Conflict):
    """The proposal does not wait any more."""


class SecondPersonNeeded(Forbidden):
    """Another person settles this."""


class ProposedAlready(Conflict):
    """A proposal for this product and day waits already."""

    def __init__(self, proposal_id: UUID) -> None:
        """`proposal_id`: the one that waits."""
        super().__init__("Settle it first, or choose another day.", proposal_id=proposal_id)


class DayTaken(Conflict):
    """The product has other parameters from this day on already."""

    def __init__(self, product_code: str, valid_from: date) -> None:
        """`valid_from`: the day."""
        super().__init__(f"Product {product_code} has parameters from {valid_from} on; choose another day.")


class DayOver(Conflict):
    """The first day of the proposed parameters is not in the future any more."""


class ProductBusy(Unavailable):
    """Somebody else is changing this product at this moment."""

    def __init__(self) -> None:
        super().__init__("Nothing was changed; send the same request again in a second.")
