"""Loader and dbt on a SQL Server: every relation that they make equals PostgreSQL's from the same landed data."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from services.platform.components.mesh import run_once
from services.platform.settings import ROOT
from tests.conftest import Database, new_database
from tests.sqlserver.comparison import comparable
from tests.sqlserver.database import SQLServerDatabase
from tests.warehouse.conftest import LANDED, PYTHON
from tests.warehouse.portfolio import AS_OF

# Two loads, and four builds of the whole warehouse.
pytestmark = pytest.mark.timeout(3600)
SCHEMAS = ("ods", "dw", "dm", "ap")


@pytest.fixture(autouse=True)
async def validator() -> None:
    """Watch nothing: no relay and no sink run here."""


async def build(database: Database | SQLServerDatabase, folder: Path) -> None:
    """Build everything as of one day."""
    process = await asyncio.create_subprocess_exec(
        *(str(PYTHON), str(ROOT / "dbt" / "build.py"), "--select", "path:models path:seeds"),
        *("--vars", json.dumps({"as_of_date": AS_OF.isoformat()})),
        cwd=ROOT,
        env={**os.environ, "WAREHOUSE_URL": database.url("transformer"), "DBT_TARGET_PATH": str(folder)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()[-6000:]


async def relations(database: Database | SQLServerDatabase) -> dict[str, list[str]]:
    """The columns of every relation of the built layers, in the order of their names."""
    async with database.connect() as connection:
        rows = await connection.fetch(
            "SELECT table_schema, table_name, column_name FROM information_schema.columns "
            "WHERE table_schema IN ('ods', 'dw', 'dm', 'ap') ORDER BY table_schema, table_name, column_name"
        )
    found: dict[str, list[str]] = {}
    for schema, table, column in rows:
        found.setdefault(f"{schema}.{table}", []).append(column)
    return found


async def rows_of(database: Database | SQLServerDatabase, relation: str, columns: Sequence[str]) -> list[str]:
    """All rows of a relation, in a form that both engines give alike."""
    mark = "[{}]" if isinstance(database, SQLServerDatabase) else '"{}"'
    query = f"SELECT {', '.join(mark.format(column) for column in columns)} FROM {relation}"
    async with database.connect() as connection:
        run: Any = connection.raw if isinstance(database, SQLServerDatabase) else connection.fetch
        found = await run(query)
        return sorted(json.dumps([comparable(value) for value in row]) for row in found)


async def land_alike(source: SQLServerDatabase, target: Database) -> None:
    """Copy what has landed, so that both warehouses are built from the same."""
    async with source.connect() as connection, target.connect() as other:
        tables = await connection.fetch(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'dl' AND table_name LIKE 'credit_%'"
        )
        for (table,) in tables:
            rows = await connection.raw(f"SELECT batch_id, {LANDED} FROM dl.{table}")
            await other.copy_records_to_table(
                table,
                schema_name="dl",
                columns=["batch_id", *LANDED.split(", ")],
                records=[tuple(row) for row in rows],
            )
        batches = await connection.raw(
            "SELECT batch_id, flow, window_to, row_count, checksum, traceparent, started_at, loaded_at FROM dl.batch"
        )
        await other.executemany(
            "INSERT INTO dl.batch (batch_id, flow, window_to, row_count, checksum, traceparent, started_at, loaded_at) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            [tuple(row) for row in batches],
        )


async def test_every_relation_equals_that_of_postgresql(
    fresh_lake: SQLServerDatabase,
    fresh_warehouse: SQLServerDatabase,
    warehouse_template: Database,
    tmp_path: Path,
) -> None:
    loading = {"LAKE_URL": fresh_lake.url("loader"), "WAREHOUSE_URL": fresh_warehouse.url("loader")}
    await run_once("services.lake.main", "seed-samples", environment={"LAKE_URL": fresh_lake.url()})
    await run_once("services.loader.main", "run", "lake", environment=loading)
    async with new_database(warehouse_template.platform, "warehouse", warehouse_template.name) as twin:
        for step in ("first", "more"):
            if step == "more":
                # What a second run adds: the incremental forms of every model.
                async with fresh_lake.connect() as lake:
                    await lake.raw("UPDATE credit.loan SET restructured = 1")
                await run_once("services.loader.main", "run", "lake", environment=loading)
                async with twin.connect() as other:
                    await other.execute("DELETE FROM dl.batch")
                    for (table,) in await other.fetch(
                        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'dl' "
                        "AND table_name LIKE 'credit_%'"
                    ):
                        await other.execute(f"DELETE FROM dl.{table}")
            await land_alike(fresh_warehouse, twin)
            await asyncio.gather(
                build(fresh_warehouse, tmp_path / "sqlserver"), build(twin, tmp_path / "postgresql")
            )
            made = await relations(fresh_warehouse)
            assert made == await relations(twin)
            assert {name.split(".")[0] for name in made} == set(SCHEMAS)
            for name, columns in made.items():
                assert await rows_of(fresh_warehouse, name, columns) == await rows_of(twin, name, columns), (
                    name
                )
