"""PostgreSQL: the warehouse's landing, written by COPY."""

import io
from collections.abc import AsyncIterator, Sequence
from textwrap import dedent

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from services.chassis.engines.postgresql import as_database_error, asyncpg_connection
from services.lake.journal.lines import COLUMNS
from services.loader.landing.interface import LOADER, TRANSFORMED, TRANSFORMER

READ_LINES = 10_000


class PostgreSQLLanding:
    """The PostgreSQL half of `services.loader.landing.interface.Landing`."""

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
            f"GRANT USAGE ON SCHEMA ods, build TO {LOADER}",
            f"GRANT SELECT ON ALL TABLES IN SCHEMA ods, build TO {LOADER}",
            f"ALTER DEFAULT PRIVILEGES FOR ROLE {TRANSFORMER} IN SCHEMA ods, build GRANT SELECT ON TABLES TO {LOADER}",
            *((f"GRANT INSERT, DELETE ON {written} TO {LOADER}",) if landings else ()),
        )

    def lock_watermark(self) -> sa.TextClause:
        """Lock by FOR UPDATE."""
        return sa.text("SELECT position, batch_id FROM dl.watermark WHERE flow = :flow FOR UPDATE")

    def draw_batch_id(self) -> str:
        """Draw from the sequence."""
        return "SELECT nextval('dl.batch_number')"

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
        with as_database_error(f"COPY {table}"):
            done = await asyncpg_connection(connection).copy_to_table(
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

    async def read(
        self, connection: AsyncConnection, table: str, batch_id: int
    ) -> AsyncIterator[Sequence[bytes]]:
        """Page through the primary key; each page is a COPY of its own."""
        last = (-(2**63), -(2**63))
        while True:
            buffer = io.BytesIO()
            await asyncpg_connection(connection).copy_from_query(
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
