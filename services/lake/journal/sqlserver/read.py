"""SQL Server: reads the journal in order, up to its horizon.

The horizon: `MIN_ACTIVE_ROWVERSION()` is the lowest rowversion that an open transaction may still commit, so
rows below it are complete. `@@DBTS` and IDENTITY would lose rows.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from services.lake.journal.catalogue import Catalogue
from services.lake.journal.lines import escaped, time_text
from services.lake.journal.model import (
    Position,
)
from services.lake.journal.sqlserver.catalogue import read_catalogue

READ_LINES = 10_000
READ_BYTES = 8 * 1024 * 1024
_MAX_BIGINT = 2**63 - 1
_ABOVE = (
    "stamp >= CONVERT(binary(8), CAST(:after_major AS bigint)) "
    "AND (stamp > CONVERT(binary(8), CAST(:after_major AS bigint)) OR id > :after_minor) "
    "AND stamp <= CONVERT(binary(8), CAST(:horizon_major AS bigint))"
)


class SQLServerReads:
    """Reads of the journal and of the catalogue."""

    async def begin_stream(self, connection: AsyncConnection) -> None:
        """Do nothing: with TOP and ORDER BY the optimizer uses the clustered key."""

    async def read_horizon(self, connection: AsyncConnection, after: Position) -> Position:
        """Everything below the lowest rowversion of an open transaction is complete."""
        del after
        lowest = await connection.scalar(sa.text("SELECT CONVERT(bigint, MIN_ACTIVE_ROWVERSION())"))
        return Position(int(lowest or 0) - 1, _MAX_BIGINT)

    async def fetch_changes(
        self, connection: AsyncConnection, after: Position, horizon: Position, limit: int, size: int
    ) -> Sequence[Sequence[Any]]:
        """Read by the clustered key; rows below the horizon carry no locks to wait for."""
        rows = await connection.execute(
            sa.text(
                "SELECT major, minor, table_name, operation, [key], image, fingerprint, actor, traceparent, "
                "captured_at FROM (SELECT TOP (:limit) CONVERT(bigint, stamp) AS major, id AS minor, table_name, "
                "operation, [key], image, fingerprint, actor, traceparent, captured_at, "
                # Bytes of UTF-16: an approximation.
                "SUM(CONVERT(bigint, ISNULL(DATALENGTH(image), 0))) OVER (ORDER BY stamp, id ROWS UNBOUNDED PRECEDING) "
                "- ISNULL(DATALENGTH(image), 0) AS preceding_bytes FROM journal.change "
                "WHERE stamp >= CONVERT(binary(8), CAST(:major AS bigint)) "
                "AND (stamp > CONVERT(binary(8), CAST(:major AS bigint)) OR id > :minor) "
                "AND stamp <= CONVERT(binary(8), CAST(:horizon_major AS bigint)) ORDER BY stamp, id) AS page "
                "WHERE preceding_bytes < :size ORDER BY major, minor"
            ),
            {
                "limit": limit,
                "size": size,
                "major": after.major,
                "minor": after.minor,
                "horizon_major": horizon.major,
            },
        )
        return rows.all()

    def create_read(self) -> Sequence[str]:
        """Create nothing: `read_changes` needs no objects on the server."""
        return ()

    def drop_read(self) -> Sequence[str]:
        """Drop nothing."""
        return ()

    async def read_changes(
        self, connection: AsyncConnection, after: Position, limit: int, size: int
    ) -> Sequence[Sequence[Any]]:
        """Read the horizon, then the rows below it."""
        horizon = await self.read_horizon(connection, after)
        if horizon <= after:
            return ()
        return await self.fetch_changes(connection, after, horizon, limit, size)

    def select_last_position(self) -> sa.TextClause:
        """Walk the clustered key backwards from the horizon."""
        return sa.text(
            "SELECT TOP (1) CONVERT(bigint, stamp) AS major, id AS minor FROM journal.change "
            "WHERE stamp <= CONVERT(binary(8), CAST(:horizon_major AS bigint)) ORDER BY stamp DESC, id DESC"
        )

    def select_history(self) -> sa.TextClause:
        """Select by the index on table and key."""
        return sa.text(
            "SELECT CONVERT(bigint, stamp) AS major, id AS minor, table_name, operation, [key], image, "
            "fingerprint, actor, traceparent, captured_at FROM journal.change "
            # Varchar like the columns: a comparison with nvarchar would not use their index.
            "WHERE table_name = CAST(:table_name AS varchar(130)) "
            "AND [key] LIKE '~[\"' + CAST(:first_of_key AS varchar(800)) + '\"%' ESCAPE '~' ORDER BY stamp, id"
        )

    def select_successor(self) -> sa.TextClause:
        """Seek by the index on table and key."""
        return sa.text(
            "SELECT TOP (1) 1 FROM journal.change WHERE table_name = CAST(:table_name AS varchar(130)) "
            "AND [key] = CAST(:key AS varchar(850)) AND stamp >= CONVERT(binary(8), CAST(:major AS bigint)) "
            "AND (stamp > CONVERT(binary(8), CAST(:major AS bigint)) OR id > :minor)"
        )

    async def read_catalogue(self, connection: AsyncConnection, tables: Sequence[str]) -> Catalogue:
        """Read the system's catalogue."""
        return await read_catalogue(connection, tables)

    async def oldest_writer_seconds(self, connection: AsyncConnection) -> float:
        """Select the age of the first change at the horizon, with an uncommitted read.

        The views with the start of a transaction need a right on the whole server.
        """
        milliseconds = await connection.scalar(
            sa.text(
                "SELECT TOP (1) DATEDIFF_BIG(millisecond, captured_at, SYSUTCDATETIME()) "
                "FROM journal.change WITH (READUNCOMMITTED) "
                "WHERE stamp >= MIN_ACTIVE_ROWVERSION() ORDER BY stamp, id"
            )
        )
        return float(milliseconds or 0) / 1000

    def journal_end(self) -> sa.TextClause:
        """Walk the clustered key."""
        return sa.text(
            "SELECT TOP (1) CONVERT(bigint, stamp) AS major, id AS minor, place AS changes FROM ("
            "SELECT TOP (:limit) stamp, id, ROW_NUMBER() OVER (ORDER BY stamp, id) AS place FROM journal.change "
            f"WHERE {_ABOVE} ORDER BY stamp, id) AS batch ORDER BY place DESC"
        )

    def journal_counts(self) -> sa.TextClause:
        """Count by table."""
        return sa.text(
            f"SELECT table_name, COUNT_BIG(*) AS changes FROM journal.change WHERE {_ABOVE} GROUP BY table_name"
        )

    async def journal_blocks(
        self, connection: AsyncConnection, after: Position, through: Position, tables: Sequence[str]
    ) -> AsyncIterator[bytes]:
        """Page through the clustered key."""
        wanted = frozenset(tables)
        while after < through:
            rows = await self.fetch_changes(connection, after, through, READ_LINES, READ_BYTES)
            if not rows:
                return
            lines = [
                b"\t".join(
                    map(
                        escaped,
                        (f"{table} {fingerprint}", *row[:2], *row[3:9], time_text(row[9])),
                    )
                )
                for row in rows
                # `through` may be in the middle of a stamp, but fetch_changes reads whole stamps.
                if (table := row[2]) in wanted and (row[0], row[1]) <= through and (fingerprint := row[6])
            ]
            if lines:
                yield b"\n".join(lines)
            after = Position(rows[-1][0], rows[-1][1])
