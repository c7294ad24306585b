"""The warehouse's landing, schema `dl`, on both engines."""

from services.chassis.engines import engine_named
from services.loader.landing.interface import Landing
from services.loader.landing.postgresql import PostgreSQLLanding
from services.loader.landing.sqlserver import SQLServerLanding

__all__ = ["Landing", "PostgreSQLLanding", "SQLServerLanding", "landing_named"]


def landing_named(name: str) -> Landing:
    """Give the landing for SQLAlchemy's backend name (`postgresql` or `mssql`).

    Raises:
        ValueError: for any other engine.
    """
    landings: dict[str, Landing] = {"postgresql": PostgreSQLLanding(), "mssql": SQLServerLanding()}
    return landings[engine_named(name).name]
