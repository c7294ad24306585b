"""Imports: what is known of a file, and how far its rows are written. Plain Python."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple, Self
from uuid import UUID

from services.intake.domain import Fault
from services.intake.retries import wait_after
from services.intake.stored.domain import Folder

FOLDER = Folder("imports")
"""Where the objects of imports are in their store."""
MOST_WAITING = 10
"""Imports of one sender that have not ended."""
MOST_FAULTS = 50
"""Faults of one row that are told."""
MOST_ROWS = 1_000_000
"""Rows of one file: each leaves a row of its own in the lake."""
ROWS_OF_A_TRANSACTION = 100
LOCK_WAIT_SECONDS = 5
"""How long a transaction waits for another one of the same sender."""


class ImportKind(StrEnum):
    """What the rows of a file become."""

    APPLICATIONS = "applications"
    PAYMENTS = "payments"


SCOPES: Mapping[ImportKind, frozenset[str]] = {
    # A row of applications puts a party on record, too.
    ImportKind.APPLICATIONS: frozenset({"applications:submit", "parties:write"}),
    ImportKind.PAYMENTS: frozenset({"loans:service"}),
}
"""The scopes that a sender of rows needs, all of them."""


class FileFormat(StrEnum):
    """How a file is written."""

    NDJSON = "ndjson"
    CSV = "csv"


class ImportState(StrEnum):
    """How far an import is; `failed` means that its file cannot be read any more."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Written(NamedTuple):
    """What became of the rows of one transaction."""

    line: int
    """The last line of them."""
    made: int
    repeated: int
    rejected: int


class RowFault(NamedTuple):
    """What is wrong with the row that begins in a line."""

    line: int
    pointer: str
    detail: str


class WrittenRow(NamedTuple):
    """A row that was written, by which it is known when it is sent again."""

    sender: UUID
    kind: ImportKind
    reference: str
    sha256: bytes
    """Of what the row says."""
    record_id: UUID
    """Of what was made of it."""
    recorded_at: datetime
    import_id: UUID | None
    line: int | None


class MadeRow(NamedTuple):
    """What the row that begins in a line has become."""

    line: int
    id: UUID


@dataclass(frozen=True, slots=True)
class Import:
    """A file that somebody has sent.

    `roles` and `scopes` are those of its sender when it came. `line` is the last line whose row is written. The other
    counts are of rows; `row_count` is how many the file has.
    """

    id: UUID
    kind: ImportKind
    format: FileFormat
    gzipped: bool
    state: ImportState
    object_key: str
    size_bytes: int
    """Unpacked."""
    sha256: bytes
    """Of the file, unpacked."""
    row_count: int
    line: int
    made: int
    repeated: int
    rejected: int
    created_by: UUID
    roles: frozenset[str]
    scopes: frozenset[str]
    traceparent: str | None
    created_at: datetime
    started_at: datetime | None
    written_at: datetime | None
    ended_at: datetime | None
    attempts: int
    """Those since the last row was written."""
    next_attempt_at: datetime | None

    @property
    def rows_per_second(self) -> float | None:
        """The rows that were done for each second since the first attempt; None before."""
        if self.started_at is None or self.written_at is None or self.written_at <= self.started_at:
            return None
        done = self.made + self.repeated + self.rejected
        return done / (self.written_at - self.started_at).total_seconds()

    def claimed(self, now: datetime, lease: timedelta) -> Self:
        """The import under way: until the end of the lease nobody else works on it."""
        return replace(
            self,
            state=ImportState.RUNNING,
            started_at=self.started_at or now,
            attempts=self.attempts + 1,
            next_attempt_at=now + lease,
        )

    def advanced(self, written: Written, now: datetime, lease: timedelta) -> Self:
        """The import after one more transaction, and for as long as its lease again."""
        return replace(
            self,
            line=written.line,
            made=self.made + written.made,
            repeated=self.repeated + written.repeated,
            rejected=self.rejected + written.rejected,
            written_at=now,
            attempts=0,
            next_attempt_at=now + lease,
        )

    def postponed(self, now: datetime) -> Self:
        """The import after an attempt that something else has stopped; it goes on later."""
        # One that stopped after it had written rows has none.
        return replace(self, next_attempt_at=now + wait_after(max(self.attempts, 1)))

    def queued(self, now: datetime) -> Self:
        """The import behind the others that wait."""
        return replace(self, next_attempt_at=now)

    def ended(self, state: ImportState, now: datetime) -> Self:
        """The import at its end."""
        return replace(self, state=state, ended_at=now, next_attempt_at=None)


class RowRefused(Exception):
    """A row cannot be written as it is."""

    def __init__(self, *faults: Fault) -> None:
        """`faults`: at least one; pointers are relative to the row, and no detail repeats what the row says."""
        super().__init__("; ".join(fault.detail for fault in faults))
        self.faults = faults
