"""Asks the bureau about those whom a submission named. Every process of intake may: attempts are claimed."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from services.chassis.telemetry.logging import get_logger
from services.intake.bureau.adapters import Bureau, BureauSilent
from services.intake.bureau.domain import BureauRequest, Outcome, Reason, read
from services.intake.bureau.metrics import BUREAU_REQUESTS, BUREAU_UNANSWERED
from services.intake.bureau.repository import BureauRepository, DueRequest
from services.intake.upkeep import repeat
from services.lake.database import Lake

ACTOR = "intake"
REQUESTS_AT_ONCE = 8
POLL_SECONDS = 2.0
LEASE = timedelta(seconds=90)
"""For how long nobody else attempts a request that is under way: longer than any deadline of a bureau."""

_log = get_logger(__name__)


class BureauWorker:
    """Asks, keeps the answers, then reads them."""

    def __init__(self, lake: Lake, repository: BureauRepository, bureau: Bureau) -> None:
        self._lake = lake
        self._repository = repository
        self._bureau = bureau
        self._wanted = asyncio.Event()

    def wake(self) -> None:
        """Something was submitted."""
        self._wanted.set()

    async def keep(self) -> None:
        """Ask again and again; runs until it is cancelled."""
        await repeat(
            self._ask_all, seconds=POLL_SECONDS, failure="the bureau could not be asked", wanted=self._wanted
        )

    async def ask_due(self) -> int:
        """Attempt the requests that are due, at the same time; how many there were."""
        async with self._lake.reading() as reader:
            due = await self._repository.due(reader, datetime.now(UTC), REQUESTS_AT_ONCE)
        results = await asyncio.gather(*(self._attempt(one) for one in due), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return len(due)

    async def _ask_all(self) -> None:
        while await self.ask_due() == REQUESTS_AT_ONCE:
            pass
        await self.measure()

    async def measure(self) -> None:
        """Set the gauge of requests that the bureau has not answered."""
        async with self._lake.reading() as reader:
            BUREAU_UNANSWERED.set(await self._repository.unanswered(reader))

    async def _attempt(self, due: DueRequest) -> None:
        seen, now = due.request.next_attempt_at, datetime.now(UTC)
        if seen is None:
            return
        claimed = due.request.claimed(now, LEASE)
        if not await self._write(seen, claimed):
            return
        ended = await self._ask(due, claimed)
        if await self._write(now + LEASE, ended):
            BUREAU_REQUESTS.labels(ended.outcome, ended.reason or "").inc()

    async def _ask(self, due: DueRequest, claimed: BureauRequest) -> BureauRequest:
        if claimed.report_id is not None:
            # A process was killed after it had kept the answer.
            async with self._lake.reading() as reader:
                raw = await self._repository.answer(reader, claimed.report_id)
            return self._read(claimed, raw)
        if claimed.is_one_too_many:
            # Each attempt before it ended in a way that could not be noted.
            return claimed.silent(datetime.now(UTC))
        if not due.is_needed:
            return claimed.ended(Outcome.INCONCLUSIVE, Reason.NOT_NEEDED, datetime.now(UTC))
        if due.person.national_id is None:
            return claimed.ended(Outcome.INCONCLUSIVE, Reason.NO_NATIONAL_ID, datetime.now(UTC))
        try:
            raw = await self._bureau.ask(due.person, claimed.key)
        except BureauSilent as silent:
            _log.warning(
                "the bureau did not answer", application=str(claimed.application_id), why=str(silent)
            )
            return claimed.silent(datetime.now(UTC))
        async with self._lake.transaction(actor=ACTOR) as tx:
            at = datetime.now(UTC)
            kept = await self._repository.keep_answer(tx, claimed, self._bureau.name, raw, at)
            claimed = replace(claimed, report_id=kept)
            if claimed.next_attempt_at is not None:
                await self._repository.write(tx, claimed.next_attempt_at, claimed)
        return self._read(claimed, raw)

    def _read(self, claimed: BureauRequest, raw: str) -> BureauRequest:
        report = read(raw)
        return claimed.ended(report.outcome, report.reason, datetime.now(UTC))

    async def _write(self, seen: datetime, written: BureauRequest) -> bool:
        async with self._lake.transaction(actor=ACTOR) as tx:
            return await self._repository.write(tx, seen, written)
