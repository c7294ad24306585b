"""Types of the lake → types of the replica, and what images and keys must look like to be read as them."""

import re
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson

from services.lake.journal.model import CapturedColumn, CapturedTable, ColumnType
from services.replicator.errors import ImageNotApplicable

_POSTGRESQL = {
    ColumnType.TEXT: "text",
    ColumnType.CHAR: "text",
    ColumnType.XML: "text",
    ColumnType.UUID: "uuid",
    ColumnType.BOOLEAN: "boolean",
    ColumnType.SMALLINT: "smallint",
    ColumnType.INTEGER: "integer",
    ColumnType.BIGINT: "bigint",
    ColumnType.NUMERIC: "numeric",
    ColumnType.REAL: "real",
    ColumnType.DOUBLE: "double precision",
    ColumnType.DATE: "date",
    ColumnType.TIME: "time",
    ColumnType.TIMESTAMP: "timestamp",
    ColumnType.TIMESTAMPTZ: "timestamptz",
    ColumnType.OFFSET: "smallint",
    ColumnType.BINARY: "bytea",
}


def postgresql_type(column: CapturedColumn) -> str:
    """The replica's type for a captured column; texts carry no limit there, the lake has checked it."""
    if column.type is ColumnType.NUMERIC:
        return f"numeric({column.precision},{column.scale})"
    return _POSTGRESQL[column.type]


def json_type(column: CapturedColumn) -> str:
    """The type that PostgreSQL reads a column's JSON value as."""
    return "text" if column.type is ColumnType.BINARY else postgresql_type(column)


def from_json(column: CapturedColumn, row: str) -> str:
    """The SQL that makes a column's value out of `row`, whose columns have the types of `json_type`."""
    value = f"{row}.{column.name}"
    return f"decode({value}, 'hex')" if column.type is ColumnType.BINARY else value


def key_from_json(column: CapturedColumn, key: str, place: int) -> str:
    """The SQL that makes a key column's value out of `key`, a JSON array of canonical texts."""
    text = f"({key} ->> {place})"
    return (
        f"decode({text}, 'hex')" if column.type is ColumnType.BINARY else f"{text}::{postgresql_type(column)}"
    )


# What PostgreSQL's times can be and Python's cannot.
_BEYOND_PYTHON = re.compile(r"-?infinity|\d{5,}-.*|.* BC|24:00:00(\.0+)?")


def _moment(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    return lambda value: value if _BEYOND_PYTHON.fullmatch(value) else parse(value)


class _NulInText(ValueError):
    """U+0000 cannot be stored in PostgreSQL's text."""


def _text(value: str) -> str:
    if "\x00" in value:
        raise _NulInText
    return str(value)


_DECODERS: dict[ColumnType, Callable[[Any], Any]] = {
    ColumnType.TEXT: _text,
    ColumnType.CHAR: _text,
    ColumnType.XML: _text,
    ColumnType.UUID: UUID,
    ColumnType.BOOLEAN: lambda value: (
        value if isinstance(value, bool) else {"true": True, "false": False}[value]
    ),
    ColumnType.SMALLINT: int,
    ColumnType.INTEGER: int,
    ColumnType.BIGINT: int,
    ColumnType.NUMERIC: Decimal,
    ColumnType.REAL: float,
    ColumnType.DOUBLE: float,
    ColumnType.DATE: _moment(date.fromisoformat),
    ColumnType.TIME: _moment(time.fromisoformat),
    ColumnType.TIMESTAMP: _moment(datetime.fromisoformat),
    ColumnType.TIMESTAMPTZ: _moment(datetime.fromisoformat),
    ColumnType.OFFSET: int,
    ColumnType.BINARY: bytes.fromhex,
}


class RowCodec:
    """Reads the images and keys that one definition of a table wrote."""

    def __init__(self, table: CapturedTable) -> None:
        self.table = table
        self._columns = [(c.name, c.type, _DECODERS[c.type]) for c in table.columns]
        self._key = [(c.name, _DECODERS[c.type]) for c in table.key_columns]

    def row(self, image: bytes) -> tuple[Any, ...]:
        """The values of an image, in the order of the table's columns; times that Python has not as text.

        Raises:
            ImageNotApplicable: naming the table and the column that does not fit, without the value, which may
                be personal.
        """
        try:
            document = orjson.loads(image)
        except orjson.JSONDecodeError as error:
            raise ImageNotApplicable(f"{self.table.full_name}: the image is not JSON: {error}") from None
        if not isinstance(document, dict):
            raise ImageNotApplicable(f"{self.table.full_name}: the image is not a JSON object")
        values = []
        for name, kind, decode in self._columns:
            if name not in document:
                raise ImageNotApplicable(f"{self.table.full_name}.{name}: missing from the image")
            value = document[name]
            try:
                values.append(None if value is None else decode(value))
            except _NulInText as error:
                raise ImageNotApplicable(f"{self.table.full_name}.{name}: {error.__doc__}") from None
            except (LookupError, ValueError, TypeError, AttributeError, ArithmeticError):
                raise ImageNotApplicable(f"{self.table.full_name}.{name}: does not fit {kind}") from None
        return tuple(values)

    def key(self, key: bytes) -> tuple[Any, ...]:
        """The values of a key, in the order of the table's key columns.

        Raises:
            ImageNotApplicable: when it does not fit.
        """
        try:
            texts = orjson.loads(key)
            return tuple(decode(text) for (_, decode), text in zip(self._key, texts, strict=True))
        except (LookupError, ValueError, TypeError, AttributeError, ArithmeticError):
            columns = ", ".join(self.table.key)
            raise ImageNotApplicable(f"{self.table.full_name}: the key is not one of ({columns})") from None
