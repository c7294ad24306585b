"""Applications that nobody can approve: no approval band covers their amount in their currency.

The queue is built from bands, so it never shows them. Intake refuses to submit them. Applications that were submitted
before that check, or whose band was removed since, are listed and counted here. A version keeps
the bands of its submission.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from prometheus_client import Gauge
from sqlalchemy.exc import SQLAlchemyError

from services.chassis.telemetry.logging import get_logger
from services.lake import bands
from services.lake.database import Lake
from services.lake.domain.states import State
from services.lake.tables import application, application_version, approval_band

COUNT_EVERY_SECONDS = 30.0

WITHOUT_BAND = Gauge(
    "credit_applications_without_band",
    "Applications that wait for a decision that nobody can make, because no approval band covers them.",
)

_OPEN = (State.SUBMITTED, State.IN_REVIEW)
_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Uncovered:
    """A waiting application that no band covers; `amount` in `currency`."""

    id: UUID
    version: int
    product_code: str
    amount: Decimal
    currency: str
    submitted_at: datetime


def _uncovered(*columns: Any) -> sa.Select[Any]:
    version, band = application_version, approval_band.c
    covered = sa.exists().where(
        band.currency == version.c.currency,
        bands.counting(version.c.submitted_at),
        version.c.amount >= band.amount_from,
        sa.or_(band.amount_below.is_(None), version.c.amount < band.amount_below),
    )
    return (
        sa.select(*columns)
        .join_from(
            application,
            version,
            sa.and_(
                version.c.application_id == application.c.id,
                version.c.version == application.c.current_version,
            ),
        )
        .where(application.c.state.in_(_OPEN), ~covered)
    )


def select_uncovered(limit: int) -> sa.Select[Any]:
    """Read the waiting applications without a band, oldest first."""
    version = application_version.c
    columns = (version.version, version.product_code, version.amount, version.currency)
    return (
        _uncovered(application.c.id, *columns, application.c.submitted_at)
        .order_by(application.c.submitted_at, application.c.id)
        .limit(limit)
    )


def count_uncovered() -> sa.Select[Any]:
    """Count them."""
    return _uncovered(sa.func.count())


class Backlog:
    """The waiting applications that are in no queue."""

    def __init__(self, lake: Lake) -> None:
        """`lake`: the database that holds applications and bands."""
        self._lake = lake

    async def uncovered(self, limit: int) -> list[Uncovered]:
        """The oldest applications that no band covers."""
        async with self._lake.reading() as reader:
            rows = (await reader.execute(select_uncovered(limit))).mappings()
            return [Uncovered(**row) for row in rows]

    async def count(self) -> None:
        """Count them for the metric."""
        async with self._lake.reading() as reader:
            WITHOUT_BAND.set(await reader.scalar(count_uncovered()) or 0)

    async def keep_counted(self) -> None:
        """Count again and again; runs until it is cancelled."""
        while True:
            try:
                await self.count()
            except (SQLAlchemyError, OSError) as error:
                _log.warning("applications without a band could not be counted", error=type(error).__name__)
            await asyncio.sleep(COUNT_EVERY_SECONDS)


def statements() -> Iterator[sa.Executable]:
    """Yield an example of every statement of the backlog."""
    yield select_uncovered(1)
    yield count_uncovered()
