"""The use cases of imports: take a file, show what becomes of its rows."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import orjson
from uuid_utils.compat import uuid7

from services.chassis.objects.interface import Objects
from services.chassis.telemetry.spans import current_traceparent
from services.chassis.web.identity import Caller
from services.chassis.web.paging import Cursor
from services.chassis.web.problems import ContentTooLarge, Problem
from services.intake.idempotency import Answers, IdempotentRequest, Made
from services.intake.imports.domain import (
    FOLDER,
    LOCK_WAIT_SECONDS,
    MOST_ROWS,
    MOST_WAITING,
    FileFormat,
    Import,
    ImportKind,
    ImportState,
)
from services.intake.imports.errors import (
    FileRefused,
    ImportsBusy,
    NoImportStore,
    NoSuchImport,
    TooManyImports,
)
from services.intake.imports.formats import Record
from services.intake.imports.repository import ImportRepository
from services.intake.imports.rows import FileRows
from services.intake.stored.removal import discard
from services.lake.database import Lake, LakeReader

ACCEPTED = 202
ROWS_OF_A_PIECE = 500


@dataclass(frozen=True, slots=True)
class Sent:
    """What a client says of the file that it sends."""

    kind: ImportKind
    format: FileFormat
    gzipped: bool


class Imports:
    """The use cases of imports over one lake and one store of objects."""

    def __init__(
        self,
        lake: Lake,
        repository: ImportRepository,
        answers: Answers,
        objects: Objects | None,
        *,
        max_bytes: int,
        added: Callable[[], None] = lambda: None,
    ) -> None:
        """Store the dependencies of the use cases.

        Args:
            lake: where the imports' rows are.
            repository: the SQL of imports.
            answers: the answers to earlier requests.
            objects: where their files are; without it no file is taken.
            max_bytes: the limit of a file's size, unpacked.
            added: called after an import was added, so that it is begun soon.
        """
        self._lake = lake
        self._repository = repository
        self._answers = answers
        self._objects = objects
        self._added = added
        self.max_bytes = max_bytes

    async def add(
        self,
        sent: Sent,
        content: AsyncIterator[bytes],
        *,
        by: Caller,
        key: str,
    ) -> Made[Import]:
        """Take a file, unless the request with this `key` did before; a worker writes its rows.

        The object is stored before its row: what a killed process leaves has no row, and is swept.

        Raises NoImportStore, TooManyImports, ImportsBusy, FileRefused, ContentTooLarge, ExpandsTooMuch,
        RequestInFlight, IdempotencyKeyReused.
        """
        if self._objects is None:
            raise NoImportStore("This installation has no store of objects.", retry_after=3600)
        async with self._lake.reading() as reader:
            # Only the content says whether it is the same request.
            if not await self._answers.has(reader, by.id, key):
                await self._check(reader, by)
        import_id, passing = uuid7(), _Passing(sent, self.max_bytes)
        place = FOLDER.key(import_id)
        await self._objects.put(place, passing.checked(content))
        try:
            async with self._lake.transaction(actor=str(by.id)) as tx:
                said = f"import {sent.kind} {sent.format}"
                digest = hashlib.sha256(said.encode() + passing.sha256).digest()
                request = IdempotentRequest(key, digest)
                if earlier := await self._answers.earlier(tx, by.id, request):
                    made = earlier.shows(await self._repository.one(tx, earlier.made_id, by))
                else:
                    # Of files that arrive at once, each is counted after those before it.
                    if not await tx.try_lock(f"imports:{by.id}", LOCK_WAIT_SECONDS):
                        raise ImportsBusy
                    await self._check(tx, by)
                    new = passing.of(import_id, place, by, datetime.now(UTC))
                    await self._repository.add(tx, new)
                    made = await self._answers.keep(tx, by.id, request, new, new.created_at, status=ACCEPTED)
        except Problem:
            # Whatever else ends the transaction may have come after its commit: then the object has a row. If it has
            # none, it is swept.
            await discard(self._objects, place)
            raise
        if made.replayed:
            await discard(self._objects, place)
        else:
            self._added()
        return made

    async def page(self, after: Cursor | None, limit: int, *, by: Caller) -> list[Import]:
        """At most `limit` of the caller's imports behind `after`, the newest first."""
        async with self._lake.reading() as reader:
            return await self._repository.page(reader, by, after, limit)

    async def one(self, import_id: UUID, *, by: Caller) -> Import:
        """An import of the caller's; raises NoSuchImport."""
        async with self._lake.reading() as reader:
            found = await self._repository.one(reader, import_id, by)
        if found is None:
            raise NoSuchImport(import_id)
        return found

    async def rejected(self, import_id: UUID) -> AsyncGenerator[bytes]:
        """What is wrong with rows of an import that `one` has given, as NDJSON in the order of their lines."""
        after = (0, 0)
        while True:
            async with self._lake.reading() as reader:
                found = await self._repository.faults(reader, import_id, after, ROWS_OF_A_PIECE)
            yield b"".join(orjson.dumps(fault._asdict()) + b"\n" for fault, _ in found)
            if len(found) < ROWS_OF_A_PIECE:
                return
            last, number = found[-1]
            after = (last.line, number)

    async def made(self, import_id: UUID) -> AsyncGenerator[bytes]:
        """What rows of an import that `one` has given have become, as NDJSON in the order of their lines."""
        after = 0
        while True:
            async with self._lake.reading() as reader:
                found = await self._repository.made(reader, import_id, after, ROWS_OF_A_PIECE)
            yield b"".join(orjson.dumps({"line": row.line, "id": str(row.id)}) + b"\n" for row in found)
            if len(found) < ROWS_OF_A_PIECE:
                return
            after = found[-1].line

    async def _check(self, reader: LakeReader, by: Caller) -> None:
        if await self._repository.open_imports(reader, by) >= MOST_WAITING:
            raise TooManyImports


class _Passing:
    """A file while it passes into the store: measured, unpacked and cut as the worker will do it."""

    def __init__(self, sent: Sent, max_bytes: int) -> None:
        self._sent = sent
        self._file = FileRows(sent.kind, sent.format, gzipped=sent.gzipped, max_bytes=max_bytes)
        self._rows = 0

    @property
    def sha256(self) -> bytes:
        return self._file.sha256

    async def checked(self, pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
        """The same pieces.

        Raises:
            FileRefused: it is not what it says it is, or has no row.
            ContentTooLarge: it has more bytes or rows than a file may have.
            ExpandsTooMuch: it is packed too tightly.
        """
        async for piece in pieces:
            for records in self._file.feed(piece):
                self._count(records)
                # A piece can unpack to a hundred times as much: let others have their turn.
                await asyncio.sleep(0)
            yield piece
        self._count(self._file.end())
        if not self._rows:
            raise FileRefused("it has no row")

    def _count(self, records: Sequence[Record]) -> None:
        self._rows += len(records)
        if self._rows > MOST_ROWS:
            raise ContentTooLarge(
                f"Send a file of at most {MOST_ROWS} rows; more of them in several files.", max_rows=MOST_ROWS
            )

    def of(self, import_id: UUID, place: str, by: Caller, at: datetime) -> Import:
        return Import(
            id=import_id,
            kind=self._sent.kind,
            format=self._sent.format,
            gzipped=self._sent.gzipped,
            state=ImportState.WAITING,
            object_key=place,
            size_bytes=self._file.size,
            sha256=self.sha256,
            row_count=self._rows,
            line=0,
            made=0,
            repeated=0,
            rejected=0,
            created_by=by.id,
            roles=by.roles,
            scopes=by.scopes,
            traceparent=current_traceparent(),
            created_at=at,
            started_at=None,
            written_at=None,
            ended_at=None,
            attempts=0,
            next_attempt_at=at,
        )
