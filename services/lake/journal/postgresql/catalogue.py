"""Reads the current columns, triggers and foreign keys of captured tables from PostgreSQL's catalogue."""

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from services.lake.journal.catalogue import Catalogue, ForeignKey, LiveTable, live_table
from services.lake.journal.model import OFFSET_SUFFIX, CapturedColumn, ColumnType, TypeNotCaptured, coarse

CAPTURE_TRIGGERS = ("capture_insert", "capture_update", "capture_delete", "refuse_truncate")

_TABLES = """
SELECT n.nspname || '.' || c.relname AS table_name,
    CASE
        WHEN c.relkind <> 'r' OR EXISTS (SELECT FROM pg_inherits WHERE c.oid IN (inhrelid, inhparent))
            THEN 'is partitioned or inherits: writes to a partition do not fire the triggers of its parent'
        WHEN c.relpersistence <> 'p' THEN 'is unlogged: a crash of the server empties it without a trigger'
    END AS refusal
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname || '.' || c.relname = ANY(:tables)
"""

_COLUMNS = """
SELECT n.nspname || '.' || c.relname AS table_name, a.attname AS name, t.typname AS type, a.atttypmod AS modifier,
    t.typnamespace = 'pg_catalog'::regnamespace AS built_in, format_type(a.atttypid, a.atttypmod) AS described,
    NOT a.attnotnull AS nullable, a.attgenerated = 'v' AS computed,
    coalesce(NOT l.collisdeterministic, false) AS ambiguous,
    (SELECT k.place FROM pg_index AS i, unnest(i.indkey::smallint[]) WITH ORDINALITY AS k (attnum, place)
        WHERE i.indrelid = c.oid AND i.indisprimary AND k.attnum = a.attnum AND k.place <= i.indnkeyatts
    ) AS place_in_key
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type AS t ON t.oid = a.atttypid
LEFT JOIN pg_collation AS l ON l.oid = a.attcollation
WHERE n.nspname || '.' || c.relname = ANY(:tables)
ORDER BY table_name, a.attnum
"""

_TRIGGERS = """
SELECT n.nspname || '.' || c.relname AS table_name, g.tgname AS name, g.tgenabled IN ('O', 'A') AS enabled
FROM pg_trigger AS g JOIN pg_class AS c ON c.oid = g.tgrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE NOT g.tgisinternal AND n.nspname || '.' || c.relname = ANY(:tables)
ORDER BY table_name, name
"""

_CASCADES = """
SELECT k.conname AS name, k.conrelid::regclass::text AS table_name, k.confrelid::regclass::text AS references
FROM pg_constraint AS k
JOIN pg_class AS c ON c.oid IN (k.conrelid, k.confrelid) JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE k.contype = 'f' AND (k.confdeltype IN ('c', 'n', 'd') OR k.confupdtype IN ('c', 'n', 'd'))
AND n.nspname || '.' || c.relname = ANY(:tables)
GROUP BY 1, 2, 3 ORDER BY 2, 1
"""

_SIMPLE = {
    "text": ColumnType.TEXT,
    "xml": ColumnType.XML,
    "uuid": ColumnType.UUID,
    "bool": ColumnType.BOOLEAN,
    "int2": ColumnType.SMALLINT,
    "int4": ColumnType.INTEGER,
    "int8": ColumnType.BIGINT,
    "float4": ColumnType.REAL,
    "float8": ColumnType.DOUBLE,
    "date": ColumnType.DATE,
    "bytea": ColumnType.BINARY,
}
_SIZED = {"varchar": ColumnType.TEXT, "bpchar": ColumnType.CHAR}
_MOMENTS = {
    "time": ColumnType.TIME,
    "timestamp": ColumnType.TIMESTAMP,
    "timestamptz": ColumnType.TIMESTAMPTZ,
}
_HEADER = 4
"""The bytes of a type modifier besides the size."""


async def read_catalogue(connection: AsyncConnection, tables: Sequence[str]) -> Catalogue:
    """Read the current state of `tables` (full names)."""

    async def rows(statement: str) -> Sequence[sa.RowMapping]:
        result = await connection.execute(
            sa.text(statement).bindparams(sa.bindparam("tables", type_=sa.ARRAY(sa.Text()))),
            {"tables": list(tables)},
        )
        return result.mappings().all()

    found: dict[str, LiveTable] = {}
    refused = {row["table_name"]: row["refusal"] for row in await rows(_TABLES)}
    columns = await rows(_COLUMNS)
    triggers = await rows(_TRIGGERS)
    for table, refusal in refused.items():
        found[table] = live_table(
            table,
            [row for row in columns if row["table_name"] == table],
            columns_of=columns_of,
            refusal=refusal,
            expected=CAPTURE_TRIGGERS,
            triggers={row["name"]: row["enabled"] for row in triggers if row["table_name"] == table},
        )
    cascades = [
        ForeignKey(row["name"], row["table_name"], row["references"]) for row in await rows(_CASCADES)
    ]
    return Catalogue(found, tuple(cascades))


def columns_of(row: Any) -> Iterator[CapturedColumn]:
    """Convert a row of the catalogue to a column of the journal.

    Raises:
        TypeNotCaptured: naming table and column.
    """
    name, nullable = row["name"], row["nullable"]
    modifier = None if row["modifier"] < 0 else row["modifier"]
    kind = row["type"] if row["built_in"] and not row["computed"] else None
    if kind in _SIMPLE:
        yield CapturedColumn(name, _SIMPLE[kind], nullable)
    elif kind in _SIZED:
        yield CapturedColumn(
            name, _SIZED[kind], nullable, length=None if modifier is None else modifier - _HEADER
        )
    elif kind in _MOMENTS:
        yield CapturedColumn(name, _MOMENTS[kind], nullable, precision=coarse(modifier))
        if kind == "timestamptz":
            yield CapturedColumn(name + OFFSET_SUFFIX, ColumnType.OFFSET, nullable)
    elif kind == "numeric" and modifier is not None and (sizes := _numeric(modifier - _HEADER)):
        yield CapturedColumn(name, ColumnType.NUMERIC, nullable, precision=sizes[0], scale=sizes[1])
    else:
        described = f"{row['described']}{', computed when read,' if row['computed'] else ''}"
        raise TypeNotCaptured(row["table_name"], name, described)


def _numeric(modifier: int) -> tuple[int, int] | None:
    precision = modifier >> 16 & 0xFFFF
    # Eleven bits, two's complement.
    scale = ((modifier & 0x7FF) ^ 1024) - 1024
    return (precision, scale) if precision <= 38 and 0 <= scale <= precision else None
