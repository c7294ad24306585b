"""What an engine must be able to do for the lake, its journal and their verification."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine


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
    UUID = "uuid"
    BOOLEAN = "boolean"
    SMALLINT = "smallint"
    INTEGER = "integer"
    BIGINT = "bigint"
    NUMERIC = "numeric"
    DOUBLE = "double"
    DATE = "date"
    TIMESTAMP = "timestamp"
    BINARY = "binary"


@dataclass(frozen=True, slots=True)
class CapturedColumn:
    """A column as the journal sees it; `precision` and `scale` are a numeric's, `length` a text's or binary's."""

    name: str
    type: ColumnType
    nullable: bool
    precision: int | None = None
    scale: int | None = None
    length: int | None = None


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
        missing = [name for name in self.key if name not in {column.name for column in self.columns}]
        if missing or not self.key:
            raise ValueError(f"{self.full_name}: a captured table needs a primary key of its own columns")

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

    def connect_arguments(self, service: str) -> dict[str, Any]:
        """Give what the driver's `connect` takes besides the URL; the server shows `service` as the client."""

    def install(self, engine: AsyncEngine) -> None:
        """Hook what the engine's connections need (the reset of session context in the pool)."""

    async def set_context(self, connection: AsyncConnection, actor: str, traceparent: str | None) -> None:
        """Make `actor` and `traceparent` known to the capture triggers, for this transaction."""

    async def try_lock(self, connection: AsyncConnection, name: str) -> bool:
        """Take the lock `name` until the end of the transaction, or say at once that somebody has it."""

    def create_schema(self, name: str) -> str:
        """Create a schema where it is missing."""

    def create_journal(self) -> Sequence[str]:
        """Create what captures changes, empty, beside the existing schema `journal`."""

    def create_capture(self, table: CapturedTable) -> Sequence[str]:
        """(Re)create the capture triggers of one table and register its definition."""

    def grant_statements(self, logins: Sequence[str]) -> Sequence[str]:
        """Let `logins` see the schemas that their table grants are in."""

    def column_text(self, column: CapturedColumn, row: str) -> str:
        """Render `row.column` as canonical text: equal values, equal text, on both engines; NULL stays NULL."""

    def row_hashes(self, table: CapturedTable, buckets: int, bucket: int | None = None) -> str:
        """Select a verification digest of a table.

        Without `bucket`: rows (bucket, rows, sum of row hashes); with it: rows (key, row hash) of that bucket.
        Hashes are 8 bytes of SHA-256 over canonical text, so both engines give the same.
        """

    async def read_horizon(self, connection: AsyncConnection) -> Position:
        """Read a position at or below which nothing can appear any more.

        The rows must then be read by a later statement (READ COMMITTED, on the primary).
        """

    async def fetch_changes(
        self, connection: AsyncConnection, after: Position, horizon: Position, limit: int
    ) -> Sequence[Sequence[Any]]:
        """Read at most `limit` changes above `after` and not above `horizon`, in order of position.

        Columns: major, minor, table_name, operation, key, image, fingerprint, actor, traceparent, captured_at (UTC,
        naive).
        """

    def select_last_position(self) -> sa.TextClause:
        """Select (major, minor) of the last change not above (`:horizon_major`, …); no row in an empty journal."""

    def select_history(self) -> sa.TextClause:
        """Select every change of `:table_name` whose key is like `:key_pattern` (`~` escapes), in order.

        Columns as of `fetch_changes`. The history of a record, not a stream: what commits later with a lower
        position is seen by the next look.
        """

    async def oldest_writer_seconds(self, connection: AsyncConnection) -> float:
        """Say for how long the oldest open transaction has been holding the horizon back; 0 when none does."""

    def error_code(self, error: BaseException) -> Any:
        """Give the engine's own code of a database error, for messages."""
