"""The replica's tables: made from the journal's definitions and kept like them, by the sink alone.

They carry their primary key only: no order exists across partitions, so foreign keys and other unique keys
could not hold at every instant. `verify` compares what is in them. A table's comment is the definition that it stands
at, changed in the transaction that changes the table.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import asyncpg
import orjson

from services.chassis.telemetry.logging import get_logger
from services.lake.journal.model import CapturedTable
from services.replicator.replica.connection import TRANSIENT_ERRORS
from services.replicator.replica.evolution import accept, create_statement, evolve
from services.replicator.replica.types import postgresql_type
from services.replicator.store import StopKind, StoppedTable, clear_stop

# As format_type gives them.
_SPELT_OUT = {
    "time": "time without time zone",
    "timestamp": "timestamp without time zone",
    "timestamptz": "timestamp with time zone",
}

_log = get_logger(__name__)

ALTER_SECONDS = 6 * 3600.0
"""A wider type rewrites the whole table."""
ACCEPT = "python -m services.replicator.main accept-schema {table}"


@dataclass(slots=True)
class Standing:
    """What the replica makes of each definition, by fingerprint.

    `writable`: the definition, and the one that the replica's table stands at. `stopped`: not before a person
    accepts it. `superseded`: of a key that the table had before; every row came again under its new one.
    """

    writable: dict[str, tuple[CapturedTable, CapturedTable]] = field(default_factory=dict)
    stopped: dict[str, StoppedTable] = field(default_factory=dict)
    superseded: set[str] = field(default_factory=set)


async def create_tables(connection: asyncpg.Connection, tables: Iterable[CapturedTable]) -> None:
    """Create the tables that are missing, in one transaction; what is there follows when its definition comes."""
    async with connection.transaction():
        await lock(connection)
        for table in tables:
            if await _live_columns(connection, table) is None:
                await _create(connection, table)


async def follow(connection: asyncpg.Connection, definitions: Mapping[str, CapturedTable]) -> Standing:
    """Bring every table as far as nothing is lost, in one transaction.

    Args:
        connection: to the application database, as the owner of the replica's tables.
        definitions: by fingerprint, oldest first.
    """
    histories: dict[str, list[CapturedTable]] = {}
    for definition in definitions.values():
        histories.setdefault(definition.full_name, []).append(definition)
    standing = Standing()
    async with connection.transaction():
        await lock(connection)
        for history in histories.values():
            await _follow_one(connection, history, standing)
    return standing


async def accept_newest(connection: asyncpg.Connection, history: Sequence[CapturedTable]) -> None:
    """Bring a table to the newest of its definitions, whatever its rows lose, and let it go on.

    Rows are complete again when a backfill that was asked for before has been applied.
    """
    newest = history[-1]
    async with connection.transaction():
        await lock(connection)
        stands_at = await standing_at(connection, newest)
        for statement in accept(stands_at or history[0], newest):
            await connection.execute(statement, timeout=ALTER_SECONDS)
        await _note(connection, newest)
        await clear_stop(connection, newest.full_name)


async def lock(connection: asyncpg.Connection) -> None:
    """Be the only one who changes the replica's tables until the transaction ends.

    Several sinks may start at once: CREATE TABLE IF NOT EXISTS alone can still collide in the catalogue.
    """
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('replication.replica', 0))")


async def standing_at(connection: asyncpg.Connection, table: CapturedTable) -> CapturedTable | None:
    """The definition that a table stands at, None when there is no table or its comment is none."""
    comment = await connection.fetchval(
        "SELECT obj_description(to_regclass($1), 'pg_class')", table.full_name
    )
    try:
        return None if comment is None else CapturedTable.from_json(comment)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return None


async def _follow_one(
    connection: asyncpg.Connection, history: Sequence[CapturedTable], standing: Standing
) -> None:
    stands_at, ahead = await _where_it_stands(connection, history)
    if by_hand := await _altered_by_hand(connection, stands_at):
        standing.stopped |= {each.fingerprint: by_hand for each in history}
        return
    stopped: list[CapturedTable] = []
    for number, definition in enumerate(ahead):
        stop = await _step(connection, stands_at, definition)
        if stop is not None:
            stopped = list(ahead[number:])
            standing.stopped |= {each.fingerprint: stop for each in stopped}
            break
        stands_at = definition
    writable: list[CapturedTable] = []
    for definition in history:
        if definition in stopped:
            continue
        if evolve(definition, stands_at).key_changed:
            standing.superseded.add(definition.fingerprint)
        else:
            writable.append(definition)
            standing.writable[definition.fingerprint] = definition, stands_at
    await _let_be_null(connection, stands_at, writable)


async def _altered_by_hand(connection: asyncpg.Connection, stands_at: CapturedTable) -> StoppedTable | None:
    """Say what makes a table unlike the definition that it tells, None when its images fit."""
    table = stands_at.full_name
    rows = await connection.fetch(
        "SELECT attname, format_type(atttypid, atttypmod) AS type FROM pg_attribute "
        "WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped",
        table,
    )
    types = {row["attname"]: row["type"] for row in rows}
    for column in stands_at.columns:
        wanted = postgresql_type(column)
        if types[column.name] != _SPELT_OUT.get(wanted, wanted):
            return _stop(
                table,
                f"altered by hand: column {column.name} is {types[column.name]}, not {wanted}",
                f"ALTER TABLE {table} DROP COLUMN {column.name}, ADD COLUMN {column.name} {wanted} (as login sink); "
                f"then backfill {table}",
            )
    key = await connection.fetchval(
        "SELECT array_agg(a.attname ORDER BY k.place) FROM pg_index AS i, "
        "unnest(i.indkey::smallint[]) WITH ORDINALITY AS k (attnum, place), pg_attribute AS a "
        "WHERE i.indrelid = to_regclass($1) AND i.indisprimary AND a.attrelid = i.indrelid AND a.attnum = k.attnum",
        table,
    )
    if tuple(key or ()) != stands_at.key:
        wanted = ", ".join(stands_at.key)
        return _stop(
            table,
            f"altered by hand: the key is ({', '.join(key or ())}), not ({wanted})",
            f"ALTER TABLE {table} ADD CONSTRAINT pk_{stands_at.name} PRIMARY KEY ({wanted}) (as login sink)",
        )
    return None


async def _step(
    connection: asyncpg.Connection, old: CapturedTable, new: CapturedTable
) -> StoppedTable | None:
    """Follow from one definition to the next, or say why not."""
    table = new.full_name
    evolution = evolve(old, new)
    if evolution.losses:
        return _stop(table, "; ".join(evolution.losses), ACCEPT.format(table=table))
    try:
        async with connection.transaction():
            for statement in evolution.follow:
                await connection.execute(statement, timeout=ALTER_SECONDS)
            await _note(connection, new)
    except TRANSIENT_ERRORS:
        raise
    except asyncpg.PostgresError as error:
        # Something that is not ours depends on the table. Tried again every second.
        statements = "; ".join(evolution.follow)
        return _stop(table, f"the replica cannot be altered: {error}", f"{statements} (as login sink)")
    if evolution.follow:
        _log.info("the replica follows", table=table, statements=evolution.follow)
    return None


async def _where_it_stands(
    connection: asyncpg.Connection, history: Sequence[CapturedTable]
) -> tuple[CapturedTable, Sequence[CapturedTable]]:
    """The definition that the table stands at, and those that come after it. Makes what is missing."""
    newest = history[-1]
    present = await _live_columns(connection, newest)
    if present is None:
        await _create(connection, newest)
        return newest, ()
    stands_at = await standing_at(connection, newest)
    if stands_at is None:
        # Made before tables told: it stands at the newest definition that it has every column of.
        known = [each for each in history if present.issuperset(column.name for column in each.columns)]
        stands_at = known[-1] if known else newest
        await _note(connection, stands_at)
    for column in stands_at.columns:
        if column.name not in present:
            # Dropped by hand. Nullable, as what was in it is gone until the rows are written again.
            _log.warning("a column of the replica was missing", table=newest.full_name, column=column.name)
            await connection.execute(
                f"ALTER TABLE {newest.full_name} ADD COLUMN {column.name} {postgresql_type(column)}"
            )
    fingerprints = [each.fingerprint for each in history]
    if stands_at.fingerprint in fingerprints:
        return stands_at, history[fingerprints.index(stands_at.fingerprint) + 1 :]
    # Made by a version whose lake is not migrated yet, or was migrated otherwise since.
    return stands_at, history[-1:]


async def _create(connection: asyncpg.Connection, table: CapturedTable) -> None:
    await connection.execute(create_statement(table))
    await _note(connection, table)


async def _let_be_null(
    connection: asyncpg.Connection, stands_at: CapturedTable, writable: Iterable[CapturedTable]
) -> None:
    """Let columns be NULL that one of the definitions does not know or may leave out: its images come, too."""
    rows = await connection.fetch(
        "SELECT attname FROM pg_attribute "
        "WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped AND attnotnull",
        stands_at.full_name,
    )
    always = [{column.name for column in each.columns if not column.nullable} for each in writable]
    for name in sorted({row["attname"] for row in rows}.difference(stands_at.key)):
        if not all(name in names for names in always):
            await connection.execute(f"ALTER TABLE {stands_at.full_name} ALTER COLUMN {name} DROP NOT NULL")


async def _note(connection: asyncpg.Connection, table: CapturedTable) -> None:
    definition = table.to_json().replace("'", "''")
    await connection.execute(f"COMMENT ON TABLE {table.full_name} IS '{definition}'")


async def _live_columns(connection: asyncpg.Connection, table: CapturedTable) -> set[str] | None:
    """The names of a table's columns, None when there is no table."""
    rows = await connection.fetch(
        "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped",
        table.full_name,
    )
    return {row["attname"] for row in rows} or None


def _stop(table: str, reason: str, command: str) -> StoppedTable:
    return StoppedTable(table, StopKind.SCHEMA, reason, command)
