"""Problems of records of Kafka, and of reading what was rejected."""

from collections.abc import Sequence
from uuid import UUID

from services.chassis.web.problems import NotFound, Unavailable, Unprocessable
from services.intake.domain import Fault


class RecordRejected(Unprocessable):
    """The record was not written."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        """`faults`: at least one; no detail repeats what the record says."""
        super().__init__(
            "Correct the parts named in errors, and send it again.",
            errors=[{"pointer": fault.pointer, "detail": fault.detail} for fault in faults],
        )


class NoSuchRejectedRecord(NotFound):
    """There is no such rejected record."""

    def __init__(self, record_id: UUID) -> None:
        """`record_id`: the one that was asked for."""
        super().__init__(f"No rejected record has the id {record_id}; they are kept for 30 days.")


class PayloadUnreadable(Unavailable):
    """The payload cannot be decrypted with the keys of this installation."""
