"""Column types of the lake, with the exact type on both engines.

PostgreSQL is the default. A variant names the SQL Server type with its size and collation, so that nothing depends
on the server's collation.
"""

from datetime import UTC, date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mssql
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.types import TypeDecorator, TypeEngine

CODE_COLLATION = "Latin1_General_100_BIN2_UTF8"
TEXT_COLLATION = "Latin1_General_100_CI_AS_SC"


class UtcDateTime(TypeDecorator[datetime]):
    """An instant in UTC with microseconds: `timestamp` on PostgreSQL, `datetime2(6)` on SQL Server.

    Takes and returns aware datetimes. Neither column stores an offset, so both engines replicate to the same
    type of the application database.

    Raises:
        ValueError: when a naive datetime is bound.
    """

    impl = sa.DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Give the column type on `dialect`."""
        if dialect.name == "mssql":
            return dialect.type_descriptor(mssql.DATETIME2(6))  # type: ignore[no-untyped-call] # SQLAlchemy's
        return dialect.type_descriptor(sa.DateTime())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn an aware datetime into the naive UTC one that the column holds."""
        del dialect
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(
                f"{value!r} has no time zone; the lake stores UTC and takes aware datetimes only"
            )
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Mark what the column holds as UTC."""
        del dialect
        return None if value is None else value.replace(tzinfo=UTC)


def code(size: int) -> TypeEngine[str]:
    """A short code of at most `size` bytes, compared bytewise on both engines."""
    return sa.String(size).with_variant(mssql.VARCHAR(size, collation=CODE_COLLATION), "mssql")


def text(size: int) -> TypeEngine[str]:
    """Text for people, at most `size` characters."""
    return sa.Unicode(size).with_variant(mssql.NVARCHAR(size, collation=TEXT_COLLATION), "mssql")


def long_text() -> TypeEngine[str]:
    """Text without a limit of its type; also for JSON documents, stored as written.

    A captured column needs the CHECK `within_long_text`: a text that fits no record stops replication of its table.
    """
    return sa.UnicodeText().with_variant(mssql.NVARCHAR(None, collation=TEXT_COLLATION), "mssql")


LONG_TEXT_BYTES = 1024 * 1024
"""The limit of a `long_text` column in bytes of UTF-8 (on SQL Server UTF-16: half as many characters).

JSON writes a control character as six bytes: a row with two such columns has an image of up to 12 MiB, and a record
of its topic can have 16 MiB.
"""


class within_long_text(sa.sql.functions.GenericFunction[bool]):  # noqa: N801 - the name of a function of SQL
    """Whether a column of `long_text` holds at most LONG_TEXT_BYTES."""

    type = sa.Boolean()
    inherit_cache = True


@compiles(within_long_text)
def _within_on_postgresql(element: within_long_text, compiler: Any, **options: Any) -> str:
    return f"octet_length({compiler.process(element.clauses, **options)}) <= {LONG_TEXT_BYTES}"


@compiles(within_long_text, "mssql")
def _within_on_sqlserver(element: within_long_text, compiler: Any, **options: Any) -> str:
    return f"DATALENGTH({compiler.process(element.clauses, **options)}) <= {LONG_TEXT_BYTES}"


def binary(size: int) -> TypeEngine[bytes]:
    """At most `size` bytes."""
    return sa.LargeBinary(size).with_variant(
        mssql.VARBINARY(size),  # type: ignore[no-untyped-call] # SQLAlchemy's
        "mssql",
    )


def long_binary() -> TypeEngine[bytes]:
    """Bytes without a limit of their type."""
    return sa.LargeBinary().with_variant(
        mssql.VARBINARY("max"),  # type: ignore[no-untyped-call] # SQLAlchemy's
        "mssql",
    )


def day() -> TypeEngine[date]:
    """A calendar day. By its SQL name: SQLAlchemy renders `sa.Date` as DATETIME when no server is connected."""
    return sa.DATE()


def money() -> sa.Numeric[Any]:
    """An amount with four decimals; another column has its currency."""
    return sa.Numeric(19, 4)


def rate() -> sa.Numeric[Any]:
    """A yearly rate or a probability as a fraction: 0.085 is 8.5 %."""
    return sa.Numeric(9, 6)
