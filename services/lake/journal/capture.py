"""From table metadata to capture: what the journal must know of a table, and the statements that install it."""

from collections.abc import Iterator, Sequence

import sqlalchemy as sa
from sqlalchemy.dialects import mssql

from services.chassis.dialects import CapturedColumn, CapturedTable, ColumnType, Dialect
from services.lake.types import UtcDateTime

LARGEST_PRECISION = 38


class TypeNotCaptured(Exception):
    """A column's type has no exact counterpart in the application database."""


def captured_table(table: sa.Table) -> CapturedTable:
    """Describe `table` for the journal.

    Raises:
        TypeNotCaptured: naming the column whose type cannot be carried without loss.
        ValueError: when the table has no primary key, or a name that would need quoting.
    """
    columns = tuple(_captured_column(column) for column in table.columns)
    key = tuple(column.name for column in table.primary_key.columns)
    return CapturedTable(table.schema or "dbo", table.name, columns, key)


def install_capture(tables: Sequence[sa.Table], dialect: Dialect) -> Iterator[str]:
    """Yield the statements that (re)create the triggers of `tables`.

    Migrations run them in their own transaction, so that a table and its capture never disagree.
    """
    for table in tables:
        yield from dialect.create_capture(captured_table(table))


def _captured_column(column: sa.Column[object]) -> CapturedColumn:  # noqa: C901, PLR0912 - one case a type
    type_ = column.type
    nullable = bool(column.nullable)

    def of(kind: ColumnType, **sizes: int | None) -> CapturedColumn:
        return CapturedColumn(column.name, kind, nullable, **sizes)

    match type_:
        case UtcDateTime():
            return of(ColumnType.TIMESTAMP)
        case sa.Uuid() | mssql.UNIQUEIDENTIFIER():
            return of(ColumnType.UUID)
        case sa.Boolean() | mssql.BIT():
            return of(ColumnType.BOOLEAN)
        case sa.SmallInteger() | mssql.TINYINT():
            return of(ColumnType.SMALLINT)
        case sa.BigInteger():
            return of(ColumnType.BIGINT)
        case sa.Integer():
            return of(ColumnType.INTEGER)
        case mssql.MONEY():
            return of(ColumnType.NUMERIC, precision=19, scale=4)
        case sa.Float():
            return of(ColumnType.DOUBLE)
        case sa.Numeric() if type_.precision is not None and type_.precision <= LARGEST_PRECISION:
            return of(ColumnType.NUMERIC, precision=type_.precision, scale=type_.scale or 0)
        case sa.String():
            return of(ColumnType.TEXT, length=type_.length)
        case sa.LargeBinary():
            return of(ColumnType.BINARY, length=type_.length)
        case sa.Date():
            return of(ColumnType.DATE)
        case mssql.DATETIME2() if type_.precision is not None and type_.precision <= 6:
            return of(ColumnType.TIMESTAMP)
        case sa.DateTime() if not (
            type_.timezone or isinstance(type_, mssql.DATETIME2 | mssql.DATETIMEOFFSET)
        ):
            return of(ColumnType.TIMESTAMP)
        case _:
            raise TypeNotCaptured(
                f"{column.table.fullname}.{column.name}: {type_!r} cannot be replicated without loss; "
                "use one of: text, uuid, boolean, integers, numeric(p<=38,s), float, date, binary, "
                "timestamp or datetime2(0..6)"
            )
