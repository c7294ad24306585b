"""The rights in the warehouse after `migrate`."""

from __future__ import annotations

import asyncpg
import pytest

from services.loader.flows.files import FLOWS, landing_tables, read_flows
from services.platform.components.mesh import run_once
from tests.conftest import Database

ROW = (
    "INSERT INTO dl.credit_party (batch_id, position_major, position_minor, operation, row_key) "
    "VALUES (1, 1, 0, 'c', '[\"1\"]')"
)


async def test_migrating_again_changes_nothing(warehouse: Database) -> None:
    async with warehouse.connect() as owner:
        await owner.execute(ROW)
        said = await run_once(
            "services.loader.main", "migrate", environment={"WAREHOUSE_URL": warehouse.url()}
        )
        assert said.endswith(f"{len(landing_tables(read_flows(FLOWS)))} landing tables")
        assert await owner.fetchval("DELETE FROM dl.credit_party RETURNING batch_id") == 1


@pytest.mark.parametrize(
    ("login", "statement"),
    [
        ("transformer", ROW),
        ("transformer", "DELETE FROM dl.batch"),
        ("analyst", "SELECT 1 FROM dl.credit_party"),
        ("loader", "UPDATE dl.credit_party SET operation = 'd'"),
        ("loader", "DELETE FROM dl.batch"),
        ("loader", "UPDATE dl.batch SET row_count = 0"),
        ("loader", "CREATE TABLE dl.other (id int)"),
        ("loader", "CREATE TABLE ods.other (id int)"),
        ("loader", "CREATE TABLE build.other (id int)"),
    ],
)
async def test_what_a_login_may_not_do(warehouse: Database, login: str, statement: str) -> None:
    async with warehouse.connect(login) as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)


async def test_the_transformer_reads_the_landing_and_owns_what_it_makes(warehouse: Database) -> None:
    async with warehouse.connect("transformer") as connection:
        for schema in ("build", "ods", "dw", "dm", "ap"):
            await connection.execute(f"CREATE TABLE {schema}.made AS SELECT * FROM dl.credit_party")
        await connection.execute("GRANT USAGE ON SCHEMA ap TO analyst; GRANT SELECT ON ap.made TO analyst")
    async with warehouse.connect("analyst") as connection:
        await connection.fetch("SELECT * FROM ap.made")
    async with warehouse.connect("loader") as connection:
        await connection.fetch("SELECT * FROM ods.made")
        await connection.fetch("SELECT * FROM build.made")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("SELECT 1 FROM dw.made")
