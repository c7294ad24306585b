"""Tell the lake what replication has passed, and refuse to begin where the journal was purged."""

import asyncio
import contextlib

import asyncpg
import orjson
from pydantic import SecretStr
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from services.chassis.error_names import error_name
from services.chassis.telemetry.logging import get_logger
from services.lake.database import Lake
from services.lake.journal.model import Position
from services.lake.journal.retention import Retention
from services.replicator.errors import CursorBehindRetention
from services.replicator.relay.held import Held
from services.replicator.replica.connection import TRANSIENT_ERRORS, connect
from services.replicator.store import partition_progress

REPORT_SECONDS = 5.0

_log = get_logger(__name__)


def refuse_purged(purged: Position, cursor: Position) -> None:
    """Check that a journal that was purged up to `purged` still holds everything above `cursor`.

    Raises:
        CursorBehindRetention: changes that were never relayed have been purged.
    """
    if cursor < purged:
        raise CursorBehindRetention(
            f"the cursor stands at {cursor}, the journal was purged up to {purged}: what lay between cannot be relayed "
            "any more. Rebuild the replica by a backfill, see docs/runbooks/relay-stopped.md"
        )


async def report_passed(lake: Lake, application: SecretStr, stop: asyncio.Event) -> None:
    """Report every few seconds how far the relay's saved cursor and the replica are, until `stop` is set.

    What is reported was read a round before: by then no crash of the application database takes it back.
    """
    retention = Retention(lake)
    known: dict[str, Position] = {}
    while not stop.is_set():
        try:
            for name, position in known.items():
                await retention.report(name, position)
            known = await _passed(application)
        except (*TRANSIENT_ERRORS, asyncpg.PostgresError, DBAPIError, PoolTimeout) as error:
            _log.warning("what was passed is not reported", error=error_name(error))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), REPORT_SECONDS)


async def _passed(application: SecretStr) -> dict[str, Position]:
    connection = await connect(application, name="replicator-relay", command_seconds=REPORT_SECONDS)
    try:
        relay = await connection.fetchrow(
            "SELECT position_major, position_minor, held FROM replication.relay"
        )
        applied = [each.applied for each in await partition_progress(connection)]
    finally:
        await connection.close()
    passed: dict[str, Position] = {}
    if relay is not None:
        # What a held table has missed is read again when it is resumed.
        held = [Held.from_json(kept).after for kept in orjson.loads(relay["held"]).values()]
        passed["relay"] = min([Position(relay["position_major"], relay["position_minor"]), *held])
    if applied:
        # A partition that lost records on Kafka is sent them again from here.
        passed["replica"] = min(applied)
    return passed
