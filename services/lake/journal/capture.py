"""From table metadata to capture: a table's definition for the journal, and the statements that install it."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import mssql, postgresql

from services.lake.journal.dialect import JournalDialect
from services.lake.journal.model import (
    OFFSET_SUFFIX,
    CapturedColumn,
    CapturedTable,
    ColumnType,
    TypeNotCaptured,
    coarse,
)
from services.lake.types import UtcDateTime

LARGEST_PRECISION = 38
FINEST_SECONDS = 6


def captured_table(table: sa.Table) -> CapturedTable:
    """Describe `table` for the journal.

    Raises:
        TypeNotCaptured: naming the column whose type cannot be carried without loss.
        ValueError: when the table has no primary key or one that cannot be compared as text, or a name that would
            need quoting.
    """
    columns = tuple(captured for column in table.columns for captured in _captured_columns(column))
    key = tuple(column.name for column in table.primary_key.columns)
    return CapturedTable(table.schema or "dbo", table.name, columns, key)


class Installed(NamedTuple):
    """The capture that is installed in a lake."""

    definitions: Mapping[str, str]
    """Full name of a table → fingerprint of the definition in force."""
    parts: Mapping[str, str]
    """Name of a part → its installed text."""


def read_installed(connection: sa.Connection, dialect: JournalDialect) -> Installed:
    """Read the installed capture, as the owner of the lake."""
    definitions = connection.execute(
        sa.text("SELECT table_name, fingerprint FROM journal.captured_table ORDER BY installed_at")
    )
    parts = connection.execute(dialect.select_installed())
    return Installed({row[0]: row[1] for row in definitions}, {row[0]: row[1] for row in parts})


def install_capture(
    tables: Iterable[CapturedTable], dialect: JournalDialect, installed: Installed | None = None
) -> Iterator[str]:
    """Yield the statements that bring the capture of `tables` up to date.

    Migrations run them in their own transaction, so that a table and its capture never disagree. Parts that are up to
    date are left unchanged: replacing a trigger locks its table against all writers.

    Args:
        tables: the captured tables.
        dialect: of the engine that the statements are for.
        installed: the installed capture; None for a new lake, or without a connection.
    """
    for table in tables:
        parts = dialect.capture_parts(table)
        if installed is None:
            yield from dialect.register(table)
        else:
            parts = [part for part in parts if _bare(installed.parts.get(part.name, "")) != _bare(part.text)]
            if installed.definitions.get(table.full_name) != table.fingerprint:
                yield from dialect.register(table)
        for part in parts:
            yield from part.statements


def _bare(text: str) -> str:
    """Give a part's text without what surrounds it when a script installs it: blank lines, a semicolon, CR LF."""
    return text.replace("\r\n", "\n").strip().rstrip(";").rstrip()


def _captured_columns(column: sa.Column[object]) -> Iterator[CapturedColumn]:
    nullable = bool(column.nullable)
    for type_ in (_integer, _number, _moment, _string, _other):
        if found := type_(column.type):
            kind, sizes = found
            yield CapturedColumn(column.name, kind, nullable, **sizes)
            if kind is ColumnType.TIMESTAMPTZ:
                yield CapturedColumn(column.name + OFFSET_SUFFIX, ColumnType.OFFSET, nullable)
            return
    raise TypeNotCaptured(column.table.fullname, column.name, repr(column.type))


_Found = tuple[ColumnType, dict[str, int | None]] | None


def _integer(type_: sa.types.TypeEngine[Any]) -> _Found:
    match type_:
        case sa.SmallInteger() | mssql.TINYINT():
            return ColumnType.SMALLINT, {}
        case sa.BigInteger():
            return ColumnType.BIGINT, {}
        case sa.Integer():
            return ColumnType.INTEGER, {}
    return None


def _number(type_: sa.types.TypeEngine[Any]) -> _Found:
    match type_:
        case mssql.MONEY():
            return ColumnType.NUMERIC, {"precision": 19, "scale": 4}
        case mssql.SMALLMONEY():
            return ColumnType.NUMERIC, {"precision": 10, "scale": 4}
        case sa.REAL():
            return ColumnType.REAL, {}
        case sa.Float():
            # FLOAT(24) is four bytes on both engines.
            return ColumnType.REAL if type_.precision and type_.precision <= 24 else ColumnType.DOUBLE, {}
        case sa.Numeric() if type_.precision is not None and type_.precision <= LARGEST_PRECISION:
            scale = type_.scale or 0
            if 0 <= scale <= type_.precision:
                return ColumnType.NUMERIC, {"precision": type_.precision, "scale": scale}
    return None


_SQLSERVER_MOMENTS = {
    "DATETIMEOFFSET": ColumnType.TIMESTAMPTZ,
    "DATETIME2": ColumnType.TIMESTAMP,
    "TIME": ColumnType.TIME,
}


def _moment(type_: sa.types.TypeEngine[Any]) -> _Found:
    match type_:
        case UtcDateTime():
            return ColumnType.TIMESTAMP, {}
        case sa.Date():
            return ColumnType.DATE, {}
        case mssql.SMALLDATETIME():
            return ColumnType.TIMESTAMP, {"precision": 0}
        case sa.DATETIME():
            # Ticks of 1/300 s, which SQL Server shows as milliseconds.
            return ColumnType.TIMESTAMP, {"precision": 3}
        case mssql.DATETIMEOFFSET() | mssql.DATETIME2() | mssql.TIME():
            # Without a precision these have 7 digits.
            if type_.precision is not None and type_.precision <= FINEST_SECONDS:
                return _SQLSERVER_MOMENTS[type_.__visit_name__], {"precision": coarse(type_.precision)}
        case sa.DateTime():
            kind = ColumnType.TIMESTAMPTZ if type_.timezone else ColumnType.TIMESTAMP
            return kind, {"precision": coarse(getattr(type_, "precision", None))}
        case sa.Time() if not type_.timezone:
            return ColumnType.TIME, {"precision": coarse(getattr(type_, "precision", None))}
    return None


def _string(type_: sa.types.TypeEngine[Any]) -> _Found:
    match type_:
        case sa.Enum() | mssql.NTEXT() | postgresql.CITEXT():
            return None
        case mssql.XML():
            return ColumnType.XML, {}
        case sa.CHAR() | sa.NCHAR():
            return ColumnType.CHAR, {"length": type_.length or 1}
        case sa.String():
            return ColumnType.TEXT, {"length": type_.length}
    return None


def _other(type_: sa.types.TypeEngine[Any]) -> _Found:
    match type_:
        case sa.Uuid():
            return ColumnType.UUID, {}
        case sa.Boolean():
            return ColumnType.BOOLEAN, {}
        case mssql.TIMESTAMP():
            return ColumnType.BINARY, {"length": 8}
        case sa.LargeBinary() if not isinstance(type_, mssql.IMAGE):
            return ColumnType.BINARY, {"length": type_.length}
        case sa.BINARY() | sa.VARBINARY():
            return ColumnType.BINARY, {"length": type_.length}
    return None
