"""The command that creates what replication keeps in the application database."""

import asyncio
from pathlib import Path

from services.chassis.migrations import upgrade
from services.chassis.settings import load_settings
from services.lake.journal.capture import captured_table
from services.lake.tables import CAPTURED
from services.replicator.replica.connection import connect
from services.replicator.replica.tables import create_tables
from services.replicator.settings import MigrationSettings

MIGRATIONS = Path(__file__).parents[1] / "migrations"


def migrate() -> None:
    """Create the bookkeeping and the replica's tables (owner's login)."""
    settings = load_settings(MigrationSettings)
    upgrade(MIGRATIONS, settings.application_url.get_secret_value(), version_table_schema="replication")

    async def create_replica() -> None:
        connection = await connect(settings.application_url, name="replicator-migrate")
        try:
            await connection.execute("SET ROLE sink")
            await create_tables(connection, [captured_table(table) for table in CAPTURED])
        finally:
            await connection.close()

    asyncio.run(create_replica())
    print("replicator: bookkeeping and replica are up to date")
