"""PostgreSQL: the warehouse's landing, written by COPY."""

import io
from collections.abc import AsyncIterator, Sequence
from textwrap import dedent
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from services.chassis.dialects.landing import COLUMNS, LOADER, TRANSFORMED, TRANSFORMER

READ_LINES = 10_000
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
            *((f"GRANT INSERT, DELETE ON {written} TO {LOADER}",) if landings else ()),
        )

    def lock_watermark(self) -> sa.TextClause:
        """Lock by FOR UPDATE."""
        return sa.text("SELECT position, batch_id FROM dl.watermark WHERE flow = :flow FOR UPDATE")

    def set_lock_wait(self) -> str:
        """Set it for the transaction."""
        return "SET LOCAL lock_timeout = '10s'"

    def draw_batch_id(self) -> str:
        """Draw from the sequence."""
        return "SELECT nextval('dl.batch_number')"

    def is_locked(self, error: BaseException) -> bool:
        """Know it by its SQLSTATE."""
        return getattr(getattr(error, "orig", error), "sqlstate", None) == LOCK_NOT_AVAILABLE

    async def write(
        self, connection: AsyncConnection, table: str, batch_id: int, lines: Sequence[bytes]
    ) -> int:
        """COPY them in, each with the batch id before it."""
        prefix = b"%d\t" % batch_id
        block = prefix + (b"\n" + prefix).join(lines) + b"\n"
        done = await driver(connection).copy_to_table(
            table, schema_name="dl", columns=("batch_id", *COLUMNS), source=io.BytesIO(block)
        )
        return int(done.removeprefix("COPY "))

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


def driver(connection: AsyncConnection) -> Any:
    """Give asyncpg's own connection, for COPY."""
    synchronous = connection.sync_connection
    if synchronous is None:
        raise RuntimeError("the connection is not open")
    return synchronous.connection.driver_connection
