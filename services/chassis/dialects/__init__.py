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
from services.chassis.dialects.landing import Landing
from services.chassis.dialects.postgresql import PostgreSQL
from services.chassis.dialects.postgresql_landing import PostgreSQLLanding
from services.chassis.dialects.sqlserver import SQLServer
from services.chassis.dialects.sqlserver_landing import SQLServerLanding

__all__ = [
    "OFFSET_SUFFIX",
    "START",
    "CapturedColumn",
    "CapturedTable",
    "ColumnType",
    "Dialect",
    "Landing",
    "Position",
    "PostgreSQL",
    "PostgreSQLLanding",
    "SQLServer",
    "SQLServerLanding",
    "TypeNotCaptured",
    "coarse",
    "dialect_named",
    "landing_named",
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


def landing_named(name: str) -> Landing:
    """Give the warehouse's half of the dialect for SQLAlchemy's backend name.

    Raises:
        ValueError: for any engine that `dialect_named` does not know.
    """
    landings: dict[str, Landing] = {"postgresql": PostgreSQLLanding(), "mssql": SQLServerLanding()}
    return landings[dialect_named(name).name]
