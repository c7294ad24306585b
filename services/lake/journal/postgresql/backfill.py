"""PostgreSQL: re-journalling current rows (backfill, repair), purging the journal, and its pending changes.

The login that requests a backfill cannot write to the journal directly: one function for each table does, and it can
only write the table's current rows.
"""

from collections.abc import Callable, Sequence
from textwrap import dedent

import sqlalchemy as sa

from services.lake.journal.model import CapturedColumn, CapturedTable, CapturePart, ColumnType
from services.lake.journal.postgresql.functions import Function

LOCK_WAIT = "500ms"
"""Below `deadlock_timeout` (1 s), so that the backfill is rolled back and no writer is the deadlock's victim.

A waiting backfill holds the horizon back. It is tried again later.
"""

_KEY_TYPES = {
    ColumnType.TEXT: "text",
    ColumnType.CHAR: "bpchar",
    ColumnType.UUID: "uuid",
    ColumnType.BOOLEAN: "boolean",
    ColumnType.SMALLINT: "smallint",
    ColumnType.INTEGER: "integer",
    ColumnType.BIGINT: "bigint",
    ColumnType.NUMERIC: "numeric",
    ColumnType.DATE: "date",
    ColumnType.TIME: "time",
    ColumnType.TIMESTAMP: "timestamp",
    ColumnType.TIMESTAMPTZ: "timestamptz",
    ColumnType.BINARY: "bytea",
}

_DELETE_THROUGH = sa.text("DELETE FROM journal.change WHERE position <= :major")
_SELECT_WAITING = sa.text(
    "SELECT position AS major, 0::bigint AS minor, table_name, key, captured_at FROM journal.change "
    "WHERE position > :major AND position <= :horizon_major ORDER BY position LIMIT :limit"
)


class PostgreSQLBackfill:
    """The operations of the dialect for backfill, repair and purge."""

    def grant_backfill(self, table: CapturedTable, login: str) -> Sequence[str]:
        """Grant `login` the functions of a table."""
        return [f"GRANT EXECUTE ON FUNCTION {signature} TO {login}" for signature in _signatures(table)]

    def call_backfill(self, table: CapturedTable) -> sa.TextClause:
        """Call the function; it accepts NULL."""
        name = f"journal.backfill_{table.schema}_{table.name}"
        return sa.text(f"SELECT last_key, rows_written FROM {name}(:after_key, :most_rows)")

    def call_repair(self, table: CapturedTable) -> sa.TextClause:
        """Call the function."""
        return sa.text(
            f"SELECT last_key, rows_written FROM journal.repair_{table.schema}_{table.name}(:keys)"
        )

    def delete_through(self) -> sa.TextClause:
        """Delete by the primary key."""
        return _DELETE_THROUGH

    def select_waiting(self) -> sa.TextClause:
        """Select by the primary key."""
        return _SELECT_WAITING


def backfill_parts(table: CapturedTable, key: str, write: Callable[[str, str], str]) -> list[CapturePart]:
    """Give the two functions of a table.

    Args:
        table: the captured table.
        key: SQL that renders the key of row `r`.
        write: gives the INSERT into the journal for an operation and a source of rows `r`.
    """
    functions = (
        _function(
            table, "backfill", (("after_key", "text"), ("most_rows", "integer")), _page(table, key, write)
        ),
        _function(table, "repair", (("keys", "text"),), _named(table, write)),
    )
    return [
        CapturePart(
            function.name,
            function.installed,
            (
                f"DROP FUNCTION IF EXISTS {function.signature}",
                function.create(),
                f"REVOKE EXECUTE ON FUNCTION {function.signature} FROM PUBLIC",
            ),
        )
        for function in functions
    ]


def _signatures(table: CapturedTable) -> tuple[str, str]:
    name = f"{table.schema}_{table.name}"
    return f"journal.backfill_{name}(text, integer)", f"journal.repair_{name}(text)"


def request_if_changed(table: CapturedTable) -> str:
    """Request a backfill when the table had another definition until now, or none although it has rows."""
    return (
        "INSERT INTO journal.backfill (id, table_name, requested_by, requested_at, chunks, rows_done) "
        f"SELECT gen_random_uuid(), '{table.full_name}', 'migration', clock_timestamp() AT TIME ZONE 'UTC', 0, 0 "
        f"WHERE coalesce((SELECT fingerprint FROM journal.captured_table WHERE table_name = '{table.full_name}' "
        f"ORDER BY installed_at DESC LIMIT 1), CASE WHEN EXISTS (SELECT FROM {table.full_name}) THEN '' END) "
        f"<> '{table.fingerprint}'"
    )


def _function(
    table: CapturedTable, kind: str, parameters: tuple[tuple[str, str], ...], body: str
) -> Function:
    floats = any(column.type in (ColumnType.REAL, ColumnType.DOUBLE) for column in table.columns)
    return Function(
        f"journal.{kind}_{table.schema}_{table.name}",
        parameters=parameters,
        returns="TABLE (last_key text, rows_written bigint)",
        settings=(
            "search_path = pg_catalog, pg_temp",
            f"lock_timeout = '{LOCK_WAIT}'",
            # A generic plan of "from the beginning, or after this key" would read the whole table.
            "plan_cache_mode = force_custom_plan",
            *(("extra_float_digits = 1",) if floats else ()),
        ),
        # Use numbered parameters and block-qualified variables below: a column may have any name.
        body="\n#variable_conflict use_column\n"
        "<<capture>>\n"
        "DECLARE\n"
        "    actor text := coalesce(nullif(current_setting('journal.actor', true), ''), session_user);\n"
        "    traceparent text := nullif(current_setting('journal.traceparent', true), '');\n"
        "    captured_at timestamp := clock_timestamp() AT TIME ZONE 'UTC';\n"
        "    page_end text;\n"
        "    done bigint := 0;\n"
        "    more bigint;\n"
        f"{body}"
        "END ",
    )


def _page(table: CapturedTable, key: str, write: Callable[[str, str], str]) -> str:
    names = table.key
    columns, first, last = (
        ", ".join(f"{prefix}{name}" for name in names) for prefix in ("r.", "capture.after_", "capture.end_")
    )
    if len(names) > 1:
        columns, first, last = f"({columns})", f"({first})", f"({last})"
    declared = "".join(
        f"    after_{c.name} {_KEY_TYPES[c.type]} := {_value(c, '$1::json', i)};\n"
        f"    end_{c.name} {_KEY_TYPES[c.type]};\n"
        for i, c in enumerate(table.key_columns)
    )
    order = ", ".join(f"r.{name}" for name in names)
    backwards = ", ".join(f"r.{name} DESC" for name in names)
    into = ", ".join(f"end_{name}" for name in names)
    after = f"($1 IS NULL OR {columns} > {first})"
    rows = write(
        "r",
        # The subquery locks the rows before the select list draws their positions: a transaction that changed a row
        # before has committed with a lower position; one that changes it later waits and draws a higher position.
        f"(SELECT r.* FROM {table.full_name} AS r WHERE {after} AND {columns} <= {last} FOR SHARE) AS r",
    )
    return declared + dedent(f"""\
        BEGIN
            -- Where the page ends, by the table as it is now: a row that moves its key meanwhile is captured by that.
            SELECT {key}, {order} INTO page_end, {into}
            FROM (SELECT {order} FROM {table.full_name} AS r WHERE {after} ORDER BY {order} LIMIT $2) AS r
            ORDER BY {backwards} LIMIT 1;
            IF page_end IS NOT NULL THEN
                PERFORM journal.enter();
                {rows};
                GET DIAGNOSTICS done = ROW_COUNT;
            END IF;
            -- A relay that is stopped before its commit must not hold the horizon.
            PERFORM set_config('idle_in_transaction_session_timeout', '10s', true);
            RETURN QUERY SELECT page_end, done;
        """)


def _named(table: CapturedTable, write: Callable[[str, str], str]) -> str:
    wanted = ", ".join(
        f"{_value(column, 'k.value', i)} AS {column.name}" for i, column in enumerate(table.key_columns)
    )
    keys = f"SELECT DISTINCT {wanted} FROM json_array_elements($1::json) AS k"
    same = " AND ".join(f"n.{name} = r.{name}" for name in table.key)
    there = f"EXISTS (SELECT FROM {table.full_name} AS n WHERE {same})"
    gone = write("d", f"({keys}) AS r WHERE NOT {there}")
    present = write(
        "r",
        f"(SELECT r.* FROM {table.full_name} AS r "
        f"WHERE EXISTS (SELECT FROM ({keys}) AS n WHERE {same}) FOR SHARE) AS r",
    )
    return dedent(f"""\
        BEGIN
            PERFORM journal.enter();
            IF EXISTS (SELECT FROM ({keys}) AS r WHERE NOT {there}) THEN
                -- Nobody may be about to commit a row that has no position above this delete's: writers wait, and who
                -- has written already is waited for.
                LOCK TABLE {table.full_name} IN SHARE MODE;
                {gone};
                GET DIAGNOSTICS done = ROW_COUNT;
            END IF;
            {present};
            GET DIAGNOSTICS more = ROW_COUNT;
            PERFORM set_config('idle_in_transaction_session_timeout', '10s', true);
            RETURN QUERY SELECT NULL::text, done + more;
        """)


def _value(column: CapturedColumn, array: str, index: int) -> str:
    """Convert a key column's canonical text back to its type."""
    text = f"{array} ->> {index}"
    if column.type is ColumnType.BINARY:
        return f"decode({text}, 'hex')"
    return f"({text})::{_KEY_TYPES[column.type]}"
