"""Records that could not be applied: kept whole, in the transaction that went on without them."""

import base64
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import asyncpg
import orjson
from aiokafka import ConsumerRecord

from services.replicator.records import CHANGE, Event

_OPEN = "SELECT count(*) FROM replication.sink_quarantine WHERE resolved_at IS NULL"


async def keep(connection: asyncpg.Connection, record: ConsumerRecord, reason: str) -> None:
    """Put one record aside; the same record twice is kept once."""
    headers = storable_headers(record)
    operation, _, rest = headers.get(CHANGE, "").partition(" ")
    position = rest.partition(" ")[0]
    await connection.execute(
        """
        INSERT INTO replication.sink_quarantine
            (topic, partition, kafka_offset, position, operation, key, image, headers, reason)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        ON CONFLICT (topic, partition, kafka_offset) DO NOTHING
        """,
        record.topic,
        record.partition,
        record.offset,
        position[:41],
        operation[:16],
        record.key,
        record.value,
        orjson.dumps(headers).decode(),
        _storable(reason),
    )


async def heal(connection: asyncpg.Connection, applied: Collection[Event]) -> None:
    """Close the entries of keys that a later, applied change has brought up to date."""
    await connection.execute(
        """
        UPDATE replication.sink_quarantine AS q SET resolved_at = clock_timestamp(), resolution = 'healed'
        FROM unnest($1::text[], $2::bytea[], $3::bigint[]) AS a (topic, key, kafka_offset)
        WHERE q.resolved_at IS NULL AND q.topic = a.topic AND q.key = a.key AND q.kafka_offset < a.kafka_offset
        """,
        [event.topic for event in applied],
        [event.key for event in applied],
        [event.offset for event in applied],
    )


async def count_open(connection: asyncpg.Connection) -> int:
    """How many entries nobody has resolved."""
    return int(await connection.fetchval(_OPEN))


async def list_open(
    connection: asyncpg.Connection, numbers: Collection[int] | None = None
) -> Sequence[Mapping[str, Any]]:
    """The open entries, oldest first, only those of `numbers` when given.

    Keys are text; images are left out since they hold personal data.
    """
    rows = await connection.fetch(
        "SELECT id, topic, partition, kafka_offset, position, operation, key, reason, quarantined_at "
        "FROM replication.sink_quarantine WHERE resolved_at IS NULL AND ($1::bigint[] IS NULL OR id = ANY($1)) "
        "ORDER BY id",
        None if numbers is None else list(numbers),
    )
    return [{**row, "key": _readable(row["key"])} for row in rows]


async def read(connection: asyncpg.Connection, number: int) -> Mapping[str, Any] | None:
    """One entry with all that was kept of it, open or not; None when there is none."""
    row = await connection.fetchrow("SELECT * FROM replication.sink_quarantine WHERE id = $1", number)
    return None if row is None else {**row, "key": _readable(row["key"]), "image": _readable(row["image"])}


async def resolve(
    connection: asyncpg.Connection, numbers: Collection[int], *, resolution: str, by: str, reason: str
) -> list[int]:
    """Close open entries, keeping who did it and why; give the ids of those that were open."""
    rows = await connection.fetch(
        "UPDATE replication.sink_quarantine SET resolved_at = clock_timestamp(), resolution = $2, resolved_by = $3, "
        "resolution_reason = $4 WHERE resolved_at IS NULL AND id = ANY($1::bigint[]) RETURNING id",
        list(numbers),
        resolution,
        by,
        reason,
    )
    return sorted(row["id"] for row in rows)


def storable_headers(record: ConsumerRecord) -> dict[str, str]:
    """The headers as PostgreSQL's jsonb can hold them: escaped before they become a document, not within it."""
    return {
        _storable(name): _storable((value or b"").decode("utf-8", "backslashreplace"))
        for name, value in record.headers
    }


def _storable(text: str) -> str:
    # PostgreSQL's text cannot hold U+0000, and a record that cannot be kept would stop the sink.
    return text.replace("\x00", "\\u0000")


def _readable(key: bytes | None) -> str:
    if key is None:
        return ""
    try:
        return key.decode()
    except UnicodeDecodeError:
        return base64.b64encode(key).decode()
