"""The positions of the journal's readers, and the position up to which it was purged."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import NamedTuple

import sqlalchemy as sa

from services.lake.database import Lake, LakeTransaction
from services.lake.journal.model import Position
from services.lake.journal.tables import purged, reader

CHUNK_CHANGES = 4_000
"""Changes that one transaction removes: few enough that its locks and its log do not slow the writers."""


class NoReader(Exception):
    """No reader has reported a position, so nothing may be purged."""


class Reader(NamedTuple):
    """One reader, and the position up to which it never reads again."""

    name: str
    position: Position


class Purged(NamedTuple):
    """A chunk of the journal: the number of changes, and the position of the last one."""

    changes: int
    through: Position


class Retention:
    """The tables `journal.reader` and `journal.purged`, and the old end of the journal."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._dialect = lake.dialect
        self._engine = lake.engine.execution_options(isolation_level="AUTOCOMMIT")

    async def report(self, name: str, position: Position) -> None:
        """Record that reader `name` has everything up to `position` and has saved that position."""
        values = {
            "position_major": position.major,
            "position_minor": position.minor,
            "updated_at": datetime.now(UTC),
        }
        async with self._engine.connect() as connection:
            told = await connection.execute(sa.update(reader).where(reader.c.name == name).values(values))
            if not told.rowcount:
                await connection.execute(sa.insert(reader).values(name=name, **values))

    async def readers(self) -> list[Reader]:
        """Every reader that has ever reported, the one with the lowest position first."""
        async with self._engine.connect() as connection:
            rows = await connection.execute(sa.select(reader))
            found = [Reader(row.name, Position(row.position_major, row.position_minor)) for row in rows]
        return sorted(found, key=lambda one: one.position)

    async def purge(self, before: datetime, *, dry_run: bool = False) -> AsyncIterator[Purged]:
        """Remove the oldest changes of the journal, chunk by chunk, and record the position after each chunk.

        A change is removed when every reader has passed it, and it and all below it were captured before `before`
        (aware). The change at a reader's position stays: with it the reader recognises its journal.

        Args:
            before: changes captured at that time or later stay.
            dry_run: report the chunks and remove nothing.

        Yields:
            Each chunk that was removed, or that would be removed with `dry_run`.

        Raises:
            NoReader: no reader has ever reported a position.
        """
        readers = await self.readers()
        if not readers:
            raise NoReader(
                "journal.reader is empty: no relay has ever reported what it has passed. Start the relay first"
            )
        lowest = readers[0].position
        young = before.astimezone(UTC).replace(tzinfo=None)
        last = Position(0)
        while True:
            async with self._lake.transaction(actor="purge") as tx:
                chunk = await self._chunk(tx, last if dry_run else Position(0), lowest, young)
                if chunk is None:
                    return
                last = chunk.through
                if not dry_run:
                    at = {"major": last.major, "minor": last.minor}
                    await tx.execute(self._dialect.delete_through(), at)
                    await tx.execute(
                        sa.update(purged).values(
                            position_major=last.major, position_minor=last.minor, purged_at=datetime.now(UTC)
                        )
                    )
            yield chunk

    async def _chunk(
        self, tx: LakeTransaction, after: Position, lowest: Position, young: datetime
    ) -> Purged | None:
        rows = await tx.execute(
            self._dialect.select_waiting(),
            {
                "major": after.major,
                "minor": after.minor,
                "horizon_major": lowest.major,
                "limit": CHUNK_CHANGES,
            },
        )
        found = None
        for count, row in enumerate(rows.all(), start=1):
            position = Position(row.major, row.minor)
            if position >= lowest or row.captured_at >= young:
                break
            found = Purged(count, position)
        return found
