"""SQL Server: re-journalling current rows (backfill, repair), purging the journal, and its pending changes.

One pair of procedures for each table, without dynamic SQL. A login that may execute them needs no right on the
tables, because tables and procedures have the same owner.
"""

from collections.abc import Callable, Sequence

import sqlalchemy as sa

from services.chassis.engines.sqlserver import CODE
from services.lake.journal.model import CapturedColumn, CapturedTable, CapturePart, ColumnType

LOCK_WAIT_MILLIS = 500

_TEXTS = (ColumnType.TEXT, ColumnType.CHAR)

_KEY_TYPES = {
    ColumnType.TEXT: f"nvarchar(850) {CODE}",
    ColumnType.CHAR: f"nvarchar(850) {CODE}",
    ColumnType.UUID: "uniqueidentifier",
    ColumnType.BOOLEAN: "bit",
    ColumnType.SMALLINT: "smallint",
    ColumnType.INTEGER: "int",
    ColumnType.BIGINT: "bigint",
    ColumnType.DATE: "date",
    ColumnType.TIME: "time(6)",
    ColumnType.TIMESTAMP: "datetime2(6)",
    ColumnType.TIMESTAMPTZ: "datetimeoffset(6)",
    ColumnType.BINARY: "varbinary(850)",
}

_BELOW = (
    "stamp <= CONVERT(binary(8), CAST(:major AS bigint)) "
    "AND (stamp < CONVERT(binary(8), CAST(:major AS bigint)) OR id <= :minor)"
)
_DELETE_THROUGH = sa.text(f"DELETE FROM journal.change WHERE {_BELOW}")
_SELECT_WAITING = sa.text(
    "SELECT TOP (:limit) CONVERT(bigint, stamp) AS major, id AS minor, table_name, [key], captured_at "
    "FROM journal.change WHERE stamp >= CONVERT(binary(8), CAST(:major AS bigint)) "
    "AND (stamp > CONVERT(binary(8), CAST(:major AS bigint)) OR id > :minor) "
    "AND stamp <= CONVERT(binary(8), CAST(:horizon_major AS bigint)) ORDER BY stamp, id"
)


class SQLServerBackfill:
    """The operations of the dialect for backfill, repair and purge."""

    def grant_backfill(self, table: CapturedTable, login: str) -> Sequence[str]:
        """Grant `login` the procedures of a table."""
        name = f"{table.schema}_{table.name}"
        return [f"GRANT EXECUTE ON journal.{kind}_{name} TO {login}" for kind in ("backfill", "repair")]

    def call_backfill(self, table: CapturedTable) -> sa.TextClause:
        """Call the procedure with typed variables: the driver would have to guess the type of a NULL."""
        return sa.text(
            "DECLARE @after nvarchar(850) = :after_key, @most_rows int = :most_rows; "
            f"EXEC journal.backfill_{table.schema}_{table.name} @after = @after, @most_rows = @most_rows"
        )

    def call_repair(self, table: CapturedTable) -> sa.TextClause:
        """Call the procedure with a typed variable."""
        return sa.text(
            "DECLARE @keys nvarchar(max) = :keys; "
            f"EXEC journal.repair_{table.schema}_{table.name} @keys = @keys"
        )

    def delete_through(self) -> sa.TextClause:
        """Delete by the clustered key."""
        return _DELETE_THROUGH

    def select_waiting(self) -> sa.TextClause:
        """Select by the clustered key."""
        return _SELECT_WAITING


def backfill_parts(table: CapturedTable, key: str, write: Callable[[str, str], str]) -> list[CapturePart]:
    """Give the two procedures of a table.

    Args:
        table: the captured table.
        key: SQL that renders the key of row `r`.
        write: gives the INSERT into the journal for an operation and a source of rows `r`.
    """
    name = f"{table.schema}_{table.name}"
    procedures = {
        f"journal.backfill_{name}": _procedure(
            f"backfill_{name} @after nvarchar(850), @most_rows int", _page(table, key, write)
        ),
        f"journal.repair_{name}": _procedure(f"repair_{name} @keys nvarchar(max)", _named(table, write)),
    }
    return [
        CapturePart(procedure, text, (f"DROP PROCEDURE IF EXISTS {procedure}", text))
        for procedure, text in procedures.items()
    ]


def request_if_changed(table: CapturedTable) -> str:
    """Request a backfill when the table had another definition until now, or none although it has rows."""
    return (
        "INSERT INTO journal.backfill (id, table_name, requested_by, requested_at, chunks, rows_done) "
        f"SELECT NEWID(), '{table.full_name}', N'migration', SYSUTCDATETIME(), 0, 0 "
        "WHERE COALESCE((SELECT TOP (1) fingerprint FROM journal.captured_table "
        f"WHERE table_name = '{table.full_name}' ORDER BY installed_at DESC), "
        f"CASE WHEN EXISTS (SELECT 1 FROM {table.full_name}) THEN '' END) "
        f"<> '{table.fingerprint}'"
    )


def _procedure(signature: str, body: str) -> str:
    return (
        f"CREATE PROCEDURE journal.{signature} AS\n"
        "BEGIN\n"
        "    SET NOCOUNT ON;\n"
        # Otherwise a lock timeout ends one statement only, and the next would report a page that was not written.
        "    SET XACT_ABORT ON;\n"
        # The backfill is the deadlock's victim, never a writer; and it waits briefly, because it may hold the horizon.
        f"    SET LOCK_TIMEOUT {LOCK_WAIT_MILLIS};\n"
        "    SET DEADLOCK_PRIORITY LOW;\n"
        "    DECLARE @actor nvarchar(128) = "
        "COALESCE(CONVERT(nvarchar(128), SESSION_CONTEXT(N'actor')), ORIGINAL_LOGIN());\n"
        "    DECLARE @traceparent varchar(55) = CONVERT(varchar(55), SESSION_CONTEXT(N'traceparent'));\n"
        "    DECLARE @captured_at datetime2(6) = SYSUTCDATETIME();\n"
        "    DECLARE @done bigint = 0;\n"
        f"{body}"
        "END"
    )


def _page(table: CapturedTable, key: str, write: Callable[[str, str], str]) -> str:
    columns = table.key_columns
    names = [f"[{column.name}]" for column in columns]
    listed = ", ".join(f"r.{name}" for name in names)
    ordered = ", ".join(map(_own, columns))
    backwards = ", ".join(f"{_own(column)} DESC" for column in columns)
    after = f"(@after IS NULL OR {_compared(columns, '>', '>', 'after')})"
    rows = write(
        "r",
        # Each row is locked before its image is written, until the commit: a transaction that changed it before has
        # committed with a lower position; one that changes it later waits and draws a higher position.
        f"{table.schema}.[{table.name}] AS r WITH (UPDLOCK, HOLDLOCK) "
        f"WHERE {after} AND {_compared(columns, '<', '<=', 'end')} OPTION (RECOMPILE)",
    )
    lines = [
        *(
            f"DECLARE @after_{i} {_bare(column)} = {_value(column, '@after', i)}, @end_{i} {_bare(column)}"
            for i, column in enumerate(columns)
        ),
        "DECLARE @page_end nvarchar(850)",
        # The end of the page, by the table's current rows. Capture records a row whose key changes meanwhile.
        f"SELECT TOP (1) @page_end = {key}, "
        + ", ".join(f"@end_{i} = r.{name}" for i, name in enumerate(names))
        + f" FROM (SELECT TOP (@most_rows) {listed} FROM {table.schema}.[{table.name}] AS r WHERE {after} "
        + f"ORDER BY {ordered}) AS r ORDER BY {backwards} OPTION (RECOMPILE)",
        rows,
        "SET @done = @@ROWCOUNT",
        "SELECT @page_end AS last_key, @done AS rows_written",
    ]
    return "".join(f"    {line};\n" for line in lines)


def _named(table: CapturedTable, write: Callable[[str, str], str]) -> str:
    columns = table.key_columns
    declared = ", ".join(f"[{c.name}] {_key_type(c)} NOT NULL" for c in columns)
    values = ", ".join(_value(column, "k.[value]", i) for i, column in enumerate(columns))
    names = ", ".join(f"[{column.name}]" for column in columns)
    same = " AND ".join(_equal(column, "n", "r") for column in columns)
    live = f"{table.schema}.[{table.name}]"
    lines = [
        f"DECLARE @wanted TABLE ({declared})",
        f"INSERT INTO @wanted ({names}) SELECT DISTINCT {values} FROM OPENJSON(@keys) AS k",
        # The range lock on a missing key blocks its insertion until the commit: nobody inserts it with a position
        # below this delete's.
        write(
            "d",
            f"@wanted AS r WHERE NOT EXISTS (SELECT 1 FROM {live} AS n WITH (UPDLOCK, HOLDLOCK) WHERE {same})",
        ),
        "SET @done = @@ROWCOUNT",
        write(
            "r",
            f"{live} AS r WITH (UPDLOCK, HOLDLOCK) WHERE EXISTS (SELECT 1 FROM @wanted AS n WHERE {same})",
        ),
        "SET @done = @done + @@ROWCOUNT",
        "SELECT CONVERT(nvarchar(850), NULL) AS last_key, @done AS rows_written",
    ]
    return "".join(f"    {line};\n" for line in lines)


def _compared(columns: tuple[CapturedColumn, ...], strict: str, last: str, variable: str) -> str:
    """Compare a key with variables, column by column: T-SQL has no row values."""
    alternatives = []
    for i, column in enumerate(columns):
        operator = last if i == len(columns) - 1 else strict
        equal = [f"{_own(c)} = {_other(c, f'@{variable}_{j}')}" for j, c in enumerate(columns[:i])]
        alternatives.append(
            " AND ".join([*equal, f"{_own(column)} {operator} {_other(column, f'@{variable}_{i}')}"])
        )
    return f"({' OR '.join(f'({each})' for each in alternatives)})"


def _own(column: CapturedColumn) -> str:
    return f"r.[{column.name}]" + (f" {CODE}" if column.type in _TEXTS else "")


def _other(column: CapturedColumn, variable: str) -> str:
    if column.type in _TEXTS:
        # UTF-8 like the codes, so that their index is used; a column of nvarchar converts it again.
        return f"CONVERT(varchar(850), {variable} {CODE})"
    return variable


def _equal(column: CapturedColumn, one: str, other: str) -> str:
    collation = f" {CODE}" if column.type in _TEXTS else ""
    return f"{one}.[{column.name}] = {other}.[{column.name}]{collation}"


def _key_type(column: CapturedColumn) -> str:
    if column.type is ColumnType.NUMERIC:
        return f"decimal({column.precision}, {column.scale})"
    return _KEY_TYPES[column.type]


def _bare(column: CapturedColumn) -> str:
    """The type of a variable, which takes no collation."""
    return _key_type(column).removesuffix(f" {CODE}")


def _value(column: CapturedColumn, array: str, index: int) -> str:
    """Convert a key column's canonical text back to its type."""
    text = f"JSON_VALUE({array}, '$[{index}]')"
    style = {ColumnType.BINARY: ", 2", ColumnType.TIMESTAMP: ", 126", ColumnType.DATE: ", 23"}.get(
        column.type, ""
    )
    return f"CONVERT({_bare(column)}, {text}{style})"
