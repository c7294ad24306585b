"""Wait until the replica has everything that the lake has captured so far."""

import asyncio
import time

import asyncpg

from services.lake.journal.model import Position
from services.lake.journal.reader import JournalReader
from services.replicator.store import partition_progress, stopped_tables
from services.replicator.topics import table_of

POLL_SECONDS = 0.05


class NotCaughtUp(Exception):
    """The replica did not reach a position in time."""


async def catch_up(journal: JournalReader, replica: asyncpg.Connection, *, seconds: float) -> Position:
    """Wait until everything captured so far is applied, but for tables that are stopped; give that position.

    Raises:
        NotCaughtUp: naming the partitions that did not get there in `seconds`.
    """
    position = await journal.last_position()
    deadline = time.monotonic() + seconds
    while True:
        behind = [each for each in await partition_progress(replica) if not each.has_applied(position)]
        # Read after the progress: a table that goes on meanwhile is waited for.
        stopped = await stopped_tables(replica)
        behind = [each for each in behind if table_of(each.topic) not in stopped]
        relayed = await replica.fetchval(
            "SELECT (position_major, position_minor) >= ($1::bigint, $2::bigint) FROM replication.relay",
            position.major,
            position.minor,
        )
        if relayed and not behind:
            return position
        if time.monotonic() > deadline:
            named = ", ".join(map(str, behind[:5])) or "the relay's cursor"
            raise NotCaughtUp(
                f"position {position} was not reached in {seconds:.0f} s by {named}"
                f"{' and others' if len(behind) > 5 else ''}: see that relay and sink run"
            )
        await asyncio.sleep(POLL_SECONDS)
