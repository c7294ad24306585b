"""Documents and the states of their scans. Plain Python."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Self
from uuid import UUID

from services.intake.retries import wait_after
from services.intake.stored.domain import Folder
from services.lake.domain.states import State

MOST_DOCUMENTS = 50
"""Documents of one application."""
UNSCANNED = "none"
"""The name of the scanner that does not look."""
FOLDER = Folder("documents")
"""Where the objects of documents are in their store."""

_OVER = frozenset({State.REJECTED, State.WITHDRAWN, State.EXPIRED, State.BOOKED})


class DocumentKind(StrEnum):
    """What a document proves."""

    IDENTITY = "identity"
    INCOME = "income"
    BANK_STATEMENT = "bank_statement"
    EMPLOYMENT = "employment"
    COLLATERAL = "collateral"
    CONTRACT = "contract"
    OTHER = "other"


class ScanState(StrEnum):
    """What is known of a document's content; only `clean` counts and can be downloaded."""

    WAITING = "waiting"
    CLEAN = "clean"
    INFECTED = "infected"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Scan:
    """The scan of a document: who looked, what was found, how often it was tried, when it is tried again."""

    state: ScanState
    scanner: str
    finding: str | None = None
    attempts: int = 0
    next_attempt_at: datetime | None = None
    scanned_at: datetime | None = None

    @classmethod
    def due(cls, scanner: str, now: datetime) -> Self:
        """The scan of a new document; nothing waits for a scanner that does not look."""
        if scanner == UNSCANNED:
            return cls(ScanState.CLEAN, scanner)
        return cls(ScanState.WAITING, scanner, next_attempt_at=now)

    def ended(self, scanner: str, finding: str | None, now: datetime) -> Self:
        """The scan after `scanner` has looked at all of the content, and found something or nothing."""
        state = ScanState.CLEAN if finding is None else ScanState.INFECTED
        return replace(
            self, state=state, scanner=scanner, finding=finding, next_attempt_at=None, scanned_at=now
        )

    def failed(self, scanner: str, now: datetime) -> Self:
        """The scan after an attempt that told nothing; it is tried again, later each time."""
        next_attempt_at = now + wait_after(self.attempts)
        return replace(self, state=ScanState.FAILED, scanner=scanner, next_attempt_at=next_attempt_at)


@dataclass(frozen=True, slots=True)
class Document:
    """A document of an application; `file_name` is what its uploader called it, None for who may not see it."""

    id: UUID
    application_id: UUID
    kind: str
    file_name: str | None
    media_type: str
    size_bytes: int
    sha256: bytes
    object_key: str
    uploaded_by: UUID
    uploaded_at: datetime
    scan: Scan


def takes_documents(state: State) -> bool:
    """Whether documents can be added to an application in this state."""
    return state not in _OVER
