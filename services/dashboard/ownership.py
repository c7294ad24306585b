"""What the dashboard's login may do in schema `dashboard`; it has no other rights."""

from collections.abc import Iterator

from sqlalchemy.engine import Connection

from services.chassis.engines import Engine


def grants(_engine: Engine, _connection: Connection | None) -> Iterator[str]:
    """Yield the GRANT statements for the login `dashboard`."""
    yield "GRANT USAGE ON SCHEMA dashboard TO dashboard"
    yield "GRANT SELECT, INSERT, UPDATE, DELETE ON dashboard.session TO dashboard"
