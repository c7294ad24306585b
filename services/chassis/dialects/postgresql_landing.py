"""PostgreSQL: the warehouse's landing, written by COPY."""

import asyncio
import io
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from textwrap import dedent
from typing import Any

import asyncpg
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from services.chassis.dialects.interface import Position
from services.chassis.dialects.landing import COLUMNS, LOADER, TRANSFORMED, TRANSFORMER

READ_LINES = 10_000
BLOCK_BYTES = 4 * 1024 * 1024
_JOURNAL_LINES = (
    "SELECT table_name || ' ' || fingerprint, position, 0, operation, key, image, fingerprint, actor, traceparent, "
    "captured_at FROM journal.change WHERE position > $1 AND position <= $2 AND table_name = ANY($3) ORDER BY position"
)
LOCK_NOT_AVAILABLE = "55P03"


class PostgreSQLLanding:
    """The PostgreSQL half of `services.chassis.dialects.landing.Landing`."""

    def create_table(self, name: str) -> Sequence[str]:
        """Create it with its primary key and no other index: dbt reads whole batches."""
        return (
            dedent(f"""\
                CREATE TABLE IF NOT EXISTS dl.{name} (
                    batch_id bigint NOT NULL,
                    position_major bigint NOT NULL,
                    position_minor bigint NOT NULL,
                    operation char(1) NOT NULL,
                    row_key text NOT NULL,
                    image text,
                    fingerprint varchar(16),
                    actor varchar(128),
                    traceparent varchar(55),
                    captured_at timestamp,
                    CONSTRAINT pk_{name} PRIMARY KEY (batch_id, position_major, position_minor)
                )"""),
        )

    def create_schemas(self) -> Sequence[str]:
        """Create the schemas, and grant CREATE on the database, whatever its name."""
        return (
            *(f"CREATE SCHEMA IF NOT EXISTS {name} AUTHORIZATION {TRANSFORMER}" for name in TRANSFORMED),
            dedent(f"""\
                DO $$ BEGIN
                    EXECUTE format('GRANT CREATE ON DATABASE %I TO {TRANSFORMER}', current_database());
                END $$"""),
        )

    def grants(self, landings: Sequence[str]) -> Sequence[str]:
        """Grant by table."""
        written = ", ".join(f"dl.{name}" for name in landings)
        return (
            f"GRANT USAGE ON SCHEMA dl TO {LOADER}, {TRANSFORMER}",
            f"GRANT SELECT ON ALL TABLES IN SCHEMA dl TO {LOADER}, {TRANSFORMER}",
            f"GRANT INSERT ON dl.batch, dl.batch_target, dl.quality_result TO {LOADER}",
            f"GRANT INSERT, UPDATE ON dl.watermark TO {LOADER}",
            f"GRANT USAGE ON SEQUENCE dl.batch_number TO {LOADER}",
            # What becomes of the landed rows is compared with their source; also tables that are yet to be made.
            f"GRANT USAGE ON SCHEMA ods TO {LOADER}",
            f"GRANT SELECT ON ALL TABLES IN SCHEMA ods TO {LOADER}",
            f"ALTER DEFAULT PRIVILEGES FOR ROLE {TRANSFORMER} IN SCHEMA ods GRANT SELECT ON TABLES TO {LOADER}",
            *((f"GRANT INSERT, DELETE ON {written} TO {LOADER}",) if landings else ()),
        )

    def lock_watermark(self) -> sa.TextClause:
        """Lock by FOR UPDATE."""
        return sa.text("SELECT position, batch_id FROM dl.watermark WHERE flow = :flow FOR UPDATE")

    def set_lock_wait(self) -> str:
        """Set it for the transaction."""
        return "SET LOCAL lock_timeout = '5s'"

    def draw_batch_id(self) -> str:
        """Draw from the sequence."""
        return "SELECT nextval('dl.batch_number')"

    def is_locked(self, error: BaseException) -> bool:
        """Know it by its SQLSTATE."""
        return getattr(getattr(error, "orig", error), "sqlstate", None) == LOCK_NOT_AVAILABLE

    def create_stage(self, table: str) -> Sequence[str]:
        """Create a temporary table."""
        return (f"CREATE TEMPORARY TABLE stage_{table} (LIKE dl.{table}) ON COMMIT DROP",)

    async def write(
        self,
        connection: AsyncConnection,
        table: str,
        batch_id: int,
        lines: Sequence[bytes],
        *,
        stage: bool = False,
    ) -> int:
        """COPY them in, each with the batch id before it."""
        prefix = b"%d\t" % batch_id
        block = prefix + (b"\n" + prefix).join(lines) + b"\n"
        with _as_sqlalchemy(f"COPY {table}"):
            done = await driver(connection).copy_to_table(
                f"stage_{table}" if stage else table,
                schema_name=None if stage else "dl",
                columns=("batch_id", *COLUMNS),
                source=io.BytesIO(block),
            )
        return int(done.removeprefix("COPY "))

    def count_alive(self, table: str) -> sa.TextClause:
        """Count them."""
        return sa.text(f"SELECT count(*) FROM ({_newest(f'dl.{table}')}) AS latest WHERE operation <> 'd'")

    def land_differences(self, table: str, *, complete: bool) -> sa.TextClause:
        """Join the newest of both sides by their key."""
        gone = (
            "UNION ALL SELECT NULL, 'd', row_key, NULL, NULL FROM latest WHERE operation <> 'd' "
            "AND NOT EXISTS (SELECT FROM found WHERE found.row_key = latest.row_key) "
        )
        return sa.text(
            f"WITH latest AS ({_newest(f'dl.{table}')}), found AS ({_newest(f'stage_{table}')}), "
            "differing AS (SELECT found.position_minor AS place, "
            "CASE WHEN coalesce(latest.operation, 'd') = 'd' THEN 'c' ELSE 'u' END AS operation, found.row_key, "
            "found.image, found.actor FROM found LEFT JOIN latest ON latest.row_key = found.row_key "
            "WHERE coalesce(latest.operation, 'd') = 'd' OR latest.image <> found.image "
            f"{gone if complete else ''}) "
            f"INSERT INTO dl.{table} (batch_id, position_major, position_minor, operation, row_key, image, actor, "
            "captured_at) SELECT :batch_id, :batch_id, row_number() OVER (ORDER BY place NULLS LAST, row_key), "
            "operation, row_key, image, actor, clock_timestamp() AT TIME ZONE 'UTC' FROM differing"
        )

    def delete_batch(self, table: str) -> sa.TextClause:
        """Delete by the primary key."""
        return sa.text(f"DELETE FROM dl.{table} WHERE batch_id = :batch_id")

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
        """COPY them out, one statement for all; the server waits while a block is being written elsewhere."""
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
                with _as_sqlalchemy("COPY journal.change"):
                    await driver(connection).copy_from_query(
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

    async def read(
        self, connection: AsyncConnection, table: str, batch_id: int
    ) -> AsyncIterator[Sequence[bytes]]:
        """Page through the primary key; each page is a COPY of its own."""
        last = (-(2**63), -(2**63))
        while True:
            buffer = io.BytesIO()
            await driver(connection).copy_from_query(
                f"SELECT {', '.join(COLUMNS)} FROM dl.{table} WHERE batch_id = $1 "
                "AND (position_major, position_minor) > ($2, $3) "
                "ORDER BY position_major, position_minor LIMIT $4",
                batch_id,
                *last,
                READ_LINES,
                output=buffer,
            )
            lines = buffer.getvalue().split(b"\n")[:-1]
            if not lines:
                return
            yield lines
            major, minor, _ = lines[-1].split(b"\t", 2)
            last = (int(major), int(minor))


def _newest(table: str) -> str:
    return (
        f"SELECT DISTINCT ON (row_key) row_key, operation, image, actor, position_minor FROM {table} "
        "ORDER BY row_key, position_major DESC, position_minor DESC"
    )


@contextmanager
def _as_sqlalchemy(statement: str) -> Iterator[None]:
    """Let the driver's errors be SQLAlchemy's, as those of all other statements are."""
    try:
        yield
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise sa.exc.DBAPIError(statement, None, error, hide_parameters=True) from error


def driver(connection: AsyncConnection) -> Any:
    """Give asyncpg's own connection, for COPY."""
    synchronous = connection.sync_connection
    if synchronous is None:
        raise RuntimeError("the connection is not open")
    return synchronous.connection.driver_connection
