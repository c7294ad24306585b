"""The use cases of search: find applications, show one with all its parts, show its history."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy.exc import ProgrammingError, SQLAlchemyError

from services.chassis.database import ApplicationDatabase, ApplicationReader
from services.chassis.error_names import error_name
from services.chassis.telemetry.logging import get_logger
from services.chassis.web.identity import Caller
from services.chassis.web.paging import Cursor
from services.lake.database import Lake
from services.lake.errors import NoSuchApplication
from services.search.audit.trail import Trail, trail
from services.search.domain import Facet, Facets, Filters, Order, order_key
from services.search.errors import FiltersContradict, ReplicaNotReady
from services.search.highlights import highlights
from services.search.repository import SearchRepository
from services.search.selection import Selection
from services.search.spelling.domain import FEW
from services.search.spelling.service import Speller

LOOK_AGAIN_SECONDS = 2.0
"""Seconds between two checks of a replica that is not prepared yet."""
LOOK_AFTER_SECONDS = 30.0
"""Seconds between two checks of a prepared replica: the sink may recreate a table."""

# PostgreSQL: no such schema, table, column or function; no right to read it yet.
_NOT_THERE = frozenset({"3F000", "42P01", "42703", "42883", "42501"})

_log = get_logger(__name__)


class Source(StrEnum):
    """The database that a record is read from."""

    REPLICA = "replica"
    LAKE = "lake"


@dataclass(frozen=True, slots=True)
class Found:
    """A page of applications, where the next page starts, the counts where they are wanted, and the corrections."""

    rows: Sequence[dict[str, Any]]
    next: Cursor | None
    facets: Facets | None = None
    corrections: Mapping[str, Sequence[str]] | None = None
    """By mistyped word, what else was looked for; None while no word can be corrected yet."""


class Search:
    """The use cases of search over the application database and the lake."""

    def __init__(
        self, application: ApplicationDatabase, lake: Lake, repository: SearchRepository, speller: Speller
    ) -> None:
        self._application = application
        self._lake = lake
        self._repository = repository
        self._speller = speller
        self._missing: list[str] | None = None

    async def find(
        self,
        filters: Filters,
        order: Order,
        after: Cursor | None,
        limit: int,
        *,
        by: Caller,
        facets: Sequence[Facet] = (),
    ) -> Found:
        """A page of the submitted applications that the caller may see and that meet `filters`, in `order`.

        With `facets`, what all pages hold is counted by them.
        Raises FiltersContradict, ReplicaNotReady.
        """
        async with self._selecting(filters, by=by, facets=facets) as (reader, asked):
            rows, selection = await self._corrected_page(reader, asked, order, after, max(limit + 1, FEW))
            counts = await self._repository.facets(reader, selection, facets) if facets else None
        page = rows[:limit]
        for row in page:
            row["highlights"] = highlights(row, selection.words)
        more = Cursor(page[-1][order_key(order)], page[-1]["id"]) if len(rows) > limit else None
        return Found(page, more, counts, selection.corrections if self._speller.ready else None)

    @asynccontextmanager
    async def selecting(
        self, filters: Filters, *, by: Caller
    ) -> AsyncIterator[tuple[ApplicationReader, Selection]]:
        """Open a transaction that reads what `by` searches for, typing errors corrected; raises as `find`."""
        async with self._selecting(filters, by=by) as (reader, selection):
            yield reader, await self._speller.corrected(reader, selection)

    @asynccontextmanager
    async def _selecting(
        self, filters: Filters, *, by: Caller, facets: Sequence[Facet] = ()
    ) -> AsyncIterator[tuple[ApplicationReader, Selection]]:
        if faults := list(filters.contradictions()):
            raise FiltersContradict(
                "Correct the parts named in errors.",
                errors=[{"pointer": f"/query/{name}", "detail": detail} for name, detail in faults],
            )
        async with self._reading_replica() as reader:
            yield reader, await self._repository.selection(reader, filters, by, facets)

    async def _corrected_page(
        self, reader: ApplicationReader, selection: Selection, order: Order, after: Cursor | None, limit: int
    ) -> tuple[list[dict[str, Any]], Selection]:
        """At most `limit` rows, and the selection that they are of: with corrections where it finds next to nothing."""
        find = self._repository.find
        if after is not None:
            # Every page is of the same selection.
            corrected = await self._speller.corrected(reader, selection)
            return await find(reader, corrected, order, after, limit), corrected
        rows = await find(reader, selection, order, None, limit)
        corrected = await self._speller.corrected(reader, selection, finds_few=len(rows) < FEW)
        if corrected.corrections:
            rows = await find(reader, corrected, order, None, limit)
        return rows, corrected

    async def record(self, application_id: UUID, source: Source, *, by: Caller) -> dict[str, Any]:
        """The whole application as the caller sees it, from the replica or straight from the lake.

        Raises NoSuchApplication, ReplicaNotReady.
        """
        if source is Source.LAKE:
            async with self._lake.reading() as lake_reader:
                record = await self._repository.record(lake_reader, application_id, by)
        else:
            async with self._reading_replica() as reader:
                record = await self._repository.record(reader, application_id, by)
        if record is None:
            raise NoSuchApplication(application_id)
        return record

    async def history(self, application_id: UUID, *, by: Caller) -> Trail:
        """Every change of the application and what belongs to it, in order; raises NoSuchApplication."""
        async with self._lake.reading() as reader:
            history = await self._repository.history(reader, application_id, by)
        if history is None:
            raise NoSuchApplication(application_id)
        return trail(history)

    async def check_replica(self) -> None:
        """Raise unless the replica can be searched."""
        await self._application.ping()
        if self._missing is None or self._missing:
            raise ReplicaNotReady(self._missing or ())

    async def keep_replica_prepared(self) -> None:
        """Create the replica's indexes as soon as its tables exist; runs until it is cancelled."""
        while True:
            try:
                async with self._application.transaction() as tx:
                    self._missing = await self._repository.prepare_replica(tx)
            except (SQLAlchemyError, OSError) as error:
                self._missing = None
                _log.warning("the replica could not be prepared", error=error_name(error))
            await asyncio.sleep(LOOK_AFTER_SECONDS if self._missing == [] else LOOK_AGAIN_SECONDS)

    @asynccontextmanager
    async def _reading_replica(self) -> AsyncIterator[ApplicationReader]:
        try:
            async with self._application.reading() as reader:
                yield reader
        except ProgrammingError as error:
            if self._application.dialect.error_code(error) in _NOT_THERE:
                raise ReplicaNotReady(self._missing or ()) from error
            raise
