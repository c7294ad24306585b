"""The verifier's process: compares both sides repeatedly, and measures the replica's lag."""

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any, TypeVar

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from services.chassis.error_names import error_name
from services.chassis.telemetry.logging import get_logger
from services.lake.database import Lake
from services.replicator import metrics
from services.replicator.progress import Work
from services.replicator.replica.connection import TRANSIENT_ERRORS, connect
from services.replicator.settings import CommandSettings, VerifierSettings
from services.replicator.verification.status import ReplicationStatus, read_status
from services.replicator.verification.verifier import NotCaughtUp, Verification, Verifier

EXPORT_SECONDS = 2.0
STATUS_SECONDS = 10.0
"""What a statement about the status may take."""
# A table that is being migrated may differ in its columns for a moment.
_TRIED_AGAIN = (*TRANSIENT_ERRORS, asyncpg.PostgresError, DBAPIError, PoolTimeout)

T = TypeVar("T")
_log = get_logger(__name__)


async def verify_once(
    lake: Lake, settings: CommandSettings, *, wait_seconds: float, command_seconds: float | None = None
) -> Verification:
    """Verify every table; a statement that takes longer than `command_seconds` is given up.

    Raises:
        NotCaughtUp: when the replica does not reach the journal's position in time.
        OSError, asyncpg.PostgresError, sqlalchemy.exc.DBAPIError: when a database does not answer.
    """
    connection = await connect(
        settings.application_url, name="replicator-verify", command_seconds=command_seconds
    )
    try:
        return await Verifier(lake, connection, wait_seconds=wait_seconds).run()
    finally:
        await connection.close()


async def current_status(lake: Lake, settings: CommandSettings) -> ReplicationStatus:
    """Read where replication stands; raises as `read_status`."""
    connection = await connect(
        settings.application_url, name="replicator-status", command_seconds=STATUS_SECONDS
    )
    try:
        return await read_status(lake, connection)
    finally:
        await connection.close()


async def verify_continuously(lake: Lake, settings: VerifierSettings, stop: asyncio.Event) -> None:
    """Verify, pause, and verify again until `stop` is set. What cannot be verified now is tried after the pause."""
    while not stop.is_set():
        try:
            result = await _unless(
                stop,
                verify_once(
                    lake,
                    settings,
                    wait_seconds=settings.verify_wait_seconds,
                    command_seconds=settings.verify_command_seconds,
                ),
            )
        except NotCaughtUp as error:
            _log.warning("not verified", reason=str(error))
        except _TRIED_AGAIN as error:
            _log.warning("not verified", error=error_name(error))
        else:
            if result is None:
                return
            if result.equal:
                _log.info("verified", position=str(result.position), rows=result.rows)
            else:
                _log.error("rows differ", position=str(result.position), mismatches=result.mismatches)
        await _pause(stop, settings.verify_every_seconds)


async def export_status(lake: Lake, settings: VerifierSettings, stop: asyncio.Event, work: Work) -> None:
    """Set the metrics of the status every few seconds until `stop` is set; `work` hears of each success."""
    while not stop.is_set():
        try:
            (await current_status(lake, settings)).export()
            work.acknowledged()
        except _TRIED_AGAIN as error:
            _log.warning("the status cannot be read", error=error_name(error))
            # A relay needs both databases as well.
            metrics.RELAY_ALIVE.set(0)
        await _pause(stop, EXPORT_SECONDS)


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """Do `work`, or give it up and give None when `stop` is set: it may take half an hour, and nothing is lost."""
    tasks = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return tasks[0].result() if tasks[0].done() else None
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
