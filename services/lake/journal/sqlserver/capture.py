"""SQL Server: the tables and triggers that capture changes. No MERGE, no CREATE OR ALTER."""

from collections.abc import Sequence
from functools import partial
from textwrap import dedent
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.chassis.deadline import seconds_left
from services.chassis.engines.sqlserver import CODE, TEXT
from services.lake.journal.model import CapturedColumn, CapturedTable, CapturePart, ColumnType
from services.lake.journal.sqlserver.backfill import backfill_parts, request_if_changed
from services.lake.journal.sqlserver.images import SQLServerImages, quoted

LOCK_GRACE_SECONDS = 1.0
"""A lock wait ends on the server this many seconds after its request was cancelled."""

# Equal values of these types may differ in length: SQL Server ignores trailing blanks and zero bytes.
_MIND_LENGTH = (ColumnType.TEXT, ColumnType.BINARY)


class SQLServerCapture(SQLServerImages):
    """The journal's tables, and the triggers that write it."""

    def install(self, engine: AsyncEngine) -> None:
        """Clear the session's context and lock timeout whenever a connection returns to the pool.

        On SQL Server the context outlives the transaction. Without this, the next user of the connection would
        write with the actor and the trace of the previous one.
        """

        def clear(dbapi_connection: Any, _record: Any, state: Any) -> None:
            # The garbage collector found the connection: it will be closed, and nothing can be awaited here.
            if state.terminate_only:
                return
            cursor = dbapi_connection.cursor()
            cursor.execute(
                "EXEC sp_set_session_context @key = N'actor', @value = NULL; "
                "EXEC sp_set_session_context @key = N'traceparent', @value = NULL; "
                "SET LOCK_TIMEOUT -1"
            )
            cursor.close()

        sa.event.listen(engine.sync_engine, "reset", clear)

    async def set_context(self, connection: AsyncConnection, actor: str, traceparent: str | None) -> None:
        """Set both for the session; never read-only, since the connection is pooled.

        The driver runs a statement in a thread that outlives a cancelled request: waits for locks must end by
        themselves.
        """
        left = seconds_left()
        if left is not None:
            await connection.exec_driver_sql(
                f"SET LOCK_TIMEOUT {round((max(left, 0) + LOCK_GRACE_SECONDS) * 1000)}"
            )
        await connection.execute(
            sa.text(
                # Typed variables: @value is a sql_variant, which accepts no (max) types, and the driver would have
                # to guess the type of a bound NULL.
                "DECLARE @actor nvarchar(128) = :actor, @traceparent varchar(55) = :traceparent; "
                "EXEC sp_set_session_context @key = N'actor', @value = @actor; "
                "EXEC sp_set_session_context @key = N'traceparent', @value = @traceparent"
            ),
            {"actor": actor, "traceparent": traceparent},
        )

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
            # Otherwise a writer of five thousand rows locks the whole journal, and all others wait for its commit.
            # By EXEC, because the parsers that check the T-SQL do not know the option.
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

    def register(self, table: CapturedTable) -> Sequence[str]:
        """Insert the definition, or renew its time."""
        fingerprint = table.fingerprint
        return (
            request_if_changed(table),
            # The newest definition is in force, even if it was in force before.
            f"UPDATE journal.captured_table SET installed_at = SYSUTCDATETIME() WHERE fingerprint = '{fingerprint}'",
            "INSERT INTO journal.captured_table (fingerprint, table_name, [definition], installed_at) "
            f"SELECT '{fingerprint}', '{table.full_name}', N'{_quoted(table.to_json())}', SYSUTCDATETIME() "
            f"WHERE NOT EXISTS (SELECT 1 FROM journal.captured_table WHERE fingerprint = '{fingerprint}')",
        )

    def capture_parts(self, table: CapturedTable) -> Sequence[CapturePart]:
        """One AFTER trigger for each event; the writer needs no right on the journal, as both schemas have one owner.

        And two procedures that run with their owner's rights.
        """
        moved = " AND ".join(_same(column) for column in table.key_columns)
        gone = self._write(
            table, "d", f"deleted AS r WHERE NOT EXISTS (SELECT 1 FROM inserted AS n WHERE {moved})"
        )
        events = {
            "insert": [self._write(table, "c", "inserted AS r")],
            "update": [gone, self._write(table, "u", "inserted AS r")],
            "delete": [self._write(table, "d", "deleted AS r")],
        }
        triggers = [_trigger(table, event, writes) for event, writes in events.items()]
        return [*triggers, *backfill_parts(table, self.key(table, "r"), partial(self._write, table))]

    def select_installed(self) -> sa.TextClause:
        """Read the source of the modules; a trigger that is disabled or not the first counts as missing."""
        return sa.text(
            "SELECT CONCAT(s.name, '.', o.name) AS name, CASE WHEN EXISTS (SELECT 1 FROM sys.triggers AS g "
            "INNER JOIN sys.trigger_events AS e ON e.object_id = g.object_id "
            "WHERE g.object_id = o.object_id AND (g.is_disabled = 1 OR e.is_first = 0)) "
            "THEN N'' ELSE m.[definition] END AS [text] "
            "FROM sys.sql_modules AS m INNER JOIN sys.objects AS o ON o.object_id = m.object_id "
            "INNER JOIN sys.schemas AS s ON s.schema_id = o.schema_id "
            "WHERE (o.type = 'TR' AND o.name LIKE 'capture[_]%') OR (o.type = 'P' AND s.name = N'journal')"
        )

    def _write(self, table: CapturedTable, operation: str, source: str) -> str:
        image = "NULL" if operation == "d" else self.image(table, "r")
        return (
            "INSERT INTO journal.change "
            "(table_name, operation, [key], image, fingerprint, actor, traceparent, captured_at) "
            f"SELECT '{table.full_name}', '{operation}', {self.key(table, 'r')}, {image}, "
            f"'{table.fingerprint}', @actor, @traceparent, @captured_at FROM {source}"
        )

    def grant_statements(self, logins: Sequence[str]) -> Sequence[str]:
        """Do nothing: on SQL Server a grant on a table makes it visible."""
        del logins
        return ()

    def grant_catalogue(self, login: str) -> Sequence[str]:
        """Grant the right to see the catalogue; it gives no access to rows."""
        return (f"GRANT VIEW DEFINITION ON SCHEMA::credit TO {login}",)


def _trigger(table: CapturedTable, event: str, writes: Sequence[str]) -> CapturePart:
    trigger = f"{table.schema}.capture_{table.name}_{event}"
    body = "".join(f"    {write};\n" for write in writes)
    text = (
        f"CREATE TRIGGER {trigger} ON {table.schema}.{quoted(table.name)} AFTER {event.upper()} AS\n"
        "BEGIN\n"
        "    SET NOCOUNT ON;\n"
        "    DECLARE @actor nvarchar(128) = "
        "COALESCE(CONVERT(nvarchar(128), SESSION_CONTEXT(N'actor')), ORIGINAL_LOGIN());\n"
        "    DECLARE @traceparent varchar(55) = CONVERT(varchar(55), SESSION_CONTEXT(N'traceparent'));\n"
        "    DECLARE @captured_at datetime2(6) = SYSUTCDATETIME();\n"
        f"{body}"
        "END"
    )
    first = f"EXEC sp_settriggerorder @triggername = N'{trigger}', @order = N'First', @stmttype = N'{event.upper()}'"
    return CapturePart(trigger, text, (f"DROP TRIGGER IF EXISTS {trigger}", text, first))


def _same(column: CapturedColumn) -> str:
    """Compare a key column of `n` and `r` as the replica does: bytewise, trailing blanks included."""
    new, old = f"n.{quoted(column.name)}", f"r.{quoted(column.name)}"
    binary = f" {CODE}" if column.type in {ColumnType.TEXT, ColumnType.CHAR} else ""
    length = f" AND DATALENGTH({new}) = DATALENGTH({old})" if column.type in _MIND_LENGTH else ""
    return f"{new} = {old}{binary}{length}"


def _quoted(text: str) -> str:
    return text.replace("'", "''")
