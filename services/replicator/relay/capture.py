"""Whether capture can still be trusted, asked of the lake's catalogue again and again while the relay runs."""

import asyncio
from collections.abc import Collection

import asyncpg
from pydantic import SecretStr

from services.chassis.telemetry.logging import get_logger
from services.lake.database import Lake
from services.lake.journal.inspection import REGENERATE, inspect
from services.replicator.errors import CaptureUnsound
from services.replicator.replica.connection import connect
from services.replicator.store import StopKind, StoppedTable, clear_stops, stop_tables

_log = get_logger(__name__)


async def check_capture(lake: Lake, connection: asyncpg.Connection, reviewed: Collection[str]) -> None:
    """Check once: a table that was altered without regenerating capture is stopped until that is done.

    Args:
        lake: by a login that sees the catalogue.
        connection: to the application database.
        reviewed: triggers (`schema.table.trigger`) that are known to write no captured table.

    Raises:
        CaptureUnsound: the order of changes cannot be trusted; naming what makes it so.
    """
    findings = await inspect(lake, reviewed)
    if findings.refused:
        raise CaptureUnsound(". ".join(findings.refused))
    for table, reason in findings.stopped.items():
        _log.error("capture of a table cannot be trusted", table=table, reason=reason, command=REGENERATE)
    async with connection.transaction():
        await clear_stops(connection, StopKind.CAPTURE, but=findings.stopped)
        await stop_tables(
            connection,
            [
                StoppedTable(table, StopKind.CAPTURE, reason, REGENERATE)
                for table, reason in findings.stopped.items()
            ],
        )


async def watch_capture(
    lake: Lake,
    application_url: SecretStr,
    reviewed: Collection[str],
    every_seconds: float,
    stop: asyncio.Event,
) -> None:
    """Look every few seconds until `stop` is set.

    Raises:
        CaptureUnsound: as `check_capture` does.
        OSError, asyncpg.PostgresError, sqlalchemy.exc.DBAPIError: when a database does not answer.
    """
    connection = await connect(application_url, name="replicator-capture")
    try:
        while not stop.is_set():
            try:
                await asyncio.wait_for(stop.wait(), every_seconds)
            except TimeoutError:
                await check_capture(lake, connection, reviewed)
    finally:
        connection.terminate()
