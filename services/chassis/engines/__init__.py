"""The two database engines behind one narrow interface."""

from services.chassis.engines.interface import Engine
from services.chassis.engines.postgresql import PostgreSQL
from services.chassis.engines.sqlserver import SQLServer

__all__ = ["Engine", "PostgreSQL", "SQLServer", "engine_named", "is_transient"]

_ENGINES: tuple[Engine, ...] = (PostgreSQL(), SQLServer())


def engine_named(name: str) -> Engine:
    """Give the engine for SQLAlchemy's backend name (`postgresql` or `mssql`).

    Raises:
        ValueError: for any other engine.
    """
    for engine in _ENGINES:
        if engine.name == name:
            return engine
    raise ValueError(
        f"no dialect for {name!r}: the URL must begin with postgresql+asyncpg:// or mssql+aioodbc://"
    )


def is_transient(error: BaseException) -> bool:
    """Whether an error of either engine is transient; for callers that use several databases."""
    return any(engine.is_transient(error) for engine in _ENGINES)
