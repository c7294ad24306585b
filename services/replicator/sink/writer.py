"""Write events to the replica: newest image per key, deletes, then upserts; what does not fit is set aside."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import asyncpg
import orjson

from services.lake.journal.model import CapturedTable
from services.replicator.errors import ImageNotApplicable
from services.replicator.records import Event, Source
from services.replicator.replica.types import RowCodec, from_json, json_type, key_from_json
from services.replicator.sink.offsets import BEHIND_CLAIM, CLAIM

# Classes 21 (two rows of one key), 22 (data), 23 (integrity) and 54 (a row too large for an index), or a value that
# asyncpg cannot encode: the row is at fault, not the server.
AT_FAULT = (
    asyncpg.CardinalityViolationError,
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,
    ValueError,
)


@dataclass(frozen=True, slots=True)
class Refused:
    """An event that the replica cannot take, and why."""

    event: Event
    reason: str


class Statement(NamedTuple):
    """What is to be run: `text` with the bodies alone, or `claiming` with the arguments of a claim before them."""

    text: str
    claiming: str
    bodies: Sequence[bytes]


class TableWriter:
    """The statements of one definition of a table.

    Images go to the server as they came, a whole batch as one JSON array: PostgreSQL turns them into rows several
    times faster than Python could.
    """

    def __init__(self, table: CapturedTable, stands_at: CapturedTable | None = None) -> None:
        """`table`: what wrote the images; `stands_at`: what the replica's table is like, by default the same."""
        self.codec = RowCodec(table)
        names = [column.name for column in table.columns]
        self._names = frozenset(names)
        # Columns that the replica has no more are not written; the others are read as what they are there.
        written = [column for column in (stands_at or table).columns if column.name in self._names]
        names = [column.name for column in written]
        columns = ", ".join(names)
        key = ", ".join(table.key)
        changed = ", ".join(f"{name} = EXCLUDED.{name}" for name in names if name not in table.key)
        action = f"UPDATE SET {changed}" if changed else "NOTHING"
        read = ", ".join(from_json(column, "r") for column in written)
        types = ", ".join(f"{column.name} {json_type(column)}" for column in written)

        def upsert(images: int, condition: str) -> str:
            return (
                f"INSERT INTO {table.full_name} ({columns}) SELECT {read} "
                f"FROM json_to_recordset(${images}::json) AS r ({types}) WHERE {condition} "
                f"ON CONFLICT ({key}) DO {action}"
            )

        # Keys too are read by PostgreSQL, which has more days than Python: asyncpg takes the last one for infinity.
        wanted = ", ".join(
            f"{key_from_json(column, 'k', place)} AS {column.name}"
            for place, column in enumerate(table.key_columns)
        )
        matches = " AND ".join(f"r.{name} = gone.{name}" for name in table.key)

        def delete(keys: int, condition: str) -> str:
            return (
                f"DELETE FROM {table.full_name} AS r "
                f"USING (SELECT {wanted} FROM json_array_elements(${keys}::json) AS k) AS gone "
                f"WHERE {matches} AND {condition}"
            )

        def both(first: int, condition: str) -> str:
            # In one round trip; to be asked for their number is what has the deletes done before anything is written.
            deletes = delete(first, condition)
            return f"WITH gone AS ({deletes} RETURNING 1) " + upsert(
                first + 1, "(SELECT count(*) FROM gone) >= 0"
            )

        def forms(write: Callable[[int, str], str]) -> tuple[str, str]:
            return write(1, "true"), write(BEHIND_CLAIM, f"(SELECT {CLAIM})")

        self._delete, self._upsert, self._both = forms(delete), forms(upsert), forms(both)

    def fits(self, image: bytes | None) -> bool:
        """Whether an image has this table's columns, and no others.

        A column that is missing would otherwise silently become NULL. The whole of it is read for its names alone,
        and still in less time than it would take to search them.
        """
        try:
            return image is not None and orjson.loads(image).keys() == self._names
        except (orjson.JSONDecodeError, AttributeError):
            return False

    def fault(self, event: Event) -> str | None:
        """Say why an event cannot be this table's, None when its shape is right."""
        image = event.record.value
        if image is None:
            try:
                self.codec.key(event.key)
            except ImageNotApplicable as error:
                return str(error)
            return None
        if self.fits(image):
            return None
        try:
            orjson.loads(image)
        except orjson.JSONDecodeError as error:
            return f"{self.codec.table.full_name}: {error}"
        return (
            self.explain(event) or f"{self.codec.table.full_name}: the image has columns that are not its own"
        )

    def explain(self, event: Event) -> str | None:
        """Name the column that makes an image unfit, None when every value of it can be read."""
        try:
            if event.image is not None:
                self.codec.row(event.image)
        except ImageNotApplicable as error:
            return str(error)
        return None

    def statement(self, events: Sequence[Event]) -> Statement:
        """Delete, then upsert; `events` are of different keys."""
        records = [event.record for event in events]
        images = [record.value for record in records if record.value is not None]
        gone = [record.key for record in records if record.value is None]
        text = self._upsert if not gone else self._both if images else self._delete
        return Statement(*text, [b"[%b]" % b",".join(body) for body in (gone, images) if body])


class Plan:
    """What to write: the newest event of each key. It is computed before any lock is taken."""

    def __init__(self) -> None:
        self.refused: list[Refused] = []
        """The events that fit no table."""
        self._newest: dict[tuple[str, bytes], Event] = {}

    def add(self, writers: Mapping[str, TableWriter], events: Sequence[Event]) -> None:
        """Take further events up.

        Args:
            writers: by fingerprint.
            events: in order, and later than what was added before; of one key the last counts.
        """
        writer: TableWriter | None = None
        source: Source | None = None
        newest = self._newest
        for event in events:
            if event.source is not source:
                source = event.source
                writer = writers.get(source.fingerprint)
            record = event.record
            if writer is None:
                reason = f"no definition has the fingerprint {event.fingerprint!r}"
                self.refused.append(Refused(event, reason))
            elif not writer.fits(record.value) and (fault := writer.fault(event)):
                self.refused.append(Refused(event, fault))
            else:
                newest[record.topic, record.key] = event

    def groups(self) -> Mapping[str, Sequence[Event]]:
        """Give the newest event of each key, by fingerprint."""
        groups: dict[str, list[Event]] = defaultdict(list)
        for event in self._newest.values():
            groups[event.source.fingerprint].append(event)
        return groups


async def write(
    connection: asyncpg.Connection, writers: Mapping[str, TableWriter], groups: Mapping[str, Sequence[Event]]
) -> None:
    """Write events, inside the caller's transaction.

    Args:
        connection: to the application database.
        writers: by fingerprint.
        groups: by fingerprint, as `Plan.groups` gives them.

    Raises:
        asyncpg.PostgresError: one of `AT_FAULT` when a row is at fault (`write_carefully` finds it), another when the
            server is.
    """
    for fingerprint, group in groups.items():
        await _run(connection, writers[fingerprint].statement(group))


async def write_carefully(
    connection: asyncpg.Connection, writers: Mapping[str, TableWriter], groups: Mapping[str, Sequence[Event]]
) -> list[Refused]:
    """Write events except those that the replica cannot take; return those. Arguments as of `write`.

    Raises:
        asyncpg.PostgresError: when the server, not a row, is at fault.
    """
    refused: list[Refused] = []
    for fingerprint, group in groups.items():
        refused += await _write(connection, writers[fingerprint], group)
    return refused


async def _write(
    connection: asyncpg.Connection, writer: TableWriter, events: Sequence[Event]
) -> list[Refused]:
    """Write events; when one is at fault, halve them until it stands alone."""
    try:
        async with connection.transaction():
            await _run(connection, writer.statement(events))
    except AT_FAULT as error:
        if len(events) == 1:
            reason = writer.explain(events[0]) or f"{writer.codec.table.full_name}: {_without_values(error)}"
            return [Refused(events[0], reason)]
        half = len(events) // 2
        return await _write(connection, writer, events[:half]) + await _write(
            connection, writer, events[half:]
        )
    return []


async def _run(connection: asyncpg.Connection, statement: Statement) -> None:
    await connection.execute(statement.text, *statement.bodies)


def _without_values(error: Exception) -> str:
    """Name an error and what it is about; its own text and DETAIL quote the row."""
    about = [getattr(error, name, None) for name in ("sqlstate", "column_name", "constraint_name")]
    return " ".join([type(error).__name__, *(str(each) for each in about if each)])
