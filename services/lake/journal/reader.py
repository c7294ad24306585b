"""Reads the journal without loss: strictly rising positions, never above the horizon."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from services.lake.database import Lake
from services.lake.journal.dialect import JournalDialect
from services.lake.journal.model import START, CapturedTable, Position
from services.lake.journal.tables import purged

READ_BYTES = 8 * 1024 * 1024
"""The approximate limit of one read, in bytes, whatever the size of the rows."""


# The definitions are read every second, but rarely change.
_definition = lru_cache(maxsize=1024)(CapturedTable.from_json)


class Change(NamedTuple):
    """One captured change: the row's image after it (None for a delete), its actor and its trace.

    `operation` is c(reate), u(pdate), d(elete), or r(ead) for a row that a backfill re-journalled. `captured_at` is
    in UTC, naive as the engines return it. A plain tuple, because the relay reads a hundred thousand a second.
    """

    major: int
    minor: int
    table: str
    operation: str
    key: str
    image: str | None
    fingerprint: str
    actor: str
    traceparent: str | None
    captured_at: datetime

    @property
    def position(self) -> Position:
        """The position of the change in the journal."""
        return Position(self.major, self.minor)


class JournalStream:
    """Reads changes on one connection in autocommit mode."""

    def __init__(self, dialect: JournalDialect, connection: AsyncConnection) -> None:
        self._dialect = dialect
        self._connection = connection

    async def read(self, after: Position, limit: int) -> list[Change]:
        """Read at most `limit` committed changes above `after`, in order, and about READ_BYTES at most.

        An empty list means that nothing more is complete yet, not that nothing was written.
        """
        rows = await self._dialect.read_changes(self._connection, after, limit, READ_BYTES)
        return list(map(Change._make, rows))


class JournalReader:
    """Reads changes in order of position; has no state, so any number of readers can run at once."""

    def __init__(self, lake: Lake) -> None:
        self._dialect = lake.dialect
        # Autocommit: each statement has its own snapshot, which a correct horizon needs, and fewer round trips.
        self._engine = lake.engine.execution_options(isolation_level="AUTOCOMMIT")

    @asynccontextmanager
    async def stream(self) -> AsyncIterator["JournalStream"]:
        """Keep one connection for repeated reads; for one reader at a time."""
        async with self._engine.connect() as connection:
            await self._dialect.begin_stream(connection)
            try:
                yield JournalStream(self._dialect, connection)
            finally:
                # Discard the connection with its settings and unfinished reads.
                await connection.invalidate()

    async def read(self, after: Position, limit: int) -> list[Change]:
        """Read at most `limit` committed changes above `after`, in order, and about READ_BYTES at most.

        An empty list means that nothing more is complete yet, not that nothing was written.
        """
        async with self._engine.connect() as connection:
            return await JournalStream(self._dialect, connection).read(after, limit)

    async def horizon(self) -> Position:
        """The position at or below which no further change can appear. Use it as a filter; never save it."""
        async with self._engine.connect() as connection:
            return await self._dialect.read_horizon(connection, START)

    async def last_position(self) -> Position:
        """The position of the last change that is complete; the start when there is none."""
        async with self._engine.connect() as connection:
            horizon = await self._dialect.read_horizon(connection, START)
            rows = await connection.execute(
                self._dialect.select_last_position(), {"horizon_major": horizon.major}
            )
            row = rows.first()
            return Position(0) if row is None else Position(row.major, row.minor)

    async def incarnation(self) -> UUID:
        """The id of this journal; a restored or replaced journal must get a new id."""
        async with self._engine.connect() as connection:
            found = await connection.scalar(sa.text("SELECT id FROM journal.incarnation"))
            return found if isinstance(found, UUID) else UUID(str(found))

    async def purged(self) -> Position:
        """The position up to which the journal was purged; the start when it never was."""
        async with self._engine.connect() as connection:
            row = (await connection.execute(sa.select(purged))).one()
        return Position(row.position_major, row.position_minor)

    async def captured_at(self, position: Position) -> datetime | None:
        """When the change at exactly `position` was captured (UTC, naive); None when the journal holds none."""
        before = Position(position.major, position.minor - 1)
        if position.minor == 0:
            before = Position(position.major - 1, 2**63 - 1)
        async with self._engine.connect() as connection:
            rows = await self._dialect.fetch_changes(connection, before, position, 1, READ_BYTES)
        if not rows or (found := Change._make(rows[0])).position != position:
            return None
        return found.captured_at

    async def read_between(self, after: Position, through: Position, limit: int) -> list[Change]:
        """Read at most `limit` changes above `after` and not above `through`, and about READ_BYTES at most.

        `through` must be the position of a change that was read: below it no further change can appear.
        """
        async with self._engine.connect() as connection:
            rows = await self._dialect.fetch_changes(connection, after, through, limit, READ_BYTES)
        return [change for row in rows if (change := Change._make(row)).position <= through]

    async def is_superseded(self, table: str, key: str, position: Position) -> bool:
        """Whether a change of the row above `position` is committed: the image at `position` is then obsolete."""
        async with self._engine.connect() as connection:
            found = await connection.execute(
                self._dialect.select_successor(),
                {"table_name": table, "key": key, "major": position.major, "minor": position.minor},
            )
            return found.first() is not None

    async def definitions(self) -> dict[str, CapturedTable]:
        """Every definition that images were ever written with, by fingerprint."""
        async with self._engine.connect() as connection:
            rows = await connection.execute(
                sa.text("SELECT fingerprint, definition FROM journal.captured_table ORDER BY installed_at")
            )
            return {fingerprint: _definition(text) for fingerprint, text in rows}

    async def oldest_writer_seconds(self) -> float:
        """For how many seconds the oldest open transaction has held the horizon back."""
        async with self._engine.connect() as connection:
            return await self._dialect.oldest_writer_seconds(connection)
