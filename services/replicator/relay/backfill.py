"""Write rows into the journal again, as they are: for tables filled before they were captured, and for repairs.

A page is one lake transaction: it locks its rows, then draws positions and writes their images as `r`, and moves the
request on. So a row written again is an ordinary change in its place: what changed it before stands below, what
changes it later above, and no row that was deleted comes back.
"""

import asyncio
import contextlib
from collections.abc import Callable

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from services.chassis.error_names import error_name
from services.chassis.telemetry.logging import get_logger
from services.lake.database import Lake
from services.lake.journal.model import START, Position
from services.lake.journal.reader import JournalReader
from services.lake.journal.requests import ACTOR, Request, Requests, Taken
from services.replicator import metrics
from services.replicator.failpoints import failpoint

POLL_SECONDS = 0.5
AGAIN_SECONDS = 1.0
RELAYED_POLL_SECONDS = 0.005

_log = get_logger(__name__)


class Backfill:
    """Works requests off, one page after the other, for as long as its relay has the lease."""

    def __init__(self, lake: Lake, relayed: Callable[[], Position], *, page_rows: int) -> None:
        """`relayed` gives how far the relay is: a page waits until the last but one has been relayed."""
        self._lake = lake
        self._journal = JournalReader(lake)
        self._requests = Requests(lake)
        self._relayed = relayed
        self._page_rows = page_rows
        self._written = START

    async def run(self, stop: asyncio.Event) -> None:
        """Work requests off until `stop` is set; a page that met a transient error is tried again."""
        while not stop.is_set():
            try:
                request = await self._requests.next()
                if request is None:
                    await _pause(stop, POLL_SECONDS)
                    continue
                await self._work_off(request, stop)
            except Taken as error:
                _log.info("a page was given up", reason=str(error))
            except (OSError, DBAPIError, PoolTimeout) as error:
                # The lake is away, or the page yielded to a writer: nothing of it was written.
                _log.warning("a page is tried again", error=error_name(error), seconds=AGAIN_SECONDS)
                await _pause(stop, AGAIN_SECONDS)

    async def _work_off(self, request: Request, stop: asyncio.Event) -> None:
        tables = {table.full_name: table for table in (await self._journal.definitions()).values()}
        table = tables.get(request.table)
        if table is None:
            await self._requests.fail(request, f"{request.table} is no captured table of this lake")
            return
        _log.info("backfill goes on", table=request.table, request=str(request.id), rows=request.rows_done)
        while not (request.done or stop.is_set()):
            before = request.rows_done
            try:
                async with self._lake.transaction(actor=ACTOR) as tx:
                    request = await self._requests.write_page(tx, request, table, self._page_rows)
                    failpoint("backfill.before_commit")
            except DBAPIError as error:
                if self._lake.dialect.is_transient(error):
                    raise
                _log.error("a backfill cannot be worked off", table=request.table, error=error_name(error))
                await self._requests.fail(
                    request,
                    f"the lake refused it ({error_name(error)}): its keys are none of the table, or the table's "
                    "functions in schema journal are missing; run the lake's migrations, then ask again",
                )
                return
            failpoint("backfill.after_commit")
            metrics.BACKFILLED.labels(request.table).inc(request.rows_done - before)
            await self._wait_until_relayed(stop)

    async def _wait_until_relayed(self, stop: asyncio.Event) -> None:
        """Let what changes meanwhile wait behind two pages, not behind the whole table.

        One is relayed while the next is written.
        """
        position, self._written = self._written, await self._journal.last_position()
        while self._relayed() < position and not stop.is_set():
            await _pause(stop, RELAYED_POLL_SECONDS)


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
