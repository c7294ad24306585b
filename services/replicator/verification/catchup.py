"""Wait until the replica has everything that the lake has captured so far."""

import asyncio
import time

import asyncpg

from services.lake.journal.model import Position
from services.lake.journal.reader import JournalReader

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
        behind = await replica.fetch(
            """
            SELECT place FROM replication.relay CROSS JOIN jsonb_object_keys(sent) AS place
            LEFT JOIN replication.sink_offset AS o ON place = o.topic || '/' || o.partition
            WHERE (o.topic IS NULL OR (o.position_major, o.position_minor) < ($1::bigint, $2::bigint))
            AND NOT EXISTS (
                SELECT FROM replication.stopped_table AS s
                WHERE right(split_part(place, '/', 1), length(s.table_name)) = s.table_name
            )
            ORDER BY place
            """,
            position.major,
            position.minor,
        )
        relayed = await replica.fetchval(
            "SELECT (position_major, position_minor) >= ($1::bigint, $2::bigint) FROM replication.relay",
            position.major,
            position.minor,
        )
        if relayed and not behind:
            return position
        if time.monotonic() > deadline:
            named = ", ".join(row["place"] for row in behind[:5]) or "the relay's cursor"
            raise NotCaughtUp(
                f"position {position} was not reached in {seconds:.0f} s by {named}"
                f"{' and others' if len(behind) > 5 else ''}: see that relay and sink run"
            )
        await asyncio.sleep(POLL_SECONDS)
