"""Reads the current columns, triggers and foreign keys of captured tables from SQL Server's catalogue.

In the catalogue a login sees only objects on which it has a right; the relay has VIEW DEFINITION on the schema.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from services.lake.journal.catalogue import Catalogue, ForeignKey, LiveTable, live_table
from services.lake.journal.model import OFFSET_SUFFIX, CapturedColumn, ColumnType, TypeNotCaptured, coarse

COLUMNS = """
SELECT CONCAT(s.name, '.', t.name) AS table_name, c.name AS name,
    COALESCE(TYPE_NAME(c.system_type_id), TYPE_NAME(c.user_type_id)) AS type,
    c.max_length AS max_length, c.[precision] AS [precision], c.scale AS scale, c.is_nullable AS nullable,
    CASE WHEN c.is_computed = 1 AND COALESCE(m.is_persisted, 0) = 0 THEN 1 ELSE 0 END AS computed,
    CASE WHEN c.collation_name IS NULL OR c.collation_name LIKE '%[_]BIN%' THEN 0 ELSE 1 END AS ambiguous,
    NULLIF(k.key_ordinal, 0) AS place_in_key
FROM sys.tables AS t
INNER JOIN sys.schemas AS s ON s.schema_id = t.schema_id
INNER JOIN sys.columns AS c ON c.object_id = t.object_id
LEFT JOIN sys.computed_columns AS m ON m.object_id = c.object_id AND m.column_id = c.column_id
LEFT JOIN sys.indexes AS i ON i.object_id = t.object_id AND i.is_primary_key = 1
LEFT JOIN sys.index_columns AS k
    ON k.object_id = i.object_id AND k.index_id = i.index_id AND k.column_id = c.column_id
WHERE CONCAT(s.name, '.', t.name) IN :tables
ORDER BY table_name, c.column_id
"""

TRIGGERS = """
SELECT CONCAT(s.name, '.', t.name) AS table_name, g.name AS name,
    MIN(CASE WHEN g.is_disabled = 0 AND e.is_first = 1 THEN 1 ELSE 0 END) AS enabled
FROM sys.triggers AS g
INNER JOIN sys.trigger_events AS e ON e.object_id = g.object_id
INNER JOIN sys.tables AS t ON t.object_id = g.parent_id
INNER JOIN sys.schemas AS s ON s.schema_id = t.schema_id
WHERE CONCAT(s.name, '.', t.name) IN :tables
GROUP BY s.name, t.name, g.name
ORDER BY table_name, name
"""

CASCADES = """
SELECT f.name AS name,
    CONCAT(OBJECT_SCHEMA_NAME(f.parent_object_id), '.', OBJECT_NAME(f.parent_object_id)) AS table_name,
    CONCAT(OBJECT_SCHEMA_NAME(f.referenced_object_id), '.', OBJECT_NAME(f.referenced_object_id)) AS references_table
FROM sys.foreign_keys AS f
WHERE (f.delete_referential_action <> 0 OR f.update_referential_action <> 0)
AND (
    CONCAT(OBJECT_SCHEMA_NAME(f.parent_object_id), '.', OBJECT_NAME(f.parent_object_id)) IN :tables
    OR CONCAT(OBJECT_SCHEMA_NAME(f.referenced_object_id), '.', OBJECT_NAME(f.referenced_object_id)) IN :tables
)
ORDER BY table_name, name
"""

_SIMPLE = {
    "xml": ColumnType.XML,
    "uniqueidentifier": ColumnType.UUID,
    "bit": ColumnType.BOOLEAN,
    "tinyint": ColumnType.SMALLINT,
    "smallint": ColumnType.SMALLINT,
    "int": ColumnType.INTEGER,
    "bigint": ColumnType.BIGINT,
    "real": ColumnType.REAL,
    "float": ColumnType.DOUBLE,
    "date": ColumnType.DATE,
}
_SIZED = {
    "varchar": ColumnType.TEXT,
    "nvarchar": ColumnType.TEXT,
    "char": ColumnType.CHAR,
    "nchar": ColumnType.CHAR,
    "binary": ColumnType.BINARY,
    "varbinary": ColumnType.BINARY,
    "timestamp": ColumnType.BINARY,
}
_MOMENTS = {
    "time": ColumnType.TIME,
    "datetime2": ColumnType.TIMESTAMP,
    "datetime": ColumnType.TIMESTAMP,
    "smalldatetime": ColumnType.TIMESTAMP,
    "datetimeoffset": ColumnType.TIMESTAMPTZ,
}
_NUMERICS = ("decimal", "numeric", "money", "smallmoney")
_FINEST_SECONDS = 6


async def read_catalogue(connection: AsyncConnection, tables: Sequence[str]) -> Catalogue:
    """Read the current state of `tables` (full names)."""

    async def rows(statement: str) -> Sequence[sa.RowMapping]:
        result = await connection.execute(
            sa.text(statement).bindparams(sa.bindparam("tables", expanding=True)), {"tables": list(tables)}
        )
        return result.mappings().all()

    found: dict[str, LiveTable] = {}
    columns = await rows(COLUMNS)
    triggers = await rows(TRIGGERS)
    for table in sorted({row["table_name"] for row in columns}):
        name = table.partition(".")[2]
        found[table] = live_table(
            table,
            [row for row in columns if row["table_name"] == table],
            columns_of=columns_of,
            refusal=None,
            expected=tuple(f"capture_{name}_{event}" for event in ("insert", "update", "delete")),
            triggers={row["name"]: bool(row["enabled"]) for row in triggers if row["table_name"] == table},
        )
    cascades = [
        ForeignKey(row["name"], row["table_name"], row["references_table"]) for row in await rows(CASCADES)
    ]
    return Catalogue(found, tuple(cascades))


def columns_of(row: Any) -> Iterator[CapturedColumn]:
    """Convert a row of the catalogue to a column of the journal.

    Raises:
        TypeNotCaptured: naming table and column.
    """
    name, nullable, kind, scale = row["name"], bool(row["nullable"]), row["type"], row["scale"]
    if row["computed"]:
        raise TypeNotCaptured(row["table_name"], name, f"{kind}, computed when read,")
    if kind in _SIMPLE:
        yield CapturedColumn(name, _SIMPLE[kind], nullable)
    elif kind in _SIZED:
        # In bytes, where a national character takes two; -1 is (max).
        size = row["max_length"] // (2 if kind.startswith("n") else 1)
        yield CapturedColumn(name, _SIZED[kind], nullable, length=None if size < 0 else size)
    elif kind in _MOMENTS and scale <= _FINEST_SECONDS:
        yield CapturedColumn(name, _MOMENTS[kind], nullable, precision=coarse(scale))
        if kind == "datetimeoffset":
            yield CapturedColumn(name + OFFSET_SUFFIX, ColumnType.OFFSET, nullable)
    elif kind in _NUMERICS:
        yield CapturedColumn(name, ColumnType.NUMERIC, nullable, precision=row["precision"], scale=scale)
    else:
        raise TypeNotCaptured(row["table_name"], name, f"{kind}({scale})" if kind in _MOMENTS else str(kind))
