"""Insert many rows by one statement and one parameter, a JSON array: on PostgreSQL and SQL Server.

Rows whose primary key exists are left unchanged, so that the same rows may be sent again. The triggers capture each
statement's rows in its transaction.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import mssql, postgresql

from services.lake.database import LakeTransaction
from services.lake.types import CODE_COLLATION, UtcDateTime


def insert_missing(table: sa.Table, columns: Sequence[str], engine: str) -> sa.TextClause:
    """Give the INSERT of those objects of `:rows`, a JSON array, whose primary key does not exist yet.

    Args:
        table: a table with a primary key.
        columns: the columns of `table` that the objects have.
        engine: SQLAlchemy's name of the engine: `postgresql` or `mssql`.
    """
    quoted = [_quoted(name, engine) for name in columns]
    name = f"{table.schema}.{_quoted(table.name, engine)}"
    same = " AND ".join(
        f"t.{_quoted(key.name, engine)} = r.{_quoted(key.name, engine)}{_collation(key.type, engine)}"
        for key in table.primary_key
    )
    typed = ", ".join(
        f"{quoted[place]} {_type(table.c[column].type, engine)}" for place, column in enumerate(columns)
    )
    source = (
        f"OPENJSON(CAST(:rows AS nvarchar(max))) WITH ({typed}) AS r"
        if engine == "mssql"
        else f"json_to_recordset(CAST(:rows AS json)) AS r({typed})"
    )
    return sa.text(
        f"INSERT INTO {name} ({', '.join(quoted)}) SELECT {', '.join(f'r.{each}' for each in quoted)} "  # noqa: S608
        f"FROM {source} WHERE NOT EXISTS (SELECT 1 FROM {name} AS t WHERE {same})"
        # Cast to Unicode without a limit: the driver would choose another type for such a long text.
    ).bindparams(sa.bindparam("rows", type_=sa.UnicodeText()))


async def add_missing(tx: LakeTransaction, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> int:
    """Insert rows whose primary key does not exist yet; returns how many were added.

    Args:
        tx: the transaction; capture records the inserted rows.
        table: a table of the lake.
        rows: objects of the same columns; datetimes are aware.
    """
    if not rows:
        return 0
    statement = insert_missing(table, list(rows[0]), tx.dialect.name)
    result = await tx.execute(statement, {"rows": as_json(rows)})
    return int(result.rowcount)


def as_json(rows: Iterable[Mapping[str, Any]]) -> str:
    """Give rows as a JSON array; numbers as text, so that no digit is lost, and instants in UTC without an offset."""
    return orjson.dumps(
        [{name: _value(value) for name, value in row.items()} for row in rows],
        option=orjson.OPT_PASSTHROUGH_DATETIME,
    ).decode()


def _value(value: Any) -> Any:
    match value:
        case datetime():
            return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
        case date():
            return value.isoformat()
        case Decimal():
            return format(value, "f")
        case UUID():
            return str(value)
    return value


def _type(type_: sa.types.TypeEngine[Any], engine: str) -> str:
    if engine == "mssql":
        match type_:
            case UtcDateTime():
                return "datetime2(6)"
            # Unicode: OPENJSON would give a text of its WITH clause the database's own collation.
            case sa.Text():
                return "nvarchar(max)"
            case sa.String():
                return f"nvarchar({type_.length})"
        return type_.compile(dialect=mssql.dialect())  # type: ignore[no-untyped-call] # SQLAlchemy's
    match type_:
        case UtcDateTime():
            return "timestamp"
    return type_.compile(dialect=postgresql.dialect())  # type: ignore[no-untyped-call] # SQLAlchemy's


def _collation(type_: sa.types.TypeEngine[Any], engine: str) -> str:
    # OPENJSON's texts have their own collation, and SQL Server does not compare different collations (error 468).
    return f" COLLATE {CODE_COLLATION}" if engine == "mssql" and isinstance(type_, sa.String) else ""


def _quoted(name: str, engine: str) -> str:
    return f"[{name}]" if engine == "mssql" else f'"{name}"'
