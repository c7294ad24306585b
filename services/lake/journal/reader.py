"""Read the journal without losing anything: strictly rising positions, never past the horizon."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from services.chassis.database import Lake
from services.chassis.dialects import CapturedTable, Position


@dataclass(frozen=True, slots=True)
class Change:
    """One captured change: the image of the row after it (None for a delete), and who did it in which trace.

    `operation` is c(reate), u(pdate), d(elete), or r(ead) for a row that a backfill re-journalled.
    """

    position: Position
    table: str
    operation: str
    key: str
    image: str | None
    fingerprint: str
    actor: str
    traceparent: str | None
    captured_at: datetime


class JournalReader:
    """Reads changes in order of position; holds no state, so any number may read at once."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._select = lake.dialect.select_changes()

    async def read(self, after: Position, limit: int) -> list[Change]:
        """Read at most `limit` committed changes above `after`, in order.

        An empty list means that nothing more is complete yet, not that nothing was written.
        """
        async with self._lake.engine.connect() as connection:
            # READ COMMITTED: the rows are read in a later snapshot than the horizon, so whatever had
            # committed when the horizon was taken is visible.
            horizon = await self._lake.dialect.read_horizon(connection)
            if horizon <= after:
                return []
            rows = await connection.execute(
                self._select,
                {
                    "major": after.major,
                    "minor": after.minor,
                    "horizon_major": horizon.major,
                    "limit": limit,
                },
            )
            return [_change(row) for row in rows]

    async def horizon(self) -> Position:
        """The position at or below which nothing can appear any more. A filter; never to be saved."""
        async with self._lake.engine.connect() as connection:
            return await self._lake.dialect.read_horizon(connection)

    async def last_position(self) -> Position:
        """The position of the last change that is complete; the start when there is none."""
        async with self._lake.engine.connect() as connection:
            horizon = await self._lake.dialect.read_horizon(connection)
            rows = await connection.execute(
                self._lake.dialect.select_last_position(), {"horizon_major": horizon.major}
            )
            row = rows.first()
            return Position(0) if row is None else Position(row.major, row.minor)

    async def incarnation(self) -> UUID:
        """Which journal this is; a restored or replaced one must be given a new id."""
        async with self._lake.engine.connect() as connection:
            found = await connection.scalar(sa.text("SELECT id FROM journal.incarnation"))
            return found if isinstance(found, UUID) else UUID(str(found))

    async def captured_at(self, position: Position) -> datetime | None:
        """When the change at exactly `position` was captured; None when the journal holds no such change."""
        before = (
            Position(position.major - 1, 2**63 - 1)
            if position.minor == 0
            else Position(position.major, position.minor - 1)
        )
        async with self._lake.engine.connect() as connection:
            rows = await connection.execute(
                self._select,
                {"major": before.major, "minor": before.minor, "horizon_major": position.major, "limit": 1},
            )
            row = rows.first()
            if row is None or Position(row.major, row.minor) != position:
                return None
            captured: datetime = row.captured_at
            return captured.replace(tzinfo=UTC)

    async def definitions(self) -> dict[str, CapturedTable]:
        """Every definition that images were ever written by, by fingerprint."""
        async with self._lake.engine.connect() as connection:
            rows = await connection.execute(
                sa.text("SELECT fingerprint, definition FROM journal.captured_table ORDER BY installed_at")
            )
            return {fingerprint: CapturedTable.from_json(text) for fingerprint, text in rows}

    async def oldest_writer_seconds(self) -> float:
        """For how long the oldest open transaction has been holding the horizon back, in seconds."""
        async with self._lake.engine.connect() as connection:
            return await self._lake.dialect.oldest_writer_seconds(connection)


def _change(row: Sequence[Any]) -> Change:
    major, minor, table, operation, key, image, fingerprint, actor, traceparent, captured_at = row
    return Change(
        Position(major, minor),
        table,
        operation,
        key,
        image,
        fingerprint,
        actor,
        traceparent,
        captured_at.replace(tzinfo=UTC),
    )
