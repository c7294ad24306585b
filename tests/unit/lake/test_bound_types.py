"""The type of each bound value for the driver of SQL Server: a wrong one loses letters, digits or index use."""

from __future__ import annotations

import re
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.mssql import aioodbc

from services.lake.journal.tables import metadata as journal
from services.lake.tables import CAPTURED

TABLES = (*CAPTURED, *journal.tables.values())


class Driver:
    """Gives each of the driver's constants as its name: pyodbc itself needs libraries of the system."""

    def __getattr__(self, name: str) -> str:
        return name


@pytest.fixture(scope="module")
def dialect() -> Any:
    """`mssql+aioodbc`, connected to nothing."""
    return aioodbc.dialect()


def told(dialect: Any, bind: sa.BindParameter[Any]) -> Any:
    """What `setinputsizes` is given for a bound value, without its sizes."""
    kind = bind.type._unwrapped_dialect_impl(dialect).get_dbapi_type(Driver())
    return kind[0] if isinstance(kind, tuple) else kind


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.fullname)
def test_codes_are_bound_bytewise_texts_as_unicode_and_numbers_as_they_are(
    dialect: Any, table: sa.Table
) -> None:
    columns = {
        line.split()[0].strip("[]"): line.split()[1]
        for line in str(sa.schema.CreateTable(table).compile(dialect=dialect)).splitlines()
        if re.match(r"\t\[?\w+\]? [A-Z]+", line) and not line.startswith("\tCONSTRAINT")
    }
    expected = {
        "VARCHAR": "SQL_VARCHAR",
        "NVARCHAR": "SQL_WVARCHAR",
        "UNIQUEIDENTIFIER": None,
        "DATETIME2": "DATETIME",
        "DATE": "DATETIME",
        "NUMERIC": "NUMBER",
        "INTEGER": "NUMBER",
        "BIGINT": "NUMBER",
        "SMALLINT": "NUMBER",
        "BIT": None,
        "VARBINARY": "BINARY",
        "FLOAT": None,
    }
    compiled: Any = sa.insert(table).compile(dialect=dialect)
    bound = {name: told(dialect, bind) for bind, name in compiled.bind_names.items()}
    assert bound == {
        column.name: expected[columns[column.name].partition("(")[0].rstrip(",")] for column in table.columns
    }


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.fullname)
def test_no_write_asks_for_rows_back(dialect: Any, table: sa.Table) -> None:
    writes = (
        sa.insert(table),
        sa.update(table).values({column.name: column for column in table.columns}),
        sa.delete(table),
    )
    for write in writes:
        # OUTPUT without INTO fails on a table with triggers: error 334.
        assert not re.search(r"\b(OUTPUT|RETURNING)\b", str(write.compile(dialect=dialect)))
