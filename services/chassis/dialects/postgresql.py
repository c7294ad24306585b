"""PostgreSQL 16 and later.

The horizon: before its first journal row a transaction takes a shared advisory lock whose key is the
sequence's last value at that moment, so it draws only positions above that key. A reader takes the smaller of
the sequence's last value and the lowest such key: a writer without its lock yet will draw above it, and a
commit is visible before its locks go.
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
from services.chassis.dialects.postgresql_catalogue import read_catalogue
from services.chassis.dialects.postgresql_locks import take_lock
from services.chassis.dialects.postgresql_operations import (
    PostgreSQLOperations,
    create_backfill,
    request_if_changed,
)

# Advisory lock keys of the horizon are this tag in the upper 16 bits, a position in the lower 48.
_HORIZON_TAG = 0x434A

_HORIZON = (
    "SELECT CASE WHEN last <= $1 THEN last ELSE journal.horizon() END "
    "FROM pg_sequence_last_value('journal.position') AS last"
)
_FIRST_OF_KEY = "split_part(key, '\"', 2)"
_CHANGE = "table_name, operation, key, image, fingerprint, actor, traceparent, captured_at"


def _page(above: str, through: str, limit: str, size: str) -> str:
    """Read the changes above one position and up to another, all expressions.

    The images' sizes are known without reading those that are stored apart. A row is left out when those before it
    fill the read.
    """
    return (
        "(SELECT c.*, sum(coalesce(octet_length(c.image), 0)) OVER (ORDER BY c.position ROWS UNBOUNDED PRECEDING) "
        "- coalesce(octet_length(c.image), 0) AS preceding_bytes FROM journal.change AS c "
        f"WHERE c.position > {above} AND c.position <= {through} ORDER BY c.position LIMIT {limit}) AS page "
        f"WHERE preceding_bytes < {size} ORDER BY position"
    )


_FETCH_CHANGES = f"SELECT position, 0, {_CHANGE} FROM {_page('$1', '$2', '$3', '$4')}"

_INTEGERS = (ColumnType.SMALLINT, ColumnType.INTEGER, ColumnType.OFFSET)
_FLOATS = (ColumnType.REAL, ColumnType.DOUBLE)
_TEXTS = (ColumnType.TEXT, ColumnType.CHAR, ColumnType.XML)
_TIME = "HH24:MI:SS.US"


# In one round trip, and still as two statements: each statement of a volatile function has a snapshot of its own.
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


class PostgreSQL(PostgreSQLOperations):
    """The PostgreSQL half of `services.chassis.dialects.interface.Dialect`."""

    name = "postgresql"
    system = "postgresql"

    def connect_arguments(self, service: str, command_seconds: float | None) -> dict[str, Any]:
        """Name the client, and wait at most 5 s for the server to let it in."""
        return {
            "server_settings": {"application_name": service},
            "timeout": 5,
            "command_timeout": command_seconds,
        }

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

    async def try_lock(self, connection: AsyncConnection, name: str, wait_seconds: int = 0) -> bool:
        """Take a transaction-long advisory lock."""
        return await take_lock(connection, name, wait_seconds)

    def create_schema(self, name: str) -> str:
        """Create a schema where it is missing."""
        return f"CREATE SCHEMA IF NOT EXISTS {name}"

    def create_journal(self) -> Sequence[str]:
        """Create sequence, journal, its audit index, incarnation and definitions, and the TRUNCATE guard."""
        return (
            "CREATE SEQUENCE journal.position CACHE 1",
            # One value drawn at once: a sequence never used has no last value to build a horizon from.
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
            # For the audit of one record and what belongs to it: the first text of the key, hashed. With table, key and
            # position in it the index cost a bulk insert more than all the rest of the journal.
            f"CREATE INDEX ix_change_first_of_key ON journal.change USING hash ({_FIRST_OF_KEY})",
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
            # Whoever could call it could hold the horizon back; the triggers run with their owner's rights.
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
            # With its owner's rights: a login sees no other session's transaction.
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

    def create_capture(self, table: CapturedTable) -> Sequence[str]:
        """One statement-level trigger an event, on transition tables; the writer needs no right on the journal."""
        statements = [
            request_if_changed(table),
            f"INSERT INTO journal.captured_table VALUES ('{table.fingerprint}', '{table.full_name}', "
            f"'{_quoted(table.to_json())}', clock_timestamp() AT TIME ZONE 'UTC') "
            # The newest is the one that is in force, even when it was in force before.
            "ON CONFLICT (fingerprint) DO UPDATE SET installed_at = EXCLUDED.installed_at",
        ]
        moved = " AND ".join(f"n.{name} = r.{name}" for name in table.key)
        # A statement has no pairs of old and new rows. Keys that went are deletes, written first; every new
        # row is an image: a moved key is a delete and an insert.
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
        for event, (transition, writes) in events.items():
            function = f"journal.capture_{table.schema}_{table.name}_{event}"
            statements += [
                f"DROP TRIGGER IF EXISTS capture_{event} ON {table.full_name}",
                f"DROP FUNCTION IF EXISTS {function}",
                self._function(table, function, writes),
                f"CREATE TRIGGER capture_{event} AFTER {event.upper()} ON {table.full_name} "
                f"REFERENCING {transition} FOR EACH STATEMENT EXECUTE FUNCTION {function}()",
            ]
        statements += [
            f"DROP TRIGGER IF EXISTS refuse_truncate ON {table.full_name}",
            f"CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON {table.full_name} "
            "FOR EACH STATEMENT EXECUTE FUNCTION journal.refuse_truncate()",
        ]
        return [*statements, *self.create_backfill(table)]

    def create_backfill(self, table: CapturedTable) -> Sequence[str]:
        """Two functions with their owner's rights."""
        return create_backfill(table, self.key(table, "r"), partial(self._write, table))

    def _function(self, table: CapturedTable, function: str, writes: Sequence[str]) -> str:
        body = "".join(f"    {write};\n" for write in writes)
        # column_text renders every type independent of the session's settings; digits of floats alone depend on one.
        floats = any(column.type in _FLOATS for column in table.columns)
        return (
            f"CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER\n"
            f"SET search_path = pg_catalog, pg_temp{' SET extra_float_digits = 1' if floats else ''} AS $$\n"
            "<<capture>>\n"
            "DECLARE\n"
            "    actor text := coalesce(nullif(current_setting('journal.actor', true), ''), session_user);\n"
            "    traceparent text := nullif(current_setting('journal.traceparent', true), '');\n"
            "    captured_at timestamp := clock_timestamp() AT TIME ZONE 'UTC';\n"
            "BEGIN\n"
            "    PERFORM journal.enter();\n"
            f"{body}"
            "    RETURN NULL;\n"
            "END $$"
        )

    def _write(self, table: CapturedTable, operation: str, source: str) -> str:
        image = "NULL" if operation == "d" else self.image(table, "r")
        return (
            "INSERT INTO journal.change SELECT nextval('journal.position'), "
            f"'{table.full_name}', '{operation}', {self.key(table, 'r')}, {image}, "
            f"'{table.fingerprint}', capture.actor, capture.traceparent, capture.captured_at FROM {source}"
        )

    def image(self, table: CapturedTable, row: str) -> str:
        """Render a row as a JSON object: numbers that JSON may round, times and bytes as text."""
        members: list[str] = []
        for index, column in enumerate(table.columns):
            text = self.column_text(column, row)
            if column.type in _TEXTS:
                value = f"to_json({text})::text"
            elif column.type in (*_INTEGERS, ColumnType.BOOLEAN):
                value = text
            elif column.type in _FLOATS:
                # The shortest digits that give the same bits again.
                value = f"'\"' || {row}.{column.name}::text || '\"'"
            elif column.type in (ColumnType.DATE, ColumnType.TIMESTAMP):
                # ISO 8601 whatever the session's DateStyle, infinity and years before Christ included.
                value = f"to_json({row}.{column.name})::text"
            else:
                value = f"'\"' || {text} || '\"'"
            members += [f"'{'{' if index == 0 else ','}\"{column.name}\":'", f"coalesce({value}, 'null')"]
        return f"concat({', '.join(members)}, '}}')"

    def key(self, table: CapturedTable, row: str) -> str:
        """Render a row's key as a JSON array of canonical texts."""
        members = [f"to_json({self.column_text(column, row)})::text" for column in table.key_columns]
        return f"""concat('[', {", ',', ".join(members)}, ']')"""

    def column_text(self, column: CapturedColumn, row: str) -> str:
        """Render one column by its type, independent of every session setting."""
        value = f"{row}.{column.name}"
        match column.type:
            case ColumnType.BINARY:
                return f"encode({value}, 'hex')"
            case ColumnType.DATE:
                return f"(to_json({value}) #>> '{{}}')"
            case ColumnType.TIME:
                return f"to_char({value}, '{_TIME}')"
            case ColumnType.TIMESTAMP:
                return _moment(value, value, f'YYYY-MM-DD"T"{_TIME}')
            case ColumnType.TIMESTAMPTZ:
                return _moment(value, f"{value} AT TIME ZONE 'UTC'", f'YYYY-MM-DD"T"{_TIME}"Z"')
            case ColumnType.OFFSET:
                # Kept by no type of this engine: instants are in UTC.
                instant = f"{row}.{column.name.removesuffix(OFFSET_SUFFIX)}"
                return f"CASE WHEN {instant} IS NOT NULL THEN '0' END"
            case ColumnType.REAL:
                return f"encode(float4send({value}), 'hex')"
            case ColumnType.DOUBLE:
                # The bits, as no two engines agree on decimal digits.
                return f"encode(float8send({value}), 'hex')"
            case _:
                return f"{value}::text"

    def row_hashes(self, table: CapturedTable, buckets: int, only: Sequence[int] = ()) -> str:
        """Hash rows and bucket them by the hash of their key, in one scan."""
        parts = ", chr(31), ".join(f"coalesce('=' || {self.column_text(c, 'r')}, '~')" for c in table.columns)
        keyed = (
            f"WITH keyed AS (SELECT {self.key(table, 'r')} AS key, concat({parts}) AS row_text "
            f"FROM {table.full_name} AS r), "
            f"hashed AS (SELECT key, {_hash('row_text')} AS row_hash, "
            f"({_hash('key')} & {buckets - 1}) AS bucket FROM keyed) "
        )
        if not only:
            return keyed + "SELECT bucket, count(*), sum(row_hash::numeric(38)) FROM hashed GROUP BY bucket"
        return keyed + f"SELECT key, row_hash FROM hashed WHERE bucket IN ({', '.join(map(str, only))})"

    def grant_statements(self, logins: Sequence[str]) -> Sequence[str]:
        """Grant USAGE on the lake's schemas, and the sequence's last value, which the reader asks for."""
        names = ", ".join(logins)
        return (
            f"GRANT USAGE ON SCHEMA credit, journal TO {names}",
            "GRANT USAGE ON SCHEMA intake TO intake",
            f"GRANT SELECT ON SEQUENCE journal.position TO {names}",
        )

    def grant_catalogue(self, login: str) -> Sequence[str]:
        """Do nothing: everybody sees the catalogue here."""
        del login
        return ()

    async def begin_stream(self, connection: AsyncConnection) -> None:
        """Leave the planner no way but the primary key.

        A prepared statement does not know how wide its range is: it would read and sort the whole rest of the
        journal for the first two thousand rows of it.
        """
        for way in ("enable_seqscan", "enable_bitmapscan", "enable_sort"):
            await connection.exec_driver_sql(f"SET {way} = off")

    async def read_horizon(self, connection: AsyncConnection, after: Position) -> Position:
        """Look at the locks only when positions above `after` were drawn."""
        return Position(int(await _driver(connection).fetchval(_HORIZON, after.major)))

    async def fetch_changes(
        self, connection: AsyncConnection, after: Position, horizon: Position, limit: int, size: int
    ) -> Sequence[Sequence[Any]]:
        """Read by the primary key alone: minors are always 0 here."""
        rows: Sequence[Sequence[Any]] = await _driver(connection).fetch(
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
        """Ask for the horizon and for the rows below it at once."""
        rows: Sequence[Sequence[Any]] = await _driver(connection).fetch(_READ, after.major, limit, size)
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
            f"WHERE {_FIRST_OF_KEY} = :first_of_key AND table_name = :table_name ORDER BY position"
        )

    def select_successor(self) -> sa.TextClause:
        """Seek by the index on the key's first text."""
        first = _FIRST_OF_KEY.replace("key", "CAST(:key AS text)")
        return sa.text(
            f"SELECT 1 FROM journal.change WHERE {_FIRST_OF_KEY} = {first} AND table_name = :table_name "
            "AND key = :key AND (position, 0::bigint) > (:major, :minor) LIMIT 1"
        )

    async def read_catalogue(self, connection: AsyncConnection, tables: Sequence[str]) -> Catalogue:
        """Read the system's catalogue."""
        return await read_catalogue(connection, tables)

    async def oldest_writer_seconds(self, connection: AsyncConnection) -> float:
        """Take the age of the oldest transaction that holds a horizon lock, prepared ones included."""
        seconds = await connection.scalar(sa.text("SELECT journal.oldest_writer_seconds()"))
        return float(seconds or 0)

    def error_code(self, error: BaseException) -> str | None:
        """Give the SQLSTATE."""
        original = getattr(error, "orig", error)
        code = getattr(original, "sqlstate", None) or getattr(original, "pgcode", None)
        return str(code) if code else None


def _driver(connection: AsyncConnection) -> Any:
    """Give asyncpg's own connection: a hundred thousand rows a second are too many for another layer of rows."""
    synchronous = connection.sync_connection
    if synchronous is None:
        raise RuntimeError("the connection is not open")
    return synchronous.connection.driver_connection


def _hash(text: str) -> str:
    return f"('x' || encode(substr(sha256(convert_to({text}, 'UTF8')), 1, 8), 'hex'))::bit(64)::bigint"


def _moment(value: str, shown: str, form: str) -> str:
    """Render a time as SQL Server does, and what that engine has not: years before Christ, and infinity."""
    return (
        f"CASE WHEN {value} >= '0001-01-01 00:00:00+00' AND {value} < 'infinity' THEN to_char({shown}, '{form}') "
        f"WHEN isfinite({value}) THEN to_char({shown}, '{form} BC') ELSE {value}::text END"
    )


def _quoted(text: str) -> str:
    return text.replace("'", "''")
