"""The two engines behind one narrow interface: nothing else in the project asks which engine it talks to."""

from services.chassis.dialects.interface import (
    OFFSET_SUFFIX,
    START,
    CapturedColumn,
    CapturedTable,
    ColumnType,
    Dialect,
    Position,
    TypeNotCaptured,
    coarse,
)
from services.chassis.dialects.postgresql import PostgreSQL
from services.chassis.dialects.sqlserver import SQLServer

__all__ = [
    "OFFSET_SUFFIX",
    "START",
    "CapturedColumn",
    "CapturedTable",
    "ColumnType",
    "Dialect",
    "Position",
    "PostgreSQL",
    "SQLServer",
    "TypeNotCaptured",
    "coarse",
    "dialect_named",
]


def dialect_named(name: str) -> Dialect:
    """Give the dialect for SQLAlchemy's backend name (`postgresql` or `mssql`).

    Raises:
        ValueError: for any other engine.
    """
    for dialect in (PostgreSQL(), SQLServer()):
        if dialect.name == name:
            return dialect
    raise ValueError(
        f"no dialect for {name!r}: the URL must begin with postgresql+asyncpg:// or mssql+aioodbc://"
    )
