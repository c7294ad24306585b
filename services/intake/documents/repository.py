"""All SQL of documents and their scans."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from services.chassis.web.identity import Caller
from services.intake.documents.domain import UNSCANNED, Document, Scan, ScanState
from services.intake.documents.errors import DocumentsBusy
from services.intake.repository import EXISTS
from services.lake import access
from services.lake.database import LakeReader, LakeTransaction
from services.lake.domain.roles import Personal
from services.lake.domain.states import State
from services.lake.tables import application, document, document_scan

INSERT_DOCUMENT = sa.insert(document)
INSERT_SCAN = sa.insert(document_scan)
_DOCUMENT_COLUMNS = [document.c[name] for name in Document.__dataclass_fields__ if name in document.c]
_SCAN_COLUMNS = [document_scan.c[name] for name in Scan.__dataclass_fields__]
_IDS_OF_A_STATEMENT = 500
LOCK_WAIT_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Place:
    """The application that a document is for: its maker, its state, and how many documents it has."""

    created_by: UUID
    state: State
    documents: int


@dataclass(frozen=True, slots=True)
class DueScan:
    """A scan that an attempt is made at."""

    document_id: UUID
    object_key: str
    scan: Scan


def select_place(application_id: UUID, caller: Caller) -> sa.Select[Any]:
    """Read an application, if `caller` may see it, and count its documents."""
    count = sa.select(sa.func.count()).where(document.c.application_id == application.c.id)
    return sa.select(
        application.c.created_by, application.c.state, count.scalar_subquery().label("documents")
    ).where(application.c.id == application_id, access.applications(caller), EXISTS)


def select_documents(caller: Caller, *conditions: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """Read documents of applications that `caller` may see, the oldest first, and how much they may see of them."""
    return (
        sa.select(*_DOCUMENT_COLUMNS, *_SCAN_COLUMNS, access.personal(caller).label("personal"))
        .join_from(document, document_scan, document_scan.c.document_id == document.c.id)
        .join(application, application.c.id == document.c.application_id)
        .where(access.applications(caller), EXISTS, *conditions)
        .order_by(document.c.uploaded_at, document.c.id)
    )


def select_document_in_clear(document_id: UUID, caller: Caller) -> sa.Select[Any]:
    """Read a document whose content `caller` may see: that of an application with unmasked parties."""
    return select_documents(caller, document.c.id == document_id, access.clear_applications(caller))


def select_due_scans(now: datetime, limit: int) -> sa.Select[Any]:
    """Read the scans that are due, the longest waiting first."""
    return (
        sa.select(document.c.object_key, document_scan)
        .join_from(document_scan, document, document.c.id == document_scan.c.document_id)
        .where(document_scan.c.next_attempt_at <= now)
        .order_by(document_scan.c.next_attempt_at, document_scan.c.document_id)
        .limit(limit)
    )


def select_failed_scans() -> sa.Select[Any]:
    """Count the scans whose last attempt failed."""
    return (
        sa.select(sa.func.count())
        .select_from(document_scan)
        # Only those that wait: by their index.
        .where(document_scan.c.next_attempt_at.is_not(None), document_scan.c.state == ScanState.FAILED)
    )


def update_scan(document_id: UUID, seen: datetime, written: Scan) -> sa.Update:
    """Write a scan unless somebody else has made an attempt since it was `seen` with this next attempt."""
    return (
        sa.update(document_scan)
        .where(document_scan.c.document_id == document_id, document_scan.c.next_attempt_at == seen)
        .values(**asdict(written))
    )


def update_unscanned(now: datetime) -> sa.Update:
    """Have documents scanned that came while nobody looked."""
    return (
        sa.update(document_scan)
        .where(document_scan.c.scanner == UNSCANNED, document_scan.c.next_attempt_at.is_(None))
        .values(state=ScanState.WAITING, next_attempt_at=now)
    )


def select_known(ids: Sequence[UUID]) -> sa.Select[Any]:
    """Read which of some ids are those of documents."""
    return sa.select(document.c.id).where(document.c.id.in_(ids))


def delete_scans(application_id: UUID) -> sa.Delete:
    """Delete the scans of an application's documents."""
    ids = sa.select(document.c.id).where(document.c.application_id == application_id)
    return sa.delete(document_scan).where(document_scan.c.document_id.in_(ids))


def delete_documents(application_id: UUID) -> sa.Delete:
    """Delete the documents of an application, whose scans are deleted."""
    return sa.delete(document).where(document.c.application_id == application_id)


class DocumentRepository:
    """Reads and writes documents, always in the caller's transaction; has no state."""

    async def place(self, reader: LakeReader, application_id: UUID, caller: Caller) -> Place | None:
        """The application as far as its documents need it, None when `caller` may not see it."""
        row = (await reader.execute(select_place(application_id, caller))).mappings().first()
        return None if row is None else Place(row["created_by"], State(row["state"]), row["documents"])

    async def add(self, tx: LakeTransaction, new: Document) -> None:
        """Insert a document and its scan."""
        values = {name: value for name, value in asdict(new).items() if name != "scan"}
        await tx.execute(INSERT_DOCUMENT, values)
        await tx.execute(INSERT_SCAN, {"document_id": new.id, **asdict(new.scan)})

    async def of_application(
        self, reader: LakeReader, application_id: UUID, caller: Caller
    ) -> list[Document]:
        """The documents of an application that `caller` may see, the oldest first."""
        query = select_documents(caller, document.c.application_id == application_id)
        return [_document(row) for row in (await reader.execute(query)).mappings()]

    async def document(self, reader: LakeReader, document_id: UUID, caller: Caller) -> Document | None:
        """The document as `caller` sees it, or None."""
        query = select_documents(caller, document.c.id == document_id)
        row = (await reader.execute(query)).mappings().first()
        return None if row is None else _document(row)

    async def in_clear(self, reader: LakeReader, document_id: UUID, caller: Caller) -> Document | None:
        """The document, None unless `caller` may see its content."""
        row = (await reader.execute(select_document_in_clear(document_id, caller))).mappings().first()
        return None if row is None else _document(row)

    async def lock(self, tx: LakeTransaction, application_id: UUID) -> None:
        """Have other additions to an application, and its deletion, wait until the commit; raises DocumentsBusy."""
        if not await tx.try_lock(f"documents:{application_id}", LOCK_WAIT_SECONDS):
            raise DocumentsBusy

    async def delete(self, tx: LakeTransaction, application_id: UUID) -> None:
        """Delete the documents of an application with their scans; their objects are swept."""
        await tx.execute(delete_scans(application_id))
        await tx.execute(delete_documents(application_id))

    async def due_scans(self, reader: LakeReader, now: datetime, limit: int) -> list[DueScan]:
        """At most `limit` scans that are due."""
        rows = (await reader.execute(select_due_scans(now, limit))).mappings()
        return [DueScan(row["document_id"], row["object_key"], _scan(row)) for row in rows]

    async def failed_scans(self, reader: LakeReader) -> int:
        """How many documents wait because the last attempt at their scan failed."""
        return int(await reader.scalar(select_failed_scans()))

    async def write_scan(self, tx: LakeTransaction, document_id: UUID, seen: datetime, written: Scan) -> bool:
        """Write a scan; False when somebody else has made an attempt since it was `seen`."""
        done = await tx.execute(update_scan(document_id, seen, written))
        return done.rowcount == 1

    async def scan_the_unscanned(self, tx: LakeTransaction, now: datetime) -> int:
        """Have documents scanned that came while nobody looked; how many."""
        return (await tx.execute(update_unscanned(now))).rowcount

    async def unknown(self, reader: LakeReader, ids: Sequence[UUID]) -> list[UUID]:
        """Those of `ids` that no document has."""
        known: set[UUID] = set()
        for start in range(0, len(ids), _IDS_OF_A_STATEMENT):
            part = ids[start : start + _IDS_OF_A_STATEMENT]
            known.update((await reader.execute(select_known(part))).scalars())
        return [one for one in ids if one not in known]


def _scan(row: sa.RowMapping) -> Scan:
    values = {name: row[name] for name in Scan.__dataclass_fields__}
    return Scan(**{**values, "state": ScanState(row["state"])})


def _document(row: sa.RowMapping) -> Document:
    values = {name: row[name] for name in Document.__dataclass_fields__ if name != "scan"}
    # What somebody called a file is often a person's name.
    if row["personal"] < Personal.CLEAR:
        values["file_name"] = None
    return Document(**{**values, "sha256": bytes(row["sha256"])}, scan=_scan(row))


def statements() -> Iterator[sa.Executable]:
    """Yield an example of every statement on documents that intake can run."""
    some = UUID(int=1)
    at = datetime.fromisoformat("2000-01-01T00:00:00Z")
    yield from (INSERT_DOCUMENT, INSERT_SCAN)
    for caller in access.examples():
        yield select_place(some, caller)
        yield select_documents(caller, document.c.id == some)
        yield select_document_in_clear(some, caller)
    yield select_due_scans(at, 1)
    yield select_failed_scans()
    yield update_scan(some, at, Scan(ScanState.CLEAN, "clamd"))
    yield update_unscanned(at)
    yield select_known([some])
    yield delete_scans(some)
    yield delete_documents(some)
