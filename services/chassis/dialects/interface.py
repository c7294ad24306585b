"""What an engine must be able to do for the lake, its journal and their verification."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

if TYPE_CHECKING:
    from services.chassis.dialects.catalogue import Catalogue


class Position(NamedTuple):
    """A place in the journal: (sequence, 0) on PostgreSQL, (rowversion, identity) on SQL Server.

    Positions order changes; there are gaps, and nothing is inferred from them.
    """

    major: int
    minor: int = 0

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"

    @classmethod
    def parse(cls, text: str) -> "Position":
        """Read what `str` wrote.

        Raises:
            ValueError: when `text` is not `<number>.<number>`.
        """
        major, dot, minor = text.partition(".")
        if not (dot and major.isdecimal() and minor.isdecimal()):
            raise ValueError(f"{text!r} is not a position such as 42.0")
        return cls(int(major), int(minor))


START = Position(0, 0)
"""Before the first change of any journal."""


class ColumnType(StrEnum):
    """What a captured column holds, whatever its engine calls it."""

    TEXT = "text"
    CHAR = "char"
    """Text that the engine fills up with blanks; it travels without them."""
    XML = "xml"
    UUID = "uuid"
    BOOLEAN = "boolean"
    SMALLINT = "smallint"
    INTEGER = "integer"
    BIGINT = "bigint"
    NUMERIC = "numeric"
    REAL = "real"
    DOUBLE = "double"
    DATE = "date"
    TIME = "time"
    TIMESTAMP = "timestamp"
    TIMESTAMPTZ = "timestamptz"
    OFFSET = "offset"
    """The minutes by which the TIMESTAMPTZ column of the same name, without `OFFSET_SUFFIX`, is ahead of UTC."""
    BINARY = "binary"


OFFSET_SUFFIX = "_offset_minutes"
NOT_IN_A_KEY = frozenset({ColumnType.REAL, ColumnType.DOUBLE, ColumnType.XML})
"""Equal keys must be equal texts, and 0 = -0."""


class TypeNotCaptured(Exception):
    """A column's type has no exact counterpart in the application database."""

    def __init__(self, table: str, column: str, type_: str) -> None:
        """`table`: with its schema; `type_`: as its engine or SQLAlchemy calls it."""
        super().__init__(
            f"{table}.{column}: {type_} cannot be replicated without loss; use one of: text, char, varchar, xml, "
            "uuid, boolean, integers, numeric(p<=38, 0<=s<=p), money, real, float, date, binary, rowversion, or time, "
            "timestamp, timestamptz, datetime2, datetimeoffset with at most 6 digits of a second"
        )


@dataclass(frozen=True, slots=True)
class CapturedColumn:
    """A column as the journal sees it.

    `precision` and `scale` are a numeric's, `length` a text's or binary's; a time's `precision` are its digits of a
    second when they are fewer than 6.
    """

    name: str
    type: ColumnType
    nullable: bool
    precision: int | None = None
    scale: int | None = None
    length: int | None = None


def coarse(digits: int | None) -> int | None:
    """Give a time's digits of a second as a definition states them: only when they are fewer than 6."""
    return None if digits is None or digits >= 6 else digits


@dataclass(frozen=True, slots=True)
class CapturedTable:
    """A captured table: its columns in order, and the names of its key columns in order."""

    schema: str
    name: str
    columns: tuple[CapturedColumn, ...]
    key: tuple[str, ...]

    def __post_init__(self) -> None:
        # Names go into generated DDL: refuse here whatever would need quoting, so that no dialect has to.
        for name in (self.schema, self.name, *(column.name for column in self.columns)):
            if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", name):
                raise ValueError(f"{self.schema}.{self.name}: {name!r} is not a plain lower-case identifier")
        names = {column.name for column in self.columns}
        if len(names) < len(self.columns):
            raise ValueError(
                f"{self.full_name}: two columns of one name; beside a time with an offset stands "
                f"<name>{OFFSET_SUFFIX}: rename the other column"
            )
        if not self.key or not names.issuperset(self.key):
            raise ValueError(f"{self.full_name}: a captured table needs a primary key of its own columns")
        for column in self.key_columns:
            if column.type in NOT_IN_A_KEY:
                raise ValueError(
                    f"{self.full_name}.{column.name}: {column.type} cannot be in the key of a captured table; "
                    "use an integer, a numeric, a text or a uuid"
                )

    @property
    def full_name(self) -> str:
        """`schema.name`."""
        return f"{self.schema}.{self.name}"

    @property
    def key_columns(self) -> tuple[CapturedColumn, ...]:
        """The key's columns, in the order of the key."""
        by_name = {column.name: column for column in self.columns}
        return tuple(by_name[name] for name in self.key)

    @property
    def replica(self) -> "CapturedTable":
        """The table as the application database holds it, where offsets are columns of their own."""
        columns = tuple(
            replace(column, type=ColumnType.SMALLINT) if column.type is ColumnType.OFFSET else column
            for column in self.columns
        )
        return replace(self, columns=columns)

    @property
    def fingerprint(self) -> str:
        """Sixteen hex digits that change whenever a name, type, nullability or the key does."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    def to_json(self) -> str:
        """Write the definition as the journal keeps it, for readers to decode images by."""
        return orjson.dumps(self).decode()

    @classmethod
    def from_json(cls, text: str) -> "CapturedTable":
        """Read what `to_json` wrote."""
        raw = orjson.loads(text)
        columns = tuple(CapturedColumn(**{**c, "type": ColumnType(c["type"])}) for c in raw["columns"])
        return cls(raw["schema"], raw["name"], columns, tuple(raw["key"]))


class Dialect(Protocol):
    """One engine. Statements are returned as text, one batch each, without a closing semicolon."""

    name: str
    system: str
    """The engine as telemetry calls it (`db.system.name` of the semantic conventions)."""

    def connect_arguments(self, service: str, command_seconds: float | None) -> dict[str, Any]:
        """Give what the driver's `connect` takes besides the URL.

        Args:
            service: shown by the server as the client.
            command_seconds: a statement that takes longer fails; None for never.
        """

    def install(self, engine: AsyncEngine) -> None:
        """Hook what the engine's connections need (the reset of session context in the pool)."""

    async def set_context(self, connection: AsyncConnection, actor: str, traceparent: str | None) -> None:
        """Make `actor` and `traceparent` known to the capture triggers, for this transaction."""

    async def try_lock(self, connection: AsyncConnection, name: str, wait_seconds: int = 0) -> bool:
        """Take the lock `name` until the end of the transaction; False when somebody has it for so long.

        Who has waited in vain can only roll back.
        """

    def create_schema(self, name: str) -> str:
        """Create a schema where it is missing."""

    def create_journal(self) -> Sequence[str]:
        """Create what captures changes, empty, beside the existing schema `journal`."""

    def create_capture(self, table: CapturedTable) -> Sequence[str]:
        """(Re)create the capture triggers of one table and what a backfill calls, and register its definition.

        A table that was captured by another definition until now, or by none and has rows, is given a request for a
        backfill, so that what a migration put into it reaches the replica.
        """

    def create_backfill(self, table: CapturedTable) -> Sequence[str]:
        """(Re)create what writes rows of one table into the journal as they are; nobody may call it yet."""

    def grant_backfill(self, table: CapturedTable, login: str) -> Sequence[str]:
        """Let `login` call what `create_backfill` made."""

    def call_backfill(self, table: CapturedTable) -> sa.TextClause:
        """Write the page behind `:after_key` (NULL: the first) of at most `:most_rows` rows as `r`.

        Its row is (last_key, rows_written), last_key NULL when there was nothing behind. The rows are locked until
        the transaction ends. It waits for a lock for half a second only (see `passes_by_itself`).
        """

    def call_repair(self, table: CapturedTable) -> sa.TextClause:
        """Write the rows with `:keys` (a JSON array of keys) as `r`, and as `d` the keys that do not exist.

        Its row is as of `call_backfill`.
        """

    def passes_by_itself(self, error: BaseException) -> bool:
        """Whether an error is worth another try: a lock not had in time, a deadlock, a server that cannot serve now.

        The last is one that is out of disk or memory, read-only, or slow: it says nothing of the statement.
        """

    def delete_through(self) -> sa.TextClause:
        """Delete every change at or below (`:major`, `:minor`)."""

    def select_waiting(self) -> sa.TextClause:
        """Select at most `:limit` changes above (`:major`, `:minor`) and not above `:horizon_major`, in order.

        Columns: major, minor, table_name, key, captured_at.
        """

    def grant_statements(self, logins: Sequence[str]) -> Sequence[str]:
        """Let `logins` see the schemas that their table grants are in."""

    def grant_catalogue(self, login: str) -> Sequence[str]:
        """Let `login` see the captured tables, their triggers and foreign keys in the catalogue."""

    def column_text(self, column: CapturedColumn, row: str) -> str:
        """Render `row.column` as canonical text: equal values, equal text, on both engines; NULL stays NULL."""

    def row_hashes(self, table: CapturedTable, buckets: int, only: Sequence[int] = ()) -> str:
        """Select a verification digest of a table.

        Without `only`: rows (bucket, rows, sum of row hashes); with it: rows (key, row hash) of those buckets.
        Hashes are 8 bytes of SHA-256 over canonical text, so both engines give the same.
        """

    async def begin_stream(self, connection: AsyncConnection) -> None:
        """Prepare a connection that will do nothing but read the journal, until it is closed."""

    async def read_horizon(self, connection: AsyncConnection, after: Position) -> Position:
        """Read a position at or below which nothing can appear any more.

        It need not be exact when it is not above `after`: the caller then has nothing to read. The rows must then be
        read by a later statement (READ COMMITTED, on the primary).
        """

    async def fetch_changes(
        self, connection: AsyncConnection, after: Position, horizon: Position, limit: int, size: int
    ) -> Sequence[Sequence[Any]]:
        """Read at most `limit` changes above `after` and not above `horizon`, in order of position.

        None further are read when the images before them have `size` bytes: what is read at once is bounded, whatever
        the size of the rows, but for one image.

        Columns: major, minor, table_name, operation, key, image, fingerprint, actor, traceparent, captured_at (UTC,
        naive).
        """

    def create_read(self) -> Sequence[str]:
        """Create what `read_changes` needs in the journal's schema."""

    def drop_read(self) -> Sequence[str]:
        """Drop what `create_read` made."""

    async def read_changes(
        self, connection: AsyncConnection, after: Position, limit: int, size: int
    ) -> Sequence[Sequence[Any]]:
        """Read complete changes above `after`: `read_horizon`, then `fetch_changes`, on a connection that autocommits.

        An empty result means that nothing more is complete yet.
        """

    def select_last_position(self) -> sa.TextClause:
        """Select (major, minor) of the last change not above (`:horizon_major`, …); no row in an empty journal."""

    def select_history(self) -> sa.TextClause:
        """Select every change of `:table_name` whose key begins with the text `:first_of_key`, in order.

        A text of letters, digits and dashes, as the lake's keys are.

        Columns as of `fetch_changes`. The history of a record, not a stream: what commits later with a lower
        position is seen by the next look.
        """

    def select_successor(self) -> sa.TextClause:
        """Select a row when there is a change of the row `:key` of `:table_name` above (`:major`, `:minor`)."""

    async def read_catalogue(self, connection: AsyncConnection, tables: Sequence[str]) -> "Catalogue":
        """Read how `tables` (full names), their triggers and their foreign keys are now."""

    async def oldest_writer_seconds(self, connection: AsyncConnection) -> float:
        """Say for how long the oldest open transaction has been holding the horizon back; 0 when none does."""

    def error_code(self, error: BaseException) -> Any:
        """Give the engine's own code of a database error, for messages."""
