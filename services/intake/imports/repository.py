"""All SQL of imports and of what became of their rows."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from services.chassis.database import beyond
from services.chassis.web.identity import Caller
from services.chassis.web.paging import Cursor
from services.intake.imports.domain import (
    FileFormat,
    Import,
    ImportKind,
    ImportState,
    MadeRow,
    RowFault,
    WrittenRow,
)
from services.lake import access
from services.lake.database import LakeReader, LakeTransaction
from services.lake.tables import import_fault, import_file, imported_row

INSERT_IMPORT = sa.insert(import_file)
INSERT_FAULT = sa.insert(import_fault)
INSERT_ROW = sa.insert(imported_row)
_COLUMNS = [import_file.c[name] for name in Import.__dataclass_fields__]
_OPEN = (ImportState.WAITING, ImportState.RUNNING)
_PROGRESS = (
    *("state", "line", "made", "repeated", "rejected"),
    *("started_at", "written_at", "ended_at", "attempts", "next_attempt_at"),
)
_IDS_OF_A_STATEMENT = 500


def select_imports(caller: Caller, after: Cursor | None, limit: int) -> sa.Select[Any]:
    """Read a page of the caller's imports, the newest first."""
    own = import_file.c
    query = (
        sa.select(*_COLUMNS)
        .where(own.created_by == caller.id)
        .order_by(own.created_at.desc(), own.id.desc())
        .limit(limit)
    )
    if after is not None:
        query = query.where(beyond(own.created_at, own.id, (after.at, after.id), descending=True))
    return query


def select_import(import_id: UUID, caller: Caller) -> sa.Select[Any]:
    """Read an import of the caller's."""
    return sa.select(*_COLUMNS).where(import_file.c.id == import_id, import_file.c.created_by == caller.id)


def count_open(caller: Caller) -> sa.Select[Any]:
    """Count the caller's imports that have not ended."""
    own = import_file.c
    return sa.select(sa.func.count()).where(own.created_by == caller.id, own.state.in_(_OPEN))


def select_faults(import_id: UUID, after: tuple[int, int], limit: int) -> sa.Select[Any]:
    """Read faults of an import's rows behind a line and number, in their order."""
    fault, (line, number) = import_fault.c, after
    return (
        sa.select(fault.line, fault.number, fault.pointer, fault.detail)
        .where(
            fault.import_id == import_id,
            sa.or_(fault.line > line, sa.and_(fault.line == line, fault.number > number)),
        )
        .order_by(fault.line, fault.number)
        .limit(limit)
    )


def select_made(import_id: UUID, after: int, limit: int) -> sa.Select[Any]:
    """Read what the rows of an import behind a line have become, in their order."""
    row = imported_row.c
    return (
        sa.select(row.line, row.record_id)
        .where(row.import_id == import_id, row.line > after)
        .order_by(row.line)
        .limit(limit)
    )


def select_written(sender: UUID, kind: ImportKind, references: Sequence[str]) -> sa.Select[Any]:
    """Read which rows of a sender were written, and the hash of each."""
    row = imported_row.c
    return sa.select(row.reference, row.sha256).where(
        row.sender == sender, row.kind == kind, row.reference.in_(references)
    )


def select_due(now: datetime) -> sa.Select[Any]:
    """Read the import that is due for the longest time."""
    own = import_file.c
    return (
        sa.select(*_COLUMNS).where(own.next_attempt_at <= now).order_by(own.next_attempt_at, own.id).limit(1)
    )


def update_import(import_id: UUID, seen: datetime, **progress: Any) -> sa.Update:
    """Write how far an import is, unless somebody else has claimed it since it was `seen` with this next attempt."""
    return (
        sa.update(import_file)
        .where(import_file.c.id == import_id, import_file.c.next_attempt_at == seen)
        .values(**progress)
    )


def select_unfinished(ids: Sequence[UUID]) -> sa.Select[Any]:
    """Read which of some ids are those of imports that have not ended."""
    return sa.select(import_file.c.id).where(import_file.c.id.in_(ids), import_file.c.state.in_(_OPEN))


class ImportRepository:
    """Reads and writes imports, always in the caller's transaction; has no state."""

    async def add(self, tx: LakeTransaction, new: Import) -> None:
        """Insert an import."""
        rights = {name: " ".join(sorted(getattr(new, name))) for name in ("roles", "scopes")}
        await tx.execute(INSERT_IMPORT, {**asdict(new), **rights})

    async def page(
        self, reader: LakeReader, caller: Caller, after: Cursor | None, limit: int
    ) -> list[Import]:
        """A page of the caller's imports, the newest first."""
        rows = (await reader.execute(select_imports(caller, after, limit))).mappings()
        return [_import(row) for row in rows]

    async def one(self, reader: LakeReader, import_id: UUID, caller: Caller) -> Import | None:
        """An import of the caller's, or None."""
        row = (await reader.execute(select_import(import_id, caller))).mappings().first()
        return None if row is None else _import(row)

    async def open_imports(self, reader: LakeReader, caller: Caller) -> int:
        """How many of the caller's imports have not ended."""
        count: int = await reader.scalar(count_open(caller))
        return count

    async def add_faults(self, tx: LakeTransaction, import_id: UUID, faults: Sequence[RowFault]) -> None:
        """Insert what is wrong with rows; the faults of one row follow each other."""
        numbers: dict[int, int] = {}
        rows = []
        for one in faults:
            numbers[one.line] = number = numbers.get(one.line, 0) + 1
            rows.append({"import_id": import_id, "number": number, **one._asdict()})
        if rows:
            await tx.execute(INSERT_FAULT, rows)

    async def faults(
        self, reader: LakeReader, import_id: UUID, after: tuple[int, int], limit: int
    ) -> list[tuple[RowFault, int]]:
        """At most `limit` faults behind a line and number, each with its number."""
        rows = await reader.execute(select_faults(import_id, after, limit))
        return [(RowFault(one.line, one.pointer, one.detail), one.number) for one in rows]

    async def made(self, reader: LakeReader, import_id: UUID, after: int, limit: int) -> list[MadeRow]:
        """What at most `limit` rows behind a line have become."""
        rows = await reader.execute(select_made(import_id, after, limit))
        return [MadeRow(one.line, one.record_id) for one in rows]

    async def written(
        self, tx: LakeTransaction, sender: UUID, kind: ImportKind, references: Sequence[str]
    ) -> dict[str, bytes]:
        """The rows of these references that a sender has had written, with their hashes."""
        rows = await tx.execute(select_written(sender, kind, references))
        return {one.reference: bytes(one.sha256) for one in rows}

    async def add_row(self, tx: LakeTransaction, row: WrittenRow) -> None:
        """Insert by what a row is known that was written."""
        await tx.execute(INSERT_ROW, row._asdict())

    async def due(self, reader: LakeReader, now: datetime) -> Import | None:
        """The import that is due for the longest time, or None."""
        row = (await reader.execute(select_due(now))).mappings().first()
        return None if row is None else _import(row)

    async def write(self, tx: LakeTransaction, seen: datetime, written: Import) -> bool:
        """Write how far an import is; False when somebody else has claimed it since it was `seen`."""
        progress = {name: getattr(written, name) for name in _PROGRESS}
        return (await tx.execute(update_import(written.id, seen, **progress))).rowcount == 1

    async def finished(self, reader: LakeReader, ids: Sequence[UUID]) -> list[UUID]:
        """Those of `ids` that no import has which still reads its file."""
        unfinished: set[UUID] = set()
        for start in range(0, len(ids), _IDS_OF_A_STATEMENT):
            part = ids[start : start + _IDS_OF_A_STATEMENT]
            unfinished.update((await reader.execute(select_unfinished(part))).scalars())
        return [one for one in ids if one not in unfinished]


def _import(row: sa.RowMapping) -> Import:
    return Import(
        **{
            **row,
            "kind": ImportKind(row["kind"]),
            "format": FileFormat(row["format"]),
            "state": ImportState(row["state"]),
            "sha256": bytes(row["sha256"]),
            "roles": frozenset(row["roles"].split()),
            "scopes": frozenset(row["scopes"].split()),
        }
    )


def statements() -> Iterator[sa.Executable]:
    """Yield an example of every statement on imports that intake can run."""
    some = UUID(int=1)
    at = datetime.fromisoformat("2000-01-01T00:00:00Z")
    caller = access.examples()[0]
    yield from (INSERT_IMPORT, INSERT_FAULT, INSERT_ROW)
    yield select_imports(caller, None, 1)
    yield select_imports(caller, Cursor(at, some), 1)
    yield select_import(some, caller)
    yield count_open(caller)
    yield select_faults(some, (0, 0), 1)
    yield select_made(some, 0, 1)
    yield select_written(some, ImportKind.APPLICATIONS, ["1"])
    yield select_due(at)
    yield update_import(some, at, **dict.fromkeys(_PROGRESS))
    yield select_unfinished([some])
