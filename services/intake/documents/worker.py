"""Scans documents, and sweeps objects that no document has. Every process of intake may: attempts are claimed."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from services.chassis.objects.interface import NoSuchObject, ObjectDamaged, Objects
from services.chassis.telemetry.logging import get_logger
from services.intake.documents.domain import FOLDER, Scan, ScanState
from services.intake.documents.metrics import DOCUMENTS, SCANS_FAILED
from services.intake.documents.repository import DocumentRepository, DueScan
from services.intake.documents.scanners import SECONDS, ScanFailed, Scanner
from services.intake.stored.removal import ORPHAN_AGE, SWEEP_SECONDS, sweep
from services.intake.upkeep import repeat
from services.lake.database import Lake

ACTOR = "intake"
SCANS_AT_ONCE = 10
POLL_SECONDS = 5.0
"""Other processes add documents too, and failed scans come due."""
LEASE = timedelta(seconds=2 * SECONDS)
"""For how long nobody else attempts a scan that is under way; the attempt of a killed process is repeated then."""

_log = get_logger(__name__)


class DocumentWorker:
    """Scans and sweeps."""

    def __init__(
        self, lake: Lake, repository: DocumentRepository, objects: Objects, scanner: Scanner | None
    ) -> None:
        """Without a `scanner` it only sweeps."""
        self._lake = lake
        self._repository = repository
        self._objects = objects
        self._scanner = scanner
        self._wanted = asyncio.Event()
        self._began = False

    def wake(self) -> None:
        """A document was added."""
        self._wanted.set()

    async def keep(self) -> None:
        """Scan and sweep again and again; runs until it is cancelled."""
        loops = (
            [self._keep_sweeping()]
            if self._scanner is None
            else [self._keep_sweeping(), self._keep_scanning()]
        )
        async with asyncio.TaskGroup() as tasks:
            for each in loops:
                tasks.create_task(each)

    async def scan_due(self) -> int:
        """Attempt the scans that are due; how many there were."""
        if self._scanner is None:
            return 0
        async with self._lake.reading() as reader:
            due = await self._repository.due_scans(reader, datetime.now(UTC), SCANS_AT_ONCE)
        for one in due:
            await self._attempt(one, self._scanner)
        return len(due)

    async def scan_the_unscanned(self) -> int:
        """Have documents scanned that came while there was no scanner; how many."""
        if self._scanner is None:
            return 0
        async with self._lake.transaction(actor=ACTOR) as tx:
            return await self._repository.scan_the_unscanned(tx, datetime.now(UTC))

    async def sweep(self, age: timedelta = ORPHAN_AGE) -> int:
        """Remove objects older than `age` that no document has, and unfinished ones; how many."""
        swept = await self._objects.discard_unfinished(datetime.now(UTC) - age)
        if swept:
            _log.info("unfinished objects were removed", objects=swept)
        return swept + await sweep(self._objects, FOLDER, self._unknown, age)

    async def _unknown(self, ids: Sequence[UUID]) -> list[UUID]:
        async with self._lake.reading() as reader:
            return await self._repository.unknown(reader, ids)

    async def _attempt(self, due: DueScan, scanner: Scanner) -> None:
        seen, now = due.scan.next_attempt_at, datetime.now(UTC)
        if seen is None:
            return
        claimed = replace(due.scan, attempts=due.scan.attempts + 1, next_attempt_at=now + LEASE)
        if not await self._write(due, seen, claimed):
            return
        ended = await self._scan(due, claimed, scanner)
        if await self._write(due, now + LEASE, ended):
            DOCUMENTS.labels(ended.state).inc()
            if ended.state is ScanState.INFECTED:
                _log.warning("a document is infected", document=str(due.document_id), finding=ended.finding)

    async def _scan(self, due: DueScan, claimed: Scan, scanner: Scanner) -> Scan:
        try:
            # Closed at once: a scanner that fails does not read to the end.
            async with aclosing(self._objects.get(due.object_key)) as content:
                finding = await scanner.scan(content)
        except (ScanFailed, NoSuchObject, ObjectDamaged) as error:
            reason = str(error) if isinstance(error, ScanFailed) else type(error).__name__
            _log.warning("a document was not scanned", document=str(due.document_id), reason=reason)
            return claimed.failed(scanner.name, datetime.now(UTC))
        return claimed.ended(scanner.name, finding, datetime.now(UTC))

    async def _write(self, due: DueScan, seen: datetime, written: Scan) -> bool:
        async with self._lake.transaction(actor=ACTOR) as tx:
            return await self._repository.write_scan(tx, due.document_id, seen, written)

    async def _scan_all(self) -> None:
        if not self._began:
            await self.scan_the_unscanned()
            self._began = True
        while await self.scan_due() == SCANS_AT_ONCE:
            pass
        await self.measure()

    async def measure(self) -> None:
        """Set the gauge of scans that have failed."""
        async with self._lake.reading() as reader:
            SCANS_FAILED.set(await self._repository.failed_scans(reader))

    async def _keep_scanning(self) -> None:
        await repeat(
            self._scan_all,
            seconds=POLL_SECONDS,
            failure="documents could not be scanned",
            wanted=self._wanted,
        )

    async def _keep_sweeping(self) -> None:
        # Not at the start, which has enough to do.
        await asyncio.sleep(SWEEP_SECONDS)
        await repeat(self.sweep, seconds=SWEEP_SECONDS, failure="objects could not be swept")
