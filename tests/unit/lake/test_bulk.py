"""Bulk inserts: their T-SQL parses and equals its golden file, and no value loses anything on its way."""

from __future__ import annotations

import json
import os
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
import sqlglot

from services.cli.history.writer import ENTITY_OF
from services.lake.bulk import as_json, insert_missing
from services.lake.tables import CAPTURED
from services.platform.settings import ROOT

GOLDEN = ROOT / "tests" / "golden" / "import.sql"
WRITTEN = [table for table in CAPTURED if table.name in ENTITY_OF]


def test_every_insert_of_an_import_equals_its_golden_file() -> None:
    text = "".join(f"{insert_missing(table, table.columns.keys(), 'mssql')};\nGO\n" for table in WRITTEN)
    if os.environ.get("GOLDEN_WRITE"):
        GOLDEN.write_text(text, encoding="utf-8")
    assert GOLDEN.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("engine", ["mssql", "postgresql"])
@pytest.mark.parametrize("table", WRITTEN, ids=lambda table: table.name)
def test_every_insert_of_an_import_parses(engine: str, table: Any) -> None:
    statement = str(insert_missing(table, table.columns.keys(), engine)).replace(":rows", "@rows")
    read = "tsql" if engine == "mssql" else "postgres"
    (parsed,) = sqlglot.parse(statement.replace("@rows", "'[]'"), read=read)
    assert isinstance(parsed, sqlglot.exp.Insert)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (Decimal("999999999999999.9999"), "999999999999999.9999"),
        (Decimal("1E+3"), "1000"),
        (datetime(2024, 1, 1, 1, 30, tzinfo=timezone(timedelta(hours=2))), "2023-12-31T23:30:00.000000"),
        (datetime(2024, 1, 1, 1, 30, 0, 123456, tzinfo=UTC), "2024-01-01T01:30:00.123456"),
        (date(2024, 2, 29), "2024-02-29"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (True, True),
        (None, None),
        ('Ánh "N" \\ Đ', 'Ánh "N" \\ Đ'),
    ],
)
def test_a_value_is_written_without_loss(value: Any, written: Any) -> None:
    assert json.loads(as_json([{"value": value}])) == [{"value": written}]
