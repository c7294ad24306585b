"""SQL Server 2019 and later: the warehouse's landing, written by OPENJSON."""

from collections.abc import AsyncIterator, Sequence

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from services.chassis.engines.sqlserver import CODE, TEXT
from services.lake.journal.lines import COLUMNS, escaped, time_text, unescaped
from services.loader.landing.interface import LOADER, TRANSFORMED, TRANSFORMER

WRITE_LINES, READ_LINES = 5_000, 10_000

_TYPES = {
    "position_major": "bigint",
    "position_minor": "bigint",
    "operation": f"char(1) {CODE}",
    "row_key": f"varchar(max) {CODE}",
    "image": f"nvarchar(max) {TEXT}",
    "fingerprint": f"varchar(16) {CODE}",
    "actor": f"nvarchar(128) {TEXT}",
    "traceparent": f"varchar(55) {CODE}",
    "captured_at": "datetime2(6)",
}
# Unicode, as OPENJSON would make texts of its WITH clause varchar by the database's own collation.
_JSON_TYPES = {
    "position_major": "bigint",
    "position_minor": "bigint",
    "operation": "nchar(1)",
    "row_key": "nvarchar(max)",
    "image": "nvarchar(max)",
    "fingerprint": "nvarchar(16)",
    "actor": "nvarchar(128)",
    "traceparent": "nvarchar(55)",
    "captured_at": "datetime2(6)",
}
_REQUIRED = frozenset({"position_major", "position_minor", "operation", "row_key"})


class SQLServerLanding:
    """The SQL Server half of `services.loader.landing.interface.Landing`."""

    def create_table(self, name: str) -> Sequence[str]:
        """Create it with its clustered primary key and no other index: dbt reads whole batches."""
        columns = ",\n".join(
            f"    {column} {type_} {'NOT NULL' if column in _REQUIRED else 'NULL'}"
            for column, type_ in _TYPES.items()
        )
        return (
            f"IF OBJECT_ID(N'dl.{name}', N'U') IS NULL\n"
            f"CREATE TABLE dl.{name} (\n"
            "    batch_id bigint NOT NULL,\n"
            f"{columns},\n"
            f"    CONSTRAINT pk_{name} PRIMARY KEY CLUSTERED (batch_id, position_major, position_minor)\n"
            ")",
        )

    def create_schemas(self) -> Sequence[str]:
        """Create the schemas; by EXEC, because CREATE SCHEMA must be alone in its batch."""
        return (
            *(
                f"IF SCHEMA_ID(N'{name}') IS NULL EXEC (N'CREATE SCHEMA {name} AUTHORIZATION {TRANSFORMER}')"
                for name in TRANSFORMED
            ),
            f"GRANT CREATE SCHEMA, CREATE TABLE, CREATE VIEW, CREATE FUNCTION, CREATE PROCEDURE TO {TRANSFORMER}",
        )

    def grants(self, landings: Sequence[str]) -> Sequence[str]:
        """Grant reading by schema, writing by table; a sequence is drawn from by the right to update it."""
        return (
            f"GRANT SELECT ON SCHEMA::dl TO {LOADER}, {TRANSFORMER}",
            *(
                f"GRANT INSERT ON dl.{name} TO {LOADER}"
                for name in ("batch", "batch_target", "quality_result")
            ),
            f"GRANT INSERT, UPDATE ON dl.watermark TO {LOADER}",
            f"GRANT UPDATE ON dl.batch_number TO {LOADER}",
            # What becomes of the landed rows is compared with their source.
            f"GRANT SELECT ON SCHEMA::ods TO {LOADER}",
            f"GRANT SELECT ON SCHEMA::build TO {LOADER}",
            *(f"GRANT INSERT, DELETE ON dl.{name} TO {LOADER}" for name in landings),
        )

    def lock_watermark(self) -> sa.TextClause:
        """Lock by UPDLOCK, held to the end of the transaction."""
        return sa.text(
            "SELECT position, batch_id FROM dl.watermark WITH (UPDLOCK, ROWLOCK, HOLDLOCK) "
            # Varchar as the column is, else the key could not be sought.
            "WHERE flow = CAST(:flow AS varchar(64))"
        )

    def draw_batch_id(self) -> str:
        """Draw from the sequence."""
        return "SELECT NEXT VALUE FOR dl.batch_number"

    def create_stage(self, table: str) -> Sequence[str]:
        """Create a temporary table; it would outlive the transaction, so one that is there goes first."""
        return (
            f"IF OBJECT_ID(N'tempdb..#stage_{table}') IS NOT NULL DROP TABLE #stage_{table}",
            f"SELECT TOP (0) * INTO #stage_{table} FROM dl.{table}",
        )

    async def write(
        self,
        connection: AsyncConnection,
        table: str,
        batch_id: int,
        lines: Sequence[bytes],
        *,
        stage: bool = False,
    ) -> int:
        """Insert by OPENJSON, one parameter for thousands of rows."""
        insert = insert_lines(f"#stage_{table}" if stage else f"dl.{table}")
        written = 0
        for start in range(0, len(lines), WRITE_LINES):
            page = lines[start : start + WRITE_LINES]
            rows = [[unescaped(field) for field in line.split(b"\t")] for line in page]
            done = await connection.execute(
                insert, {"batch_id": batch_id, "rows": orjson.dumps(rows).decode()}
            )
            written += done.rowcount
        return written

    def count_alive(self, table: str) -> sa.TextClause:
        """Count them."""
        return sa.text(
            f"SELECT COUNT_BIG(*) FROM ({_ranked(f'dl.{table}')}) AS latest WHERE age = 1 AND operation <> 'd'"
        )

    def land_differences(self, table: str, *, complete: bool) -> sa.TextClause:
        """Join the newest of both sides by their key."""
        gone = (
            "UNION ALL SELECT CAST(NULL AS bigint), 'd', row_key, NULL, NULL FROM latest WHERE age = 1 "
            "AND operation <> 'd' "
            "AND NOT EXISTS (SELECT 1 FROM found WHERE found.row_key = latest.row_key) "
        )
        return sa.text(
            f"WITH latest AS ({_ranked(f'dl.{table}')}), found AS ({_ranked(f'#stage_{table}')}), "
            "differing AS (SELECT found.position_minor AS place, "
            "CASE WHEN COALESCE(latest.operation, 'd') = 'd' THEN 'c' ELSE 'u' END AS operation, found.row_key, "
            "found.image, found.actor FROM found LEFT JOIN latest ON latest.row_key = found.row_key "
            "AND latest.age = 1 WHERE found.age = 1 AND (COALESCE(latest.operation, 'd') = 'd' "
            f"OR latest.image {CODE} <> found.image {CODE}) {gone if complete else ''}) "
            f"INSERT INTO dl.{table} (batch_id, position_major, position_minor, operation, row_key, image, actor, "
            "captured_at) SELECT CAST(:batch_id AS bigint), CAST(:batch_id AS bigint), "
            "ROW_NUMBER() OVER (ORDER BY CASE WHEN place IS NULL THEN 1 ELSE 0 END, place, row_key), "
            "operation, row_key, image, actor, SYSUTCDATETIME() FROM differing"
        )

    def delete_batch(self, table: str) -> sa.TextClause:
        """Delete by the clustered key."""
        return sa.text(f"DELETE FROM dl.{table} WHERE batch_id = :batch_id")

    async def read(
        self, connection: AsyncConnection, table: str, batch_id: int
    ) -> AsyncIterator[Sequence[bytes]]:
        """Page through the clustered key."""
        major = minor = -(2**63)
        while True:
            found = await connection.execute(
                select_lines(table),
                {"limit": READ_LINES, "batch_id": batch_id, "major": major, "minor": minor},
            )
            rows = found.all()
            if not rows:
                return
            yield [b"\t".join(map(escaped, (*row[:-1], time_text(row[-1])))) for row in rows]
            major, minor = rows[-1][0], rows[-1][1]


def _ranked(table: str) -> str:
    return (
        "SELECT row_key, operation, image, actor, position_minor, ROW_NUMBER() OVER (PARTITION BY row_key "
        f"ORDER BY position_major DESC, position_minor DESC) AS age FROM {table}"
    )


def insert_lines(table: str) -> sa.TextClause:
    """Insert `:rows`, a JSON array of arrays in the order of COLUMNS, under `:batch_id`."""
    fields = ", ".join(
        f"{column} {type_} '$[{index}]'" for index, (column, type_) in enumerate(_JSON_TYPES.items())
    )
    listed = ", ".join(COLUMNS)
    return sa.text(
        f"INSERT INTO {table} (batch_id, {listed}) "
        f"SELECT CAST(:batch_id AS bigint), {listed} FROM OPENJSON(CAST(:rows AS nvarchar(max))) WITH ({fields})"
        # Bind Unicode without a limit: the driver would choose another type for such a long text.
    ).bindparams(sa.bindparam("rows", type_=sa.UnicodeText()))


def select_lines(table: str) -> sa.TextClause:
    """Select `:limit` rows of `:batch_id` above (`:major`, `:minor`)."""
    return sa.text(
        f"SELECT TOP (:limit) {', '.join(COLUMNS)} FROM dl.{table} WHERE batch_id = :batch_id "
        "AND (position_major > :major OR (position_major = :major AND position_minor > :minor)) "
        "ORDER BY position_major, position_minor"
    )
