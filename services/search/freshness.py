"""How far the replica is behind the lake, for the headers of every answer that comes from it."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from services.chassis.database import ApplicationDatabase
from services.chassis.error_names import error_name
from services.chassis.telemetry.logging import get_logger
from services.lake.database import Lake
from services.lake.journal.model import Position

MEASURE_SECONDS = 1.0
"""Seconds between two measurements."""
LAG_HEADER = "Replica-Lag"
VERIFIED_HEADER = "Replica-Verified"

_SELECT_FRESHNESS = sa.text(
    "SELECT whole_major, whole_minor, stopped_since, verified_at FROM replication.freshness"
)
_LAST = 2**63 - 1
_log = get_logger(__name__)


class Progress(Protocol):
    """What the replica has applied, and what the lake has beyond that."""

    async def applied(self) -> tuple[Position, datetime | None, datetime | None]:
        """Up to where everything is applied, since when a table is stopped, and when both sides were found equal."""

    async def oldest_beyond(self, position: Position) -> datetime | None:
        """When the first change beyond `position` was captured; None without one."""


class StoredProgress:
    """The progress as replicator and journal keep it."""

    def __init__(self, application: ApplicationDatabase, lake: Lake) -> None:
        self._application = application
        self._lake = lake

    async def applied(self) -> tuple[Position, datetime | None, datetime | None]:
        """Read the replicator's view of it."""
        async with self._application.reading() as reader:
            row = (await reader.execute(_SELECT_FRESHNESS)).one()
        return Position(row.whole_major, row.whole_minor), row.stopped_since, row.verified_at

    async def oldest_beyond(self, position: Position) -> datetime | None:
        """Read the journal: what is committed counts, whether or not the relay may read it yet."""
        parameters = {
            "major": position.major,
            "minor": position.minor,
            "horizon_major": _LAST,
            "limit": 1,
        }
        async with self._lake.reading() as reader:
            waiting = (await reader.execute(reader.dialect.select_waiting(), parameters)).first()
        return None if waiting is None else waiting.captured_at.replace(tzinfo=UTC)


def utc_now() -> datetime:
    """The time now."""
    return datetime.now(UTC)


class Freshness:
    """What is known of the replica's lag: measured in the background, so that no answer waits for the lake.

    Between two measurements, and while the lake does not answer, the lag grows with the clock: it is an upper bound.
    """

    def __init__(self, progress: Progress, *, clock: Callable[[], datetime] = utc_now) -> None:
        """`clock` gives the time, as the lake's clock does."""
        self._progress = progress
        self._clock = clock
        self.whole_until: datetime | None = None
        """Every change that was captured before this is in the replica; None before the first measurement."""
        self._verified_at: datetime | None = None

    def headers(self) -> dict[str, str]:
        """The headers of an answer from the replica; without a measurement or a verification they are left out."""
        headers = {}
        if self.whole_until is not None:
            lag = max(timedelta(0), self._clock() - self.whole_until)
            headers[LAG_HEADER] = f"{lag.total_seconds():.3f}"
        if self._verified_at is not None:
            headers[VERIFIED_HEADER] = self._verified_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return headers

    async def measure(self) -> None:
        """Find until when everything captured is in the replica; raises what the databases raise."""
        now = self._clock()
        whole, stopped_since, self._verified_at = await self._progress.applied()
        # In this order: what is applied meanwhile makes the lag too long, never too short.
        waiting_since = await self._progress.oldest_beyond(whole)
        self.whole_until = min(at for at in (now, stopped_since, waiting_since) if at is not None)

    async def keep_measured(self) -> None:
        """Measure again and again; runs until it is cancelled."""
        fails = False
        while True:
            try:
                await self.measure()
                fails = False
            except (SQLAlchemyError, OSError) as error:
                if not fails:
                    _log.warning("the replica's lag cannot be measured", error=error_name(error))
                fails = True
            await asyncio.sleep(MEASURE_SECONDS)
