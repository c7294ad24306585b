"""Changes of the lake's tables as a migration makes them: the table and its capture in one transaction."""

from __future__ import annotations

from services.lake.database import Lake
from services.lake.journal.capture import install_capture
from services.lake.ownership import CATALOGUE_READER, REQUESTS_WORKER
from tests.integration.replicator.pipeline import Pipeline


async def change(pipeline: Pipeline, table: str, *statements: str) -> None:
    """Run `statements` and install the capture of `table`, in one transaction.

    Raises:
        AssertionError: when the table that they leave cannot be captured.
    """
    lake = Lake.open(str(pipeline.lake_database.url()), service="test-migration", pool_size=1)
    try:
        async with lake.engine.begin() as connection:
            for statement in statements:
                await connection.exec_driver_sql(pipeline.lake_database.sql(statement))
            live = (await lake.dialect.read_catalogue(connection, [table])).tables[table]
            assert live.definition is not None, live.refusal
            for statement in (
                *install_capture([live.definition], lake.dialect),
                *lake.dialect.grant_catalogue(CATALOGUE_READER),
                *lake.dialect.grant_backfill(live.definition, REQUESTS_WORKER),
            ):
                await connection.exec_driver_sql(statement)
    finally:
        await lake.dispose()
