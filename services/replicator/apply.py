"""Write events to the replica: newest image per key, deletes, then upserts; what does not fit is set aside."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from services.chassis.dialects import CapturedTable
from services.replicator.errors import ImageNotApplicable
from services.replicator.events import Event
from services.replicator.types import RowCodec, postgresql_type

# Class 22 (data) and 23 (integrity), or a value that asyncpg cannot encode: the row is at fault, not the server.
_AT_FAULT = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, ValueError)


@dataclass(frozen=True, slots=True)
class Refused:
    """An event that the replica cannot take, and why."""

    event: Event
    reason: str


@dataclass(slots=True)
class Newest:
    """The newest event of each key of one definition, decoded: a row, or None for a delete."""

    codec: RowCodec
    rows: dict[tuple[Any, ...], tuple[Event, tuple[Any, ...] | None]] = field(default_factory=dict)


class TableWriter:
    """The statements of one definition of a table; each takes one array a column."""

    def __init__(self, table: CapturedTable) -> None:
        self.codec = RowCodec(table)
        types = {c.name: postgresql_type(c).partition("(")[0] for c in table.columns}
        names = ", ".join(types)
        arrays = ", ".join(f"${i}::{type_}[]" for i, type_ in enumerate(types.values(), start=1))
        key = ", ".join(table.key)
        changed = ", ".join(f"{name} = EXCLUDED.{name}" for name in types if name not in table.key)
        action = f"UPDATE SET {changed}" if changed else "NOTHING"
        self._upsert = (
            f"INSERT INTO {table.full_name} ({names}) SELECT * FROM unnest({arrays}) "
            f"ON CONFLICT ({key}) DO {action}"
        )
        key_arrays = ", ".join(f"${i}::{types[name]}[]" for i, name in enumerate(table.key, start=1))
        matches = " AND ".join(f"r.{name} = gone.{name}" for name in table.key)
        self._delete = (
            f"DELETE FROM {table.full_name} AS r USING unnest({key_arrays}) AS gone ({key}) WHERE {matches}"
        )

    async def write(
        self, connection: asyncpg.Connection, rows: Sequence[tuple[tuple[Any, ...], tuple[Any, ...] | None]]
    ) -> None:
        """Delete, then upsert (key, row) pairs; each key at most once."""
        gone = [key for key, row in rows if row is None]
        images = [row for _, row in rows if row is not None]
        if gone:
            await connection.execute(self._delete, *_columns(gone))
        if images:
            await connection.execute(self._upsert, *_columns(images))


def _columns(rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


async def apply(
    connection: asyncpg.Connection, writers: dict[str, TableWriter], events: Sequence[Event]
) -> list[Refused]:
    """Apply `events`, in order, inside the caller's transaction.

    Args:
        connection: to the application database, in a transaction.
        writers: by fingerprint.
        events: changes to apply; of one key the last counts.

    Returns:
        The events that cannot be applied; all others are.

    Raises:
        asyncpg.PostgresError: when the server, not a row, is at fault.
    """
    refused: list[Refused] = []
    newest: dict[str, Newest] = {}
    latest_of_key: dict[tuple[str, bytes], str] = {}
    for event in events:
        writer = writers.get(event.fingerprint)
        if writer is None:
            refused.append(Refused(event, f"no definition has the fingerprint {event.fingerprint!r}"))
            continue
        try:
            key = writer.codec.key(event.key)
            row = None if event.operation == "d" else writer.codec.row(event.image or b"")
        except ImageNotApplicable as error:
            refused.append(Refused(event, str(error)))
            continue
        # The same key under an older definition must not be written after this one.
        place = (event.topic, event.key)
        former = latest_of_key.get(place)
        if former is not None and former != event.fingerprint:
            newest[former].rows.pop(key, None)
        latest_of_key[place] = event.fingerprint
        newest.setdefault(event.fingerprint, Newest(writer.codec)).rows[key] = (event, row)
    for fingerprint, group in newest.items():
        refused += await _write(connection, writers[fingerprint], list(group.rows.items()))
    return refused


async def _write(
    connection: asyncpg.Connection,
    writer: TableWriter,
    rows: list[tuple[tuple[Any, ...], tuple[Event, tuple[Any, ...] | None]]],
) -> list[Refused]:
    """Write rows; when one is at fault, halve them until it stands alone."""
    try:
        async with connection.transaction():
            await writer.write(connection, [(key, row) for key, (_, row) in rows])
    except _AT_FAULT as error:
        if len(rows) == 1:
            return [Refused(rows[0][1][0], f"{writer.codec.table.full_name}: {error}")]
        half = len(rows) // 2
        return await _write(connection, writer, rows[:half]) + await _write(connection, writer, rows[half:])
    return []
