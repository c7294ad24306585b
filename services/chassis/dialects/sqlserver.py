"""SQL Server 2019 and later: every line of T-SQL in the project is written here.

The horizon: `MIN_ACTIVE_ROWVERSION()` is the lowest rowversion that an open transaction may still commit, so
rows below it are complete. `@@DBTS` and IDENTITY would lose rows. No MERGE, no CREATE OR ALTER.
"""

from collections.abc import Sequence
from functools import partial
from textwrap import dedent
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.chassis.dialects.catalogue import Catalogue
from services.chassis.dialects.interface import (
    OFFSET_SUFFIX,
    CapturedColumn,
    CapturedTable,
    ColumnType,
    Position,
)
from services.chassis.dialects.sqlserver_catalogue import read_catalogue
from services.chassis.dialects.sqlserver_errors import code
from services.chassis.dialects.sqlserver_operations import (
    SQLServerOperations,
    create_backfill,
    request_if_changed,
)

CODE = "COLLATE Latin1_General_100_BIN2_UTF8"
TEXT = "COLLATE Latin1_General_100_CI_AS_SC"

_MAX_BIGINT = 2**63 - 1
# Equal values of these may be of different length: blanks and zero bytes at the end count for nothing here.
_MIND_LENGTH = (ColumnType.TEXT, ColumnType.BINARY)


class SQLServer(SQLServerOperations):
    """The SQL Server half of `services.chassis.dialects.interface.Dialect`."""

    name = "mssql"
    system = "microsoft.sql_server"

    def connect_arguments(self, service: str, command_seconds: float | None) -> dict[str, Any]:
        """Limit how long a statement may take; all else an ODBC connection is told by its URL."""
        del service
        if command_seconds is None:
            return {}

        async def limit(connection: Any) -> None:
            # pyodbc takes whole seconds, and 0 for no limit.
            connection.timeout = max(1, round(command_seconds))

        return {"after_created": limit}

    def install(self, engine: AsyncEngine) -> None:
        """Clear the session's context whenever a connection returns to the pool.

        Here the context outlives the transaction: without this the next user of the connection would write
        under the actor and the trace of the last one.
        """

        def clear(dbapi_connection: Any, _record: Any, state: Any) -> None:
            # Found by the garbage collector: it is about to be closed, and nothing may be awaited here.
            if state.terminate_only:
                return
            cursor = dbapi_connection.cursor()
            cursor.execute(
                "EXEC sp_set_session_context @key = N'actor', @value = NULL; "
                "EXEC sp_set_session_context @key = N'traceparent', @value = NULL"
            )
            cursor.close()

        sa.event.listen(engine.sync_engine, "reset", clear)

    async def set_context(self, connection: AsyncConnection, actor: str, traceparent: str | None) -> None:
        """Set both for the session; never read-only, since the connection is pooled."""
        await connection.execute(
            sa.text(
                # Variables with a type: @value is a sql_variant, which takes no (max) types, and of a NULL that is
                # bound to it the driver would have to guess the type.
                "DECLARE @actor nvarchar(128) = :actor, @traceparent varchar(55) = :traceparent; "
                "EXEC sp_set_session_context @key = N'actor', @value = @actor; "
                "EXEC sp_set_session_context @key = N'traceparent', @value = @traceparent"
            ),
            {"actor": actor, "traceparent": traceparent},
        )

    async def try_lock(self, connection: AsyncConnection, name: str, wait_seconds: int = 0) -> bool:
        """Take a transaction-long application lock; `name` is at most 255 characters."""
        result = await connection.scalar(
            sa.text(
                # The driver's implicit transaction begins with the first statement that reads a table; EXEC is
                # none, and without a transaction there is no owner for the lock.
                "SET NOCOUNT ON; DECLARE @result int; "
                "SELECT @result = schema_id FROM sys.schemas WHERE name = N'journal'; "
                "EXEC @result = sp_getapplock @Resource = :name, @LockMode = 'Exclusive', "
                f"@LockOwner = 'Transaction', @LockTimeout = {wait_seconds * 1000:d}; "
                # Else every later statement of this session would tell no count.
                "SET NOCOUNT OFF; SELECT @result"
            ),
            {"name": name},
        )
        return int(result) >= 0 if result is not None else False

    def create_schema(self, name: str) -> str:
        """Create a schema where it is missing; CREATE SCHEMA must be alone in its batch, hence EXEC."""
        return f"IF SCHEMA_ID(N'{name}') IS NULL EXEC (N'CREATE SCHEMA {name}')"

    def create_journal(self) -> Sequence[str]:
        """Create journal, its audit index, incarnation and definitions. TRUNCATE is refused by grants here."""
        return (
            dedent(f"""\
                CREATE TABLE journal.change (
                    stamp rowversion NOT NULL,
                    id bigint IDENTITY(1, 1) NOT NULL,
                    table_name varchar(130) {CODE} NOT NULL,
                    operation char(1) {CODE} NOT NULL,
                    [key] varchar(850) {CODE} NOT NULL,
                    image nvarchar(max) {TEXT} NULL,
                    fingerprint varchar(16) {CODE} NOT NULL,
                    actor nvarchar(128) {TEXT} NOT NULL,
                    traceparent varchar(55) {CODE} NULL,
                    captured_at datetime2(6) NOT NULL,
                    CONSTRAINT pk_change PRIMARY KEY CLUSTERED (stamp, id)
                )"""),
            # Else the writer of five thousand rows locks the whole journal, and every other one waits for its commit.
            # By EXEC, as the parsers that check the T-SQL do not know the option.
            "EXEC sp_executesql N'ALTER TABLE journal.change SET (LOCK_ESCALATION = DISABLE)'",
            "CREATE INDEX ix_change_table_name_key_position ON journal.change (table_name, [key], stamp, id)",
            dedent("""\
                CREATE TABLE journal.incarnation (
                    id uniqueidentifier NOT NULL CONSTRAINT pk_incarnation PRIMARY KEY,
                    created_at datetime2(6) NOT NULL
                )"""),
            "INSERT INTO journal.incarnation (id, created_at) VALUES (NEWID(), SYSUTCDATETIME())",
            dedent(f"""\
                CREATE TABLE journal.captured_table (
                    fingerprint varchar(16) {CODE} NOT NULL,
                    table_name varchar(130) {CODE} NOT NULL,
                    [definition] nvarchar(max) {TEXT} NOT NULL,
                    installed_at datetime2(6) NOT NULL,
                    CONSTRAINT pk_captured_table PRIMARY KEY (fingerprint)
                )"""),
        )

    def create_capture(self, table: CapturedTable) -> Sequence[str]:
        """One AFTER trigger an event; the writer needs no right on the journal, as one owner has both schemas."""
        fingerprint = table.fingerprint
        statements = [
            request_if_changed(table),
            # The newest is the one that is in force, even when it was in force before.
            f"UPDATE journal.captured_table SET installed_at = SYSUTCDATETIME() WHERE fingerprint = '{fingerprint}'",
            "INSERT INTO journal.captured_table (fingerprint, table_name, [definition], installed_at) "
            f"SELECT '{fingerprint}', '{table.full_name}', N'{_quoted(table.to_json())}', SYSUTCDATETIME() "
            f"WHERE NOT EXISTS (SELECT 1 FROM journal.captured_table WHERE fingerprint = '{fingerprint}')",
        ]
        moved = " AND ".join(_same(column) for column in table.key_columns)
        gone = self._write(
            table, "d", f"deleted AS r WHERE NOT EXISTS (SELECT 1 FROM inserted AS n WHERE {moved})"
        )
        events = {
            "insert": [self._write(table, "c", "inserted AS r")],
            "update": [gone, self._write(table, "u", "inserted AS r")],
            "delete": [self._write(table, "d", "deleted AS r")],
        }
        for event, writes in events.items():
            trigger = f"{table.schema}.capture_{table.name}_{event}"
            body = "".join(f"    {write};\n" for write in writes)
            statements += [
                f"DROP TRIGGER IF EXISTS {trigger}",
                f"CREATE TRIGGER {trigger} ON {table.schema}.{_name(table.name)} AFTER {event.upper()} AS\n"
                "BEGIN\n"
                "    SET NOCOUNT ON;\n"
                "    DECLARE @actor nvarchar(128) = "
                "COALESCE(CONVERT(nvarchar(128), SESSION_CONTEXT(N'actor')), ORIGINAL_LOGIN());\n"
                "    DECLARE @traceparent varchar(55) = CONVERT(varchar(55), SESSION_CONTEXT(N'traceparent'));\n"
                "    DECLARE @captured_at datetime2(6) = SYSUTCDATETIME();\n"
                f"{body}"
                "END",
                f"EXEC sp_settriggerorder @triggername = N'{trigger}', @order = N'First', "
                f"@stmttype = N'{event.upper()}'",
            ]
        return [*statements, *self.create_backfill(table)]

    def create_backfill(self, table: CapturedTable) -> Sequence[str]:
        """Two procedures, for whose callers their owner's rights count."""
        return create_backfill(table, self.key(table, "r"), partial(self._write, table))

    def _write(self, table: CapturedTable, operation: str, source: str) -> str:
        image = "NULL" if operation == "d" else self.image(table, "r")
        return (
            "INSERT INTO journal.change "
            "(table_name, operation, [key], image, fingerprint, actor, traceparent, captured_at) "
            f"SELECT '{table.full_name}', '{operation}', {self.key(table, 'r')}, {image}, "
            f"'{table.fingerprint}', @actor, @traceparent, @captured_at FROM {source}"
        )

    def image(self, table: CapturedTable, row: str) -> str:
        """Render a row as a JSON object: numbers that JSON may round, times and bytes as text."""
        members = ", ".join(
            f"{self._json_value(column, row)} AS {_name(column.name)}" for column in table.columns
        )
        return f"(SELECT {members} FOR JSON PATH, INCLUDE_NULL_VALUES, WITHOUT_ARRAY_WRAPPER)"

    def _json_value(self, column: CapturedColumn, row: str) -> str:
        value = f"{row}.{_name(column.name)}"
        match column.type:
            case ColumnType.SMALLINT | ColumnType.INTEGER | ColumnType.BOOLEAN | ColumnType.TEXT:
                return value
            case ColumnType.REAL | ColumnType.DOUBLE:
                # Seventeen digits, which give the same bits again.
                return f"CONVERT(varchar(32), {value}, 3)"
            case _:
                return self.column_text(column, row)

    def key(self, table: CapturedTable, row: str) -> str:
        """Render a row's key as a JSON array of canonical texts."""
        members = " + ',' + ".join(
            # STRING_ESCAPE also escapes the slash, which JSON does not need and PostgreSQL does not do.
            f"'\"' + REPLACE(STRING_ESCAPE({self.column_text(column, row)}, 'json'), '\\/', '/') + '\"'"
            for column in table.key_columns
        )
        return f"'[' + {members} + ']'"

    def column_text(self, column: CapturedColumn, row: str) -> str:  # noqa: C901, PLR0912 - one case a type
        """Render one column by its type, independent of every session setting."""
        value = f"{row}.{_name(column.name)}"
        match column.type:
            case ColumnType.TEXT:
                # One collation for all: texts of different ones cannot be concatenated.
                return f"{value} {CODE}"
            case ColumnType.CHAR:
                return f"RTRIM({value}) {CODE}"
            case ColumnType.XML:
                return f"CONVERT(nvarchar(max), {value}) {CODE}"
            case ColumnType.UUID:
                return f"LOWER(CONVERT(char(36), {value}))"
            case ColumnType.BOOLEAN:
                return f"CASE {value} WHEN 1 THEN 'true' WHEN 0 THEN 'false' END"
            case ColumnType.SMALLINT | ColumnType.INTEGER | ColumnType.BIGINT:
                return f"CONVERT(varchar(20), {value})"
            case ColumnType.NUMERIC:
                return f"CONVERT(varchar(41), CONVERT(decimal({column.precision}, {column.scale}), {value}))"
            case ColumnType.REAL:
                return f"LOWER(CONVERT(char(8), CONVERT(binary(4), {value}), 2))"
            case ColumnType.DOUBLE:
                # The bits, as no two engines agree on decimal digits.
                return f"LOWER(CONVERT(char(16), CONVERT(binary(8), {value}), 2))"
            case ColumnType.DATE:
                return f"CONVERT(char(10), {value}, 23)"
            case ColumnType.TIME:
                return f"CONVERT(char(15), CONVERT(time(6), {value}), 121)"
            case ColumnType.TIMESTAMP:
                return _timestamp(_datetime2(column, value))
            case ColumnType.TIMESTAMPTZ:
                # Not by the NULL alone: a session may have set that NULL + 'Z' is 'Z'.
                utc = _timestamp(f"CONVERT(datetime2(6), SWITCHOFFSET({value}, '+00:00'))")
                return f"CASE WHEN {value} IS NOT NULL THEN {utc} + 'Z' END"
            case ColumnType.OFFSET:
                # An instant without an offset has no minutes: DATEPART of NULL is NULL.
                instant = f"{row}.{_name(column.name.removesuffix(OFFSET_SUFFIX))}"
                return f"CONVERT(varchar(5), DATEPART(tz, {instant}))"
            case ColumnType.BINARY:
                # Through varbinary, as a rowversion is none.
                return f"LOWER(CONVERT(varchar(max), CONVERT(varbinary(max), {value}), 2))"

    def row_hashes(self, table: CapturedTable, buckets: int, only: Sequence[int] = ()) -> str:
        """Hash rows and bucket them by the hash of their key, in one scan."""
        parts = ", CHAR(31), ".join(
            f"COALESCE(N'=' + {self.column_text(c, 'r')}, N'~')" for c in table.columns
        )
        keyed = (
            f"WITH keyed AS (SELECT {self.key(table, 'r')} AS [key], CONCAT(CONVERT(nvarchar(max), N''), {parts}) "
            f"AS row_text FROM {table.schema}.{_name(table.name)} AS r), "
            f"hashed AS (SELECT [key], {_hash('row_text')} AS row_hash, "
            f"({_hash('[key]')} & {buckets - 1}) AS bucket FROM keyed) "
        )
        if not only:
            return keyed + (
                "SELECT bucket, COUNT_BIG(*), SUM(CONVERT(decimal(38, 0), row_hash)) FROM hashed GROUP BY bucket"
            )
        return keyed + f"SELECT [key], row_hash FROM hashed WHERE bucket IN ({', '.join(map(str, only))})"

    def grant_statements(self, logins: Sequence[str]) -> Sequence[str]:
        """Do nothing: a grant on a table is enough to see it here."""
        del logins
        return ()

    def grant_catalogue(self, login: str) -> Sequence[str]:
        """Grant what shows the catalogue, and shows or changes no row."""
        return (f"GRANT VIEW DEFINITION ON SCHEMA::credit TO {login}",)

    async def begin_stream(self, connection: AsyncConnection) -> None:
        """Do nothing: TOP and ORDER BY the clustered key leave the optimizer one way."""

    async def read_horizon(self, connection: AsyncConnection, after: Position) -> Position:
        """Everything below the lowest rowversion still open is complete."""
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
                # Bytes of UTF-16: about how much it will be.
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
        """Create nothing: `read_changes` needs no help of the server."""
        return ()

    def drop_read(self) -> Sequence[str]:
        """Drop nothing."""
        return ()

    async def read_changes(
        self, connection: AsyncConnection, after: Position, limit: int, size: int
    ) -> Sequence[Sequence[Any]]:
        """Ask for the horizon, then for the rows below it."""
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
            # Varchar as the columns are: compared with nvarchar, they could not be sought by their index.
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
        """Take the age of the first change at the horizon, uncommitted as it is.

        The views that know when a transaction began need a right on the whole server.
        """
        milliseconds = await connection.scalar(
            sa.text(
                "SELECT TOP (1) DATEDIFF_BIG(millisecond, captured_at, SYSUTCDATETIME()) "
                "FROM journal.change WITH (READUNCOMMITTED) "
                "WHERE stamp >= MIN_ACTIVE_ROWVERSION() ORDER BY stamp, id"
            )
        )
        return float(milliseconds or 0) / 1000

    def error_code(self, error: BaseException) -> str | None:
        """Give the ODBC SQLSTATE and the server's number."""
        return code(error)


def _name(name: str) -> str:
    return f"[{name}]"


def _same(column: CapturedColumn) -> str:
    """Compare a key column of `n` and `r` as the replica does: bytewise, and minding trailing blanks."""
    new, old = f"n.{_name(column.name)}", f"r.{_name(column.name)}"
    binary = f" {CODE}" if column.type in {ColumnType.TEXT, ColumnType.CHAR} else ""
    length = f" AND DATALENGTH({new}) = DATALENGTH({old})" if column.type in _MIND_LENGTH else ""
    return f"{new} = {old}{binary}{length}"


def _datetime2(column: CapturedColumn, value: str) -> str:
    if column.precision is None:
        return f"CONVERT(datetime2(6), {value})"
    # First in its own digits: of a datetime's 1/300 s more would be made than the three that it shows.
    return f"CONVERT(datetime2(6), CONVERT(datetime2({column.precision}), {value}))"


def _timestamp(value: str) -> str:
    return f"REPLACE(CONVERT(char(26), {value}, 121), ' ', 'T')"


def _hash(text: str) -> str:
    # As varchar in a collation of UTF-8, whatever collation functions on the way have given the text.
    utf8 = f"CONVERT(varchar(max), {text} {CODE})"
    return f"CONVERT(bigint, CONVERT(binary(8), SUBSTRING(HASHBYTES('SHA2_256', {utf8}), 1, 8)))"


def _quoted(text: str) -> str:
    return text.replace("'", "''")
