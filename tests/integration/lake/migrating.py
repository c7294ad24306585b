"""One migration of the lake alone, up or down, as it would meet a database that holds rows."""

from __future__ import annotations

import importlib

from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from services.lake.derived import derived_statements
from services.lake.journal.dialect import journal_dialect
from tests.conftest import Database


async def migrate(lake: Database, module: str, *, up: bool) -> None:
    """Run `upgrade` or `downgrade` of a migration by its module's name; after it, capture is installed again."""
    migration = importlib.import_module(f"services.lake.migrations.versions.{module}")

    def run(connection: Connection) -> None:
        with Operations.context(MigrationContext.configure(connection)):
            (migration.upgrade if up else migration.downgrade)()
        if up:
            for statement in derived_statements(journal_dialect("postgresql")):
                connection.exec_driver_sql(statement)

    engine = create_async_engine(lake.url(), poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(run)
    finally:
        await engine.dispose()
