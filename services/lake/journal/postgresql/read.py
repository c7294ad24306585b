"""PostgreSQL: reads the journal in order, up to its horizon."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from textwrap import dedent
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from services.chassis.engines.postgresql import as_database_error, asyncpg_connection
from services.lake.journal.catalogue import Catalogue
from services.lake.journal.model import (
    Position,
)
from services.lake.journal.postgresql.capture import FIRST_OF_KEY
from services.lake.journal.postgresql.catalogue import read_catalogue

BLOCK_BYTES = 4 * 1024 * 1024
_JOURNAL_LINES = (
    "SELECT table_name || ' ' || fingerprint, position, 0, operation, key, image, fingerprint, actor, traceparent, "
    "captured_at FROM journal.change WHERE position > $1 AND position <= $2 AND table_name = ANY($3) ORDER BY position"
)
_HORIZON = (
    "SELECT CASE WHEN last <= $1 THEN last ELSE journal.horizon() END "
    "FROM pg_sequence_last_value('journal.position') AS last"
)
_CHANGE = "table_name, operation, key, image, fingerprint, actor, traceparent, captured_at"


def _page(above: str, through: str, limit: str, size: str) -> str:
    """Read the changes above one position and up to another, all expressions.

    The sizes of images are known without reading those that are stored out of line (TOAST). A row is left out when
    the rows before it already have `size` bytes.
    """
    return (
        "(SELECT c.*, sum(coalesce(octet_length(c.image), 0)) OVER (ORDER BY c.position ROWS UNBOUNDED PRECEDING) "
        "- coalesce(octet_length(c.image), 0) AS preceding_bytes FROM journal.change AS c "
        f"WHERE c.position > {above} AND c.position <= {through} ORDER BY c.position LIMIT {limit}) AS page "
        f"WHERE preceding_bytes < {size} ORDER BY position"
    )


_FETCH_CHANGES = f"SELECT position, 0, {_CHANGE} FROM {_page('$1', '$2', '$3', '$4')}"

# One round trip, but two statements: each statement of a volatile function has its own snapshot.
_CREATE_READ = dedent(f"""\
    CREATE FUNCTION journal.read(above bigint, most integer, bytes bigint)
    RETURNS SETOF journal.change LANGUAGE plpgsql VOLATILE AS $$
    DECLARE
        last bigint := pg_sequence_last_value('journal.position');
        -- The locks are looked at only when positions were drawn since.
        complete bigint := CASE WHEN last <= above THEN last ELSE journal.horizon() END;
    BEGIN
        IF complete > above THEN
            RETURN QUERY SELECT position, {_CHANGE}
            FROM {_page("above", "complete", "most", "bytes")};
        END IF;
    END $$""")
_READ = f"SELECT position, 0, {_CHANGE} FROM journal.read($1, $2, $3)"


class PostgreSQLReads:
    """Reads of the journal and of the catalogue."""

    async def begin_stream(self, connection: AsyncConnection) -> None:
        """Make the planner use the primary key.

        A generic plan does not know how wide its range is: it would read and sort the whole rest of the journal to
        get the first two thousand rows.
        """
        for way in ("enable_seqscan", "enable_bitmapscan", "enable_sort"):
            await connection.exec_driver_sql(f"SET {way} = off")

    async def read_horizon(self, connection: AsyncConnection, after: Position) -> Position:
        """Read the locks only when positions above `after` were drawn."""
        return Position(int(await asyncpg_connection(connection).fetchval(_HORIZON, after.major)))

    async def fetch_changes(
        self, connection: AsyncConnection, after: Position, horizon: Position, limit: int, size: int
    ) -> Sequence[Sequence[Any]]:
        """Read by the primary key; minors are always 0 on PostgreSQL."""
        rows: Sequence[Sequence[Any]] = await asyncpg_connection(connection).fetch(
            _FETCH_CHANGES, after.major, horizon.major, limit, size
        )
        return rows

    def create_read(self) -> Sequence[str]:
        """Create the function that `read_changes` calls."""
        return (_CREATE_READ,)

    def drop_read(self) -> Sequence[str]:
        """Drop it."""
        return ("DROP FUNCTION journal.read",)

    async def read_changes(
        self, connection: AsyncConnection, after: Position, limit: int, size: int
    ) -> Sequence[Sequence[Any]]:
        """Read the horizon and the rows below it in one call."""
        rows: Sequence[Sequence[Any]] = await asyncpg_connection(connection).fetch(
            _READ, after.major, limit, size
        )
        return rows

    def select_last_position(self) -> sa.TextClause:
        """Walk the primary key backwards from the horizon."""
        return sa.text(
            "SELECT position AS major, 0::bigint AS minor FROM journal.change "
            "WHERE position <= :horizon_major ORDER BY position DESC LIMIT 1"
        )

    def select_history(self) -> sa.TextClause:
        """Select by the index on the key's first text."""
        return sa.text(
            "SELECT position AS major, 0::bigint AS minor, table_name, operation, key, image, "
            "fingerprint, actor, traceparent, captured_at FROM journal.change "
            f"WHERE {FIRST_OF_KEY} = :first_of_key AND table_name = :table_name ORDER BY position"
        )

    def select_successor(self) -> sa.TextClause:
        """Seek by the index on the key's first text."""
        first = FIRST_OF_KEY.replace("key", "CAST(:key AS text)")
        return sa.text(
            f"SELECT 1 FROM journal.change WHERE {FIRST_OF_KEY} = {first} AND table_name = :table_name "
            "AND key = :key AND (position, 0::bigint) > (:major, :minor) LIMIT 1"
        )

    async def read_catalogue(self, connection: AsyncConnection, tables: Sequence[str]) -> Catalogue:
        """Read the system's catalogue."""
        return await read_catalogue(connection, tables)

    async def oldest_writer_seconds(self, connection: AsyncConnection) -> float:
        """Select the age of the oldest transaction that holds a horizon lock, prepared transactions included."""
        seconds = await connection.scalar(sa.text("SELECT journal.oldest_writer_seconds()"))
        return float(seconds or 0)

    def journal_end(self) -> sa.TextClause:
        """Walk the primary key."""
        return sa.text(
            "SELECT max(position) AS major, 0::bigint AS minor, count(*) AS changes FROM ("
            "SELECT position FROM journal.change WHERE position > :after_major AND :after_minor = 0 "
            "AND position <= :horizon_major ORDER BY position LIMIT :limit) AS batch HAVING count(*) > 0"
        )

    def journal_counts(self) -> sa.TextClause:
        """Count by table."""
        return sa.text(
            "SELECT table_name, count(*) AS changes FROM journal.change WHERE position > :after_major "
            "AND :after_minor = 0 AND position <= :horizon_major GROUP BY table_name"
        )

    async def journal_blocks(
        self, connection: AsyncConnection, after: Position, through: Position, tables: Sequence[str]
    ) -> AsyncIterator[bytes]:
        """COPY them out with one statement; the server waits while the caller writes a block."""
        blocks: asyncio.Queue[bytes | None] = asyncio.Queue(maxsize=1)
        pending: list[bytes] = []
        size = 0

        async def take(data: bytes) -> None:
            nonlocal size
            pending.append(data)
            size += len(data)
            if size >= BLOCK_BYTES:
                block, _, rest = b"".join(pending).rpartition(b"\n")
                pending[:], size = [rest], len(rest)
                await blocks.put(block)

        async def copy() -> None:
            try:
                with as_database_error("COPY journal.change"):
                    await asyncpg_connection(connection).copy_from_query(
                        _JOURNAL_LINES, after.major, through.major, list(tables), output=take
                    )
                if rest := b"".join(pending):
                    await blocks.put(rest.removesuffix(b"\n"))
            finally:
                await blocks.put(None)

        copying = asyncio.create_task(copy())
        try:
            while (block := await blocks.get()) is not None:
                yield block
            await copying
        finally:
            copying.cancel()
            await asyncio.gather(copying, return_exceptions=True)
