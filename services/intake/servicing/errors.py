"""Problems of recording transactions under loans."""

from uuid import UUID

from services.chassis.web.problems import Conflict, NotFound, Unavailable
from services.intake.servicing.domain import TransactionRefused


class NoSuchLoan(NotFound):
    """There is no such loan."""

    def __init__(self, loan_id: UUID) -> None:
        """`loan_id`: the one that was asked for."""
        super().__init__(f"No loan has the id {loan_id}.")


class TransactionNotAllowed(Conflict):
    """The loan does not allow this transaction."""

    def __init__(self, refused: TransactionRefused) -> None:
        """`refused`: says why; its reason goes into the body as a code."""
        super().__init__(str(refused), reason=refused.reason)


class LoanBusy(Unavailable):
    """Other transactions of this loan are being recorded."""

    def __init__(self) -> None:
        super().__init__("Nothing was recorded; send the same request again in a second.")
