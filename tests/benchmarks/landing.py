"""Writes the history of many applications straight into the landing, as the loader would have left it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from textwrap import dedent

import asyncpg

from services.lake.journal.postgresql import PostgreSQLJournal
from tests.benchmarks.history import CHUNK, STEPS, TABLES, Step
from tests.conftest import Database

WRITERS = 2
"""Connections that write at once; a batch is written by one."""
STRIDE = 64
"""Positions that an application takes; a step has always the same of them."""
CAPTURED = "timestamp '2024-01-01' + r.n * interval '1 second'"


def statements(steps: Sequence[Step]) -> Iterator[str]:
    """Yield one insert a step: of applications `$1` to `$2`, as batch `$3`, at positions behind `$4`."""
    dialect = PostgreSQLJournal()
    for place, (operation, name, values, applies) in enumerate(steps, start=1):
        table = TABLES[name]
        columns = ", ".join(column.name for column in table.columns)
        yield dedent(f"""\
            INSERT INTO dl.credit_{name}
            SELECT $3::bigint, $4::bigint + r.n::bigint * {STRIDE} + {place}, 0, '{operation}',
                {dialect.key(table, "r")}, {dialect.image(table, "r")},
                '{table.fingerprint}', 'generator', NULL, {CAPTURED}
            FROM (SELECT {values}, n FROM generate_series($1::integer, $2::integer) AS n WHERE {applies})
                AS r ({columns}, n)""")


async def land_history(
    warehouse: Database,
    first: int,
    last: int,
    tell: Callable[[int], None] = lambda _: None,
    *,
    steps: Sequence[Step] = STEPS,
) -> int:
    """Write the history of applications `first` to `last` into `dl`, a batch a chunk; returns how many changes.

    Nobody else may load meanwhile. The positions lie above all that have landed.
    """
    async with warehouse.connect() as owner:
        landed = await owner.fetchval(
            "SELECT greatest("
            + ", ".join(f"(SELECT max(position_major) FROM dl.credit_{name})" for name in TABLES)
            + ")"
        )
    behind = int(landed or 0)
    starts = iter(range(first, last + 1, CHUNK))
    changes = 0

    async def write() -> None:
        nonlocal changes
        async with warehouse.connect() as owner:
            prepared = [await owner.prepare(statement) for statement in statements(steps)]
            for start in starts:
                end = min(start + CHUNK - 1, last)
                written = await land_batch(owner, prepared, start, end, behind)
                changes += written
                tell(end - start + 1)

    await asyncio.gather(*(write() for _ in range(WRITERS)))
    async with warehouse.connect() as owner:
        for name in TABLES:
            await owner.execute(f"VACUUM (ANALYZE) dl.credit_{name}")
    return changes


async def land_batch(
    owner: asyncpg.Connection[asyncpg.Record],
    inserts: Sequence[asyncpg.prepared_stmt.PreparedStatement[asyncpg.Record]],
    first: int,
    last: int,
    behind: int,
) -> int:
    """Write one batch with its bookkeeping, in one transaction; returns how many changes."""
    async with owner.transaction():
        batch_id = await owner.fetchval("SELECT nextval('dl.batch_number')")
        rows = 0
        for insert in inserts:
            await insert.fetch(first, last, batch_id, behind)
            rows += int(insert.get_statusmsg().split()[-1])
        await owner.execute(
            "INSERT INTO dl.batch (batch_id, flow, window_from, window_to, row_count, checksum, started_at, "
            "loaded_at) VALUES ($1, 'lake', $2, $3, $4, encode(sha256($5), 'hex'), now() AT TIME ZONE 'UTC', "
            "now() AT TIME ZONE 'UTC')",
            *(batch_id, str(first), str(last), rows, f"{first}-{last}".encode()),
        )
    return rows
