"""The replica's tables: made and extended from the journal's definitions, by the sink alone.

They carry their primary key only: no order exists across partitions, so foreign keys and other unique keys
could not hold at every instant. `verify` compares what is in them.
"""

from collections.abc import Iterable

import asyncpg

from services.chassis.dialects import CapturedTable
from services.chassis.logging import get_logger
from services.replicator.types import postgresql_type

_log = get_logger(__name__)


def create_statement(table: CapturedTable) -> str:
    """The CREATE TABLE of a replica's table, where it is missing."""
    columns = [f"{c.name} {postgresql_type(c)}{'' if c.nullable else ' NOT NULL'}" for c in table.columns]
    columns.append(f"CONSTRAINT pk_{table.name} PRIMARY KEY ({', '.join(table.key)})")
    lines = ",\n    ".join(columns)
    return f"CREATE TABLE IF NOT EXISTS {table.full_name} (\n    {lines}\n)"


async def ensure_table(connection: asyncpg.Connection, table: CapturedTable) -> None:
    """Create the table, or add the columns that it lacks. Existing columns are left as they are."""
    await connection.execute(create_statement(table))
    present = await connection.fetch(
        "SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped",
        table.full_name,
    )
    names = {row["attname"] for row in present}
    for column in table.columns:
        if column.name not in names:
            # Nullable here whatever it is in the lake: older rows have no value until they are written again.
            await connection.execute(
                f"ALTER TABLE {table.full_name} ADD COLUMN IF NOT EXISTS {column.name} {postgresql_type(column)}"
            )
            _log.info("column added to the replica", table=table.full_name, column=column.name)


async def ensure_tables(connection: asyncpg.Connection, tables: Iterable[CapturedTable]) -> None:
    """Create or extend every table, in one transaction."""
    async with connection.transaction():
        # Several sinks may start at once: CREATE TABLE IF NOT EXISTS alone can still collide in the catalogue.
        await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('replication.replica', 0))")
        for table in tables:
            await ensure_table(connection, table)
