"""Writes the rows of imports, and removes files that are no longer needed. Every process of intake may: imports are
claimed, and each transaction that writes rows also moves its import on, so that no row is written by two.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from opentelemetry import context

from services.chassis.engines import is_transient
from services.chassis.error_names import error_name
from services.chassis.objects.interface import NoSuchObject, ObjectDamaged, Objects
from services.chassis.telemetry.logging import get_logger
from services.chassis.telemetry.spans import parent_from
from services.chassis.web.identity import Caller
from services.chassis.web.problems import ContentTooLarge, Unavailable
from services.intake.domain import Fault
from services.intake.imports.domain import (
    FOLDER,
    ROWS_OF_A_TRANSACTION,
    Import,
    ImportState,
    RowFault,
    RowRefused,
    Written,
)
from services.intake.imports.errors import FileRefused
from services.intake.imports.formats import Record
from services.intake.imports.metrics import IMPORT_ROWS, IMPORT_SECONDS
from services.intake.imports.repository import ImportRepository
from services.intake.imports.rows import FileRows, ReadRow, Row
from services.intake.imports.writing import Outcome, RowWriter
from services.intake.stored.removal import ORPHAN_AGE, SWEEP_SECONDS, sweep
from services.intake.upkeep import repeat
from services.lake.database import Lake, LakeTransaction

ACTOR = "intake"
POLL_SECONDS = 5.0
"""Other processes take imports too, and stopped ones come due."""
LEASE = timedelta(seconds=60)
"""For how long nobody else works on an import after its last transaction; that of a killed process goes on then."""
TURN_SECONDS = 60.0
"""How long an import is worked on while others wait."""
_UNREAD = "could not be read; the error was logged"
_UNWRITTEN = "could not be written; the error was logged"

_log = get_logger(__name__)


class _Lost(Exception):
    """Somebody else works on the import."""


class _Failed(Exception):
    """A row of a transaction was refused, with faults, or failed without any."""

    def __init__(self, index: int, faults: Sequence[Fault]) -> None:
        super().__init__(index)
        self.index = index
        self.faults = tuple(faults)


class ImportWorker:
    """Writes and sweeps."""

    def __init__(
        self,
        lake: Lake,
        repository: ImportRepository,
        objects: Objects,
        writer: RowWriter,
        *,
        lease: timedelta = LEASE,
    ) -> None:
        """`lease` see LEASE."""
        self._lake = lake
        self._repository = repository
        self._objects = objects
        self._writer = writer
        self._lease = lease
        self._wanted = asyncio.Event()

    def wake(self) -> None:
        """An import was added."""
        self._wanted.set()

    async def keep(self) -> None:
        """Write and sweep again and again; runs until it is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_writing())
            tasks.create_task(self._keep_sweeping())

    async def run_due(self) -> bool:
        """Work on the import that is due for the longest time, for one turn; False when none is due."""
        async with self._lake.reading() as reader:
            due = await self._repository.due(reader, datetime.now(UTC))
        if due is None or due.next_attempt_at is None:
            return False
        claimed = due.claimed(datetime.now(UTC), self._lease)
        if await self._note(due.next_attempt_at, claimed):
            # What the rows become belongs to the trace of the request that sent them.
            with _in_trace(claimed.traceparent):
                await self._run(claimed)
        return True

    async def sweep(self, age: timedelta = ORPHAN_AGE) -> int:
        """Remove objects older than `age` that no unfinished import has; how many."""
        return await sweep(self._objects, FOLDER, self._finished, age)

    async def _finished(self, ids: Sequence[UUID]) -> list[UUID]:
        async with self._lake.reading() as reader:
            return await self._repository.finished(reader, ids)

    async def _run(self, claimed: Import) -> None:
        progress = _Progress(claimed, time.monotonic() + TURN_SECONDS)
        try:
            await self._write_all(progress)
        except _Lost:
            _log.info("another process has this import", import_id=str(claimed.id))
        except (NoSuchObject, ObjectDamaged, FileRefused, ContentTooLarge) as error:
            _log.error(
                "a file cannot be read any more", import_id=str(claimed.id), error=type(error).__name__
            )
            await self._end(progress.now, ImportState.FAILED)
        except Exception as error:
            _log.warning("an import waits", import_id=str(claimed.id), reason=error_name(error))
            await self._note(progress.seen, progress.now.postponed(datetime.now(UTC)))
            # What nobody foresaw must not hold up the imports behind it: it is logged by the caller.
            if not isinstance(error, Unavailable) and not is_transient(error):
                raise

    async def _write_all(self, progress: "_Progress") -> None:
        batch: list[ReadRow] = []
        async with aclosing(self._rows(progress.now)) as rows:
            async for row in rows:
                batch.append(row)
                if len(batch) == ROWS_OF_A_TRANSACTION:
                    await self._write(progress, batch)
                    batch = []
                    if time.monotonic() > progress.until:
                        await self._note(progress.seen, progress.now.queued(datetime.now(UTC)))
                        return
        if batch:
            await self._write(progress, batch)
        await self._end(progress.now, ImportState.DONE)

    async def _rows(self, of: Import) -> AsyncGenerator[ReadRow]:
        """The rows of the file behind those that are written."""
        file = FileRows(of.kind, of.format, gzipped=of.gzipped, max_bytes=of.size_bytes, known=True)
        async with aclosing(self._objects.get(of.object_key)) as pieces:
            async for piece in pieces:
                for records in file.feed(piece):
                    for record in records:
                        if record.line > of.line:
                            yield _read(file, record)
                    # A piece can unpack to thousands of lines that are written: let others have their turn.
                    await asyncio.sleep(0)
        for record in file.end():
            if record.line > of.line:
                yield _read(file, record)

    async def _write(self, progress: "_Progress", batch: Sequence[ReadRow]) -> None:
        """Write rows in one transaction, or where one of them fails in several, split at that row."""
        rest = list(batch)
        while rest:
            upto = len(rest)
            while True:
                try:
                    await self._commit(progress, rest[:upto])
                    break
                except _Failed as failed:
                    row = rest[failed.index]
                    if failed.faults or not failed.index:
                        faults = failed.faults or (Fault("", _UNWRITTEN),)
                        rest[failed.index] = ReadRow(row.line, None, faults)
                        upto = failed.index + 1
                    else:
                        # Perhaps it fails because of the rows before it: it is tried once more, after their commit.
                        upto = failed.index
            rest = rest[upto:]

    async def _commit(self, progress: "_Progress", rows: Sequence[ReadRow]) -> None:
        claimed, started = progress.now, time.perf_counter()
        made: list[Row] = []
        counts = Counter[Outcome]()
        async with self._lake.transaction(actor=str(claimed.created_by)) as tx:
            async for row, outcome in self._written(tx, claimed, rows):
                counts[outcome] += 1
                if outcome is Outcome.MADE and row.row is not None:
                    made.append(row.row)
            faults = [RowFault(row.line, *fault) for row in rows for fault in row.faults]
            await self._repository.add_faults(tx, claimed.id, faults)
            written = Written(rows[-1].line, *(counts[one] for one in Outcome))
            after = claimed.advanced(written, datetime.now(UTC), self._lease)
            # In the transaction of the rows: they are committed once, by whoever has the import.
            if not await self._repository.write(tx, progress.seen, after):
                raise _Lost
        progress.now = after
        self._writer.committed(made)
        IMPORT_SECONDS.labels(claimed.kind).observe(time.perf_counter() - started)
        for outcome, count in counts.items():
            IMPORT_ROWS.labels(claimed.kind, outcome).inc(count)

    async def _written(
        self, tx: LakeTransaction, claimed: Import, rows: Sequence[ReadRow]
    ) -> AsyncGenerator[tuple[ReadRow, Outcome]]:
        """Write rows one after another, and tell what became of each; raises _Failed."""
        sender = Caller(claimed.created_by, "", claimed.roles, claimed.scopes)
        references = [_reference(claimed, row) for row in rows if row.row is not None]
        known = await self._writer.begin(tx, claimed.kind, references, by=sender)
        for index, row in enumerate(rows):
            if row.row is None:
                yield row, Outcome.REJECTED
                continue
            try:
                outcome = await self._writer.write(
                    tx,
                    row.row,
                    known,
                    reference=_reference(claimed, row),
                    sha256=row.sha256,
                    by=sender,
                    import_id=claimed.id,
                    line=row.line,
                )
            except RowRefused as refused:
                raise _Failed(index, refused.faults) from None
            except Unavailable:
                raise
            except Exception as error:
                if is_transient(error):
                    raise
                # One row that fails in a way that nobody foresaw must not stop the others.
                _log.error(
                    "a row could not be written",
                    import_id=str(claimed.id),
                    line=row.line,
                    error=error_name(error),
                )
                raise _Failed(index, ()) from error
            yield row, outcome

    async def _end(self, now: Import, state: ImportState) -> None:
        if now.next_attempt_at is not None and await self._note(
            now.next_attempt_at, now.ended(state, datetime.now(UTC))
        ):
            # It has personal data, and nobody reads it again.
            await self._objects.remove(now.object_key)
            _log.info(
                "an import has ended",
                import_id=str(now.id),
                state=state,
                made=now.made,
                repeated=now.repeated,
                rejected=now.rejected,
            )

    async def _note(self, seen: datetime, written: Import) -> bool:
        async with self._lake.transaction(actor=ACTOR) as tx:
            return await self._repository.write(tx, seen, written)

    async def _write_due(self) -> None:
        while await self.run_due():
            pass

    async def _keep_writing(self) -> None:
        await repeat(
            self._write_due,
            seconds=POLL_SECONDS,
            failure="rows could not be imported",
            wanted=self._wanted,
        )

    async def _keep_sweeping(self) -> None:
        # Not at the start, which has enough to do.
        await asyncio.sleep(SWEEP_SECONDS)
        await repeat(self.sweep, seconds=SWEEP_SECONDS, failure="files of imports could not be swept")


@dataclass
class _Progress:
    """How far an import is, as it was written last, and when its turn ends."""

    now: Import
    until: float

    @property
    def seen(self) -> datetime:
        if self.now.next_attempt_at is None:
            raise ValueError("the import has ended")
        return self.now.next_attempt_at


def _read(file: FileRows, record: Record) -> ReadRow:
    try:
        return file.read(record)
    except Exception as error:  # noqa: BLE001 - one row that fails as nobody foresaw must not stop the others
        _log.error("a row could not be read", line=record.line, error=error_name(error))
        return ReadRow(record.line, None, (Fault("", _UNREAD),))


def _reference(of: Import, row: ReadRow) -> str:
    given = None if row.row is None else row.row.external_ref
    # Without a number of the sender's the file and the line are the row's identity: its content is this file's only.
    return given or f"{of.sha256.hex()}:{row.line}"


@contextmanager
def _in_trace(traceparent: str | None) -> Iterator[None]:
    token = context.attach(parent_from(traceparent))
    try:
        yield
    finally:
        context.detach(token)
