"""The journal's model: positions, and captured tables with the types of their columns."""

import hashlib
import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

import orjson


class Position(NamedTuple):
    """A place in the journal: (sequence, 0) on PostgreSQL, (rowversion, identity) on SQL Server.

    Positions order changes. There are gaps, and they mean nothing.
    """

    major: int
    minor: int = 0

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"

    @classmethod
    def parse(cls, text: str) -> "Position":
        """Parse the output of `str`.

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
    """The type of a captured column, independent of the engine."""

    TEXT = "text"
    CHAR = "char"
    """Text that the engine pads with blanks; images leave the blanks out."""
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
"""Not allowed in a key: equal keys must be equal texts, but 0 = -0."""


class TypeNotCaptured(Exception):
    """A column's type has no exact counterpart in the application database."""

    def __init__(self, table: str, column: str, type_: str) -> None:
        """`table`: with its schema; `type_`: the name of the type in its engine or SQLAlchemy."""
        super().__init__(
            f"{table}.{column}: {type_} cannot be replicated without loss; use one of: text, char, varchar, xml, "
            "uuid, boolean, integers, numeric(p<=38, 0<=s<=p), money, real, float, date, binary, rowversion, or time, "
            "timestamp, timestamptz, datetime2, datetimeoffset with at most 6 digits of a second"
        )


@dataclass(frozen=True, slots=True)
class CapturedColumn:
    """A column of a captured table.

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


class CapturePart(NamedTuple):
    """One trigger, function or procedure of a table's capture."""

    name: str
    """With its schema; of a trigger as its engine names it uniquely."""
    text: str
    """The text in the engine's catalogue after the part is installed (`JournalDialect.select_installed`)."""
    statements: tuple[str, ...]
    """The statements that install it, whether or not an older one exists."""


@dataclass(frozen=True, slots=True)
class CapturedTable:
    """A captured table: its columns in order, and the names of its key columns in order."""

    schema: str
    name: str
    columns: tuple[CapturedColumn, ...]
    key: tuple[str, ...]

    def __post_init__(self) -> None:
        # Names go into generated DDL: refuse names that would need quoting, so that no dialect has to quote them.
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
        """Sixteen hex digits that change whenever a name, a type, a nullability or the key changes."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    def to_json(self) -> str:
        """Serialise the definition for the journal; readers decode images with it."""
        return orjson.dumps(self).decode()

    @classmethod
    def from_json(cls, text: str) -> "CapturedTable":
        """Parse the output of `to_json`."""
        raw = orjson.loads(text)
        columns = tuple(CapturedColumn(**{**c, "type": ColumnType(c["type"])}) for c in raw["columns"])
        return cls(raw["schema"], raw["name"], columns, tuple(raw["key"]))
