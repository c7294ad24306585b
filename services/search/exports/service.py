"""The use case of exports."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy.exc import SQLAlchemyError

from services.chassis.database import ApplicationDatabase
from services.chassis.error_names import error_name
from services.chassis.telemetry.logging import get_logger
from services.chassis.telemetry.spans import current_traceparent
from services.chassis.web.identity import Caller, recent_login
from services.chassis.web.problems import Forbidden, Unavailable
from services.search.domain import Filters, Order, trace_id
from services.search.exports.domain import (
    MOST_ROWS,
    Format,
    Outcome,
    described,
    head,
    lines,
    tail,
    without_words,
)
from services.search.exports.repository import ExportRecord, ExportRepository
from services.search.selection import Selection
from services.search.service import Search

SCOPE = "parties:export"
"""The scope of those who may export personal data unmasked."""
MOST_AT_ONCE = 4
"""Exports of one process at the same time: each has a connection for as long as its client reads."""

STEP_UP = timedelta(minutes=15)
"""The oldest login that may export personal data unmasked: a session that somebody left open may not."""

_recent = recent_login(STEP_UP)
_log = get_logger(__name__)


class TooManyExports(Unavailable):
    """Too many exports run at the moment."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What to export: the filters, also as they were given; `reason` unmasks."""

    filters: Filters
    order: Order
    format: Format
    given: Sequence[tuple[str, str]]
    reason: str | None


class Exports:
    """Exports what a search finds, from the replica."""

    def __init__(
        self,
        application: ApplicationDatabase,
        search: Search,
        repository: ExportRepository,
        *,
        most_rows: int = MOST_ROWS,
    ) -> None:
        """`most_rows`: rows of the longest export."""
        self._application = application
        self._search = search
        self._repository = repository
        self._most_rows = most_rows
        self._running = 0

    async def begin(self, wish: Wish, as_of: datetime, *, by: Caller) -> AsyncGenerator[bytes]:
        """Record the export; gives its lines, which are read while they are sent.

        Raises Forbidden for a reason without the scope, LoginTooOld for one with an old login, FiltersContradict,
        ReplicaNotReady, TooManyExports.
        """
        if wish.reason is not None:
            if SCOPE not in by.scopes:
                raise Forbidden(
                    f"This needs the scope {SCOPE}, which none of your roles has; leave the reason out."
                )
            await _recent(by)
        if self._running >= MOST_AT_ONCE:
            raise TooManyExports("Try again when another export has ended.", retry_after=10)
        # Counted before anything is waited for: many may begin at once.
        self._running += 1
        try:
            async with self._search.selecting(wish.filters, by=by) as (reader, selection):
                await self._repository.probe(reader, selection, wish.order)
            record = ExportRecord(
                uuid4(),
                wish.format,
                described(without_words(wish.given)),
                wish.reason,
                unmasked=wish.reason is not None,
                trace_id=trace_id(current_traceparent()),
            )
            async with self._application.transaction() as tx:
                await self._repository.begin(tx, record, by)
        except BaseException:
            self._running -= 1
            raise
        chunks = self._chunks(
            wish,
            selection,
            record,
            head(wish.format, described([*wish.given, *_corrected(selection)]), as_of, by.username),
        )
        # Started here: only what has started ends, whatever happens to the answer.
        await anext(chunks)
        return chunks

    async def _chunks(
        self, wish: Wish, selection: Selection, record: ExportRecord, first: bytes
    ) -> AsyncGenerator[bytes]:
        count, outcome = 0, Outcome.CUT
        try:
            yield b""
            yield first
            ended = Outcome.COMPLETE
            async with self._application.reading() as reader:
                batches = self._repository.batches(
                    reader, selection, wish.order, self._most_rows + 1, unmasked=record.unmasked
                )
                async with aclosing(batches):
                    async for batch in batches:
                        kept = batch[: self._most_rows - count]
                        if len(kept) < len(batch):
                            ended = Outcome.LIMITED
                        count += len(kept)
                        yield lines(wish.format, kept)
            yield tail(wish.format, count, ended)
            outcome = ended
        finally:
            self._running -= 1
            await self._end(record.id, count, outcome)

    async def _end(self, export_id: UUID, count: int, outcome: Outcome) -> None:
        _log.info("export ended", export=str(export_id), rows=count, outcome=outcome.value)
        try:
            async with self._application.transaction() as tx:
                await self._repository.end(tx, export_id, count, outcome)
        except (SQLAlchemyError, OSError) as error:
            # The record says that the export began: without an end it counts as cut.
            _log.warning("the end of an export was not recorded", error=error_name(error))


def _corrected(selection: Selection) -> list[tuple[str, str]]:
    return [("corrected", f"{word}:{','.join(meant)}") for word, meant in selection.corrections.items()]
