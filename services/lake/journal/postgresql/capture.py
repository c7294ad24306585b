"""PostgreSQL: the tables and triggers that capture changes.

The horizon: before its first journal row a transaction takes a shared advisory lock whose key is the
sequence's last value at that moment, so it draws only positions above that key. A reader takes the smaller of
the sequence's last value and the lowest such key. A writer that has no lock yet will draw above it, and a
commit is visible before its locks are released.
"""

from collections.abc import Sequence
from functools import partial
from textwrap import dedent

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.lake.journal.model import CapturedTable, CapturePart
from services.lake.journal.postgresql.backfill import backfill_parts, request_if_changed
from services.lake.journal.postgresql.functions import SELECT_FUNCTIONS, Function
from services.lake.journal.postgresql.images import FLOATS, PostgreSQLImages

# Advisory lock keys of the horizon are this tag in the upper 16 bits, a position in the lower 48.
_HORIZON_TAG = 0x434A
FIRST_OF_KEY = "split_part(key, '\"', 2)"
"""The first text of a key, which is indexed."""

_SELECT_TRIGGERS = """
SELECT n.nspname || '.' || c.relname || '.' || g.tgname AS name,
    CASE WHEN g.tgenabled IN ('O', 'A') THEN pg_get_triggerdef(g.oid) ELSE '' END AS text
FROM pg_trigger AS g JOIN pg_class AS c ON c.oid = g.tgrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE NOT g.tgisinternal AND (g.tgname LIKE 'capture\\_%' OR g.tgname = 'refuse_truncate')
"""


class PostgreSQLCapture(PostgreSQLImages):
    """The journal's tables, and the triggers that write it."""

    def install(self, engine: AsyncEngine) -> None:
        """Do nothing: a transaction's settings end with it."""

    async def set_context(self, connection: AsyncConnection, actor: str, traceparent: str | None) -> None:
        """Set both for the transaction, in one statement."""
        await connection.execute(
            sa.text(
                "SELECT set_config('journal.actor', :actor, true), "
                "set_config('journal.traceparent', :traceparent, true)"
            ),
            {"actor": actor, "traceparent": traceparent or ""},
        )

    def create_journal(self) -> Sequence[str]:
        """Create sequence, journal, its audit index, incarnation and definitions, and the TRUNCATE guard."""
        return (
            "CREATE SEQUENCE journal.position CACHE 1",
            # Draw one value immediately: an unused sequence has no last value for the horizon.
            "SELECT nextval('journal.position')",
            dedent("""\
                CREATE TABLE journal.change (
                    position bigint NOT NULL CONSTRAINT pk_change PRIMARY KEY,
                    table_name varchar(130) NOT NULL,
                    operation char(1) NOT NULL,
                    key text NOT NULL,
                    image text,
                    fingerprint varchar(16) NOT NULL,
                    actor varchar(128) NOT NULL,
                    traceparent varchar(55),
                    captured_at timestamp NOT NULL
                )"""),
            # For the audit of one record and its child rows: the first text of the key, hashed. With table, key and
            # position in it, the index cost a bulk insert more than the rest of the journal.
            f"CREATE INDEX ix_change_first_of_key ON journal.change USING hash ({FIRST_OF_KEY})",
            dedent("""\
                CREATE TABLE journal.incarnation (
                    id uuid NOT NULL CONSTRAINT pk_incarnation PRIMARY KEY,
                    created_at timestamp NOT NULL
                )"""),
            "INSERT INTO journal.incarnation VALUES (gen_random_uuid(), clock_timestamp() AT TIME ZONE 'UTC')",
            dedent("""\
                CREATE TABLE journal.captured_table (
                    fingerprint varchar(16) NOT NULL CONSTRAINT pk_captured_table PRIMARY KEY,
                    table_name varchar(130) NOT NULL,
                    definition text NOT NULL,
                    installed_at timestamp NOT NULL
                )"""),
            dedent(f"""\
                CREATE FUNCTION journal.enter() RETURNS void LANGUAGE plpgsql SECURITY DEFINER
                SET search_path = pg_catalog, pg_temp AS $$
                DECLARE
                    remembered text := current_setting('journal.bound', true);
                    -- Whatever the setting says, the key locked is not above the last value drawn, and the lock
                    -- is held before this statement draws: a session that plays with the setting cannot make
                    -- the reader skip its rows. Taking a lock that is already held costs next to nothing.
                    bound bigint := least(pg_sequence_last_value('journal.position'), nullif(remembered, '')::bigint);
                BEGIN
                    PERFORM pg_advisory_xact_lock_shared(({_HORIZON_TAG}::bigint << 48) | greatest(bound, 0));
                    IF remembered IS DISTINCT FROM bound::text THEN
                        PERFORM set_config('journal.bound', bound::text, true);
                        -- A change that readers have seen must survive a crash of the server.
                        PERFORM set_config('synchronous_commit', 'on', true);
                    END IF;
                END $$"""),
            # A login that can call it can hold the horizon back. The triggers run with their owner's rights.
            "REVOKE EXECUTE ON FUNCTION journal.enter() FROM PUBLIC",
            dedent(f"""\
                CREATE FUNCTION journal.horizon() RETURNS bigint LANGUAGE plpgsql
                SET search_path = pg_catalog, pg_temp AS $$
                DECLARE
                    -- First the sequence, then the locks: a writer without its lock yet will draw above this.
                    last bigint := pg_sequence_last_value('journal.position');
                    lowest bigint := (
                        SELECT min(((classid::bigint & 65535) << 32) | objid::bigint) FROM pg_locks
                        WHERE locktype = 'advisory' AND mode = 'ShareLock'
                        AND objsubid = 1 AND classid::bigint >> 16 = {_HORIZON_TAG}
                        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
                    );
                BEGIN
                    IF pg_is_in_recovery() THEN
                        RAISE EXCEPTION 'this server is a standby: it knows no horizon'
                            USING HINT = 'Give the relay the URL of the primary.';
                    END IF;
                    RETURN least(last, lowest);
                END $$"""),
            # With its owner's rights, because a login cannot see other sessions' transactions.
            dedent(f"""\
                CREATE FUNCTION journal.oldest_writer_seconds() RETURNS double precision LANGUAGE sql SECURITY DEFINER
                SET search_path = pg_catalog, pg_temp AS $$
                    SELECT coalesce(max(extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, p.prepared))), 0)
                    FROM pg_locks AS l LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
                    LEFT JOIN pg_prepared_xacts AS p ON l.virtualtransaction = '-1/' || p.transaction::text
                    WHERE l.locktype = 'advisory' AND l.mode = 'ShareLock'
                    AND l.objsubid = 1 AND l.classid::bigint >> 16 = {_HORIZON_TAG}
                    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
                $$"""),
            dedent("""\
                CREATE FUNCTION journal.refuse_truncate() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN
                    RAISE EXCEPTION 'TRUNCATE of %.% is refused: capture cannot see it', TG_TABLE_SCHEMA, TG_TABLE_NAME
                        USING HINT = 'Use DELETE, which is captured.', ERRCODE = 'feature_not_supported';
                END $$"""),
        )

    def register(self, table: CapturedTable) -> Sequence[str]:
        """Insert the definition, or renew its time."""
        return (
            request_if_changed(table),
            f"INSERT INTO journal.captured_table VALUES ('{table.fingerprint}', '{table.full_name}', "
            f"'{_quoted(table.to_json())}', clock_timestamp() AT TIME ZONE 'UTC') "
            # The newest definition is in force, even if it was in force before.
            "ON CONFLICT (fingerprint) DO UPDATE SET installed_at = EXCLUDED.installed_at",
        )

    def capture_parts(self, table: CapturedTable) -> Sequence[CapturePart]:
        """One statement-level trigger for each event, on transition tables; writers need no right on the journal."""
        moved = " AND ".join(f"n.{name} = r.{name}" for name in table.key)
        # Transition tables do not pair old and new rows. Keys that disappeared are deletes, written first; every new
        # row is an image. So a changed key is a delete and an insert.
        gone = self._write(
            table, "d", f"old_rows AS r WHERE NOT EXISTS (SELECT FROM new_rows AS n WHERE {moved})"
        )
        events = {
            "insert": ("NEW TABLE AS new_rows", [self._write(table, "c", "new_rows AS r")]),
            "update": (
                "OLD TABLE AS old_rows NEW TABLE AS new_rows",
                [gone, self._write(table, "u", "new_rows AS r")],
            ),
            "delete": ("OLD TABLE AS old_rows", [self._write(table, "d", "old_rows AS r")]),
        }
        parts = []
        for event, (transition, writes) in events.items():
            function = _trigger_function(table, event, writes)
            parts += [
                # The trigger calls the function by name: replacing the function locks no table.
                CapturePart(function.name, function.installed, (function.create(replace=True),)),
                _trigger(
                    table,
                    f"capture_{event}",
                    f"AFTER {event.upper()} ON {table.full_name} REFERENCING {transition} "
                    f"FOR EACH STATEMENT EXECUTE FUNCTION {function.name}()",
                ),
            ]
        parts.append(
            _trigger(
                table,
                "refuse_truncate",
                f"BEFORE TRUNCATE ON {table.full_name} FOR EACH STATEMENT EXECUTE FUNCTION journal.refuse_truncate()",
            )
        )
        return [*parts, *backfill_parts(table, self.key(table, "r"), partial(self._write, table))]

    def select_installed(self) -> sa.TextClause:
        """Read the catalogue of functions and triggers."""
        return sa.text(f"{SELECT_FUNCTIONS} UNION ALL {_SELECT_TRIGGERS}")

    def _write(self, table: CapturedTable, operation: str, source: str) -> str:
        image = "NULL" if operation == "d" else self.image(table, "r")
        return (
            "INSERT INTO journal.change SELECT nextval('journal.position'), "
            f"'{table.full_name}', '{operation}', {self.key(table, 'r')}, {image}, "
            f"'{table.fingerprint}', capture.actor, capture.traceparent, capture.captured_at FROM {source}"
        )

    def grant_statements(self, logins: Sequence[str]) -> Sequence[str]:
        """Grant USAGE on the lake's schemas, and the sequence's last value, which the reader asks for."""
        names = ", ".join(logins)
        return (
            f"GRANT USAGE ON SCHEMA credit, journal TO {names}",
            "GRANT USAGE ON SCHEMA intake TO intake, approval",
            "GRANT USAGE ON SCHEMA approval TO approval",
            f"GRANT SELECT ON SEQUENCE journal.position TO {names}",
        )

    def grant_catalogue(self, login: str) -> Sequence[str]:
        """Do nothing: on PostgreSQL every login sees the catalogue."""
        del login
        return ()


def _trigger_function(table: CapturedTable, event: str, writes: Sequence[str]) -> Function:
    body = "".join(f"    {write};\n" for write in writes)
    # column_text renders every type independently of the session's settings, except the digits of floats.
    floats = ("extra_float_digits = 1",) if any(column.type in FLOATS for column in table.columns) else ()
    return Function(
        f"journal.capture_{table.schema}_{table.name}_{event}",
        returns="trigger",
        settings=("search_path = pg_catalog, pg_temp", *floats),
        body="\n<<capture>>\n"
        "DECLARE\n"
        "    actor text := coalesce(nullif(current_setting('journal.actor', true), ''), session_user);\n"
        "    traceparent text := nullif(current_setting('journal.traceparent', true), '');\n"
        "    captured_at timestamp := clock_timestamp() AT TIME ZONE 'UTC';\n"
        "BEGIN\n"
        "    PERFORM journal.enter();\n"
        f"{body}"
        "    RETURN NULL;\n"
        "END ",
    )


def _trigger(table: CapturedTable, name: str, what: str) -> CapturePart:
    # As pg_get_triggerdef writes it.
    text = f"CREATE TRIGGER {name} {what}"
    return CapturePart(
        f"{table.full_name}.{name}", text, (f"DROP TRIGGER IF EXISTS {name} ON {table.full_name}", text)
    )


def _quoted(text: str) -> str:
    return text.replace("'", "''")
