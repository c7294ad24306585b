"""The tables that the code declares or names are those that the migrations make, for each package that migrates."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

import services
from services.analytics.tables import metadata as serving
from services.auth.tables import metadata as auth
from services.dashboard.tables import metadata as desk
from services.lake.journal.tables import metadata as steering
from services.lake.tables import metadata as lending
from services.lineage.tables import metadata as provenance
from services.loader.tables import metadata as bookkeeping
from tests.conftest import Database

SERVICES = Path(services.__file__).parent
# The journal's own tables are their dialect's, and Alembic keeps its version in the first schema of each package.
NOT_DECLARED = {"change", "incarnation", "captured_table", "alembic_version"}


async def differences(database: Database, *declared: sa.MetaData) -> list[Any]:
    """Compare tables, columns, types, nullability, keys and indexes of the schemas that are declared."""
    schemas = {table.schema for metadata in declared for table in metadata.tables.values()}

    def compare(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(
            connection,
            opts={
                "include_schemas": True,
                "include_name": lambda name, kind, _: (
                    name in schemas if kind == "schema" else kind != "table" or name not in NOT_DECLARED
                ),
                "compare_type": True,
            },
        )
        return list(compare_metadata(context, list(declared)))

    engine = create_async_engine(database.url(), poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(compare)
    finally:
        await engine.dispose()


async def test_auth_declares_what_it_migrates(application: Database) -> None:
    assert await differences(application, auth) == []


async def test_the_dashboard_declares_what_it_migrates(application: Database) -> None:
    assert await differences(application, desk) == []


async def test_lineage_declares_what_it_migrates(application: Database) -> None:
    assert await differences(application, provenance) == []


# SQLAlchemy reads a CHECK that is NOT VALID with an option that its own class does not know.
@pytest.mark.filterwarnings("ignore:Can't validate argument 'dialect_options':sqlalchemy.exc.SAWarning")
async def test_the_lake_declares_what_it_migrates(lake: Database) -> None:
    assert await differences(lake, lending, steering) == []


async def test_the_loader_declares_what_it_migrates(fresh_warehouse: Database) -> None:
    found = await differences(fresh_warehouse, bookkeeping)
    # Landing tables follow from the flow files, not from a declaration.
    assert [each for each in found if each[0] != "remove_table"] == []


async def test_analytics_declares_what_it_migrates(fresh_warehouse: Database) -> None:
    assert await differences(fresh_warehouse, serving) == []


async def test_a_drift_is_found(fresh_application: Database) -> None:
    async with fresh_application.connect() as owner:
        await owner.execute(
            "ALTER TABLE auth.users ADD COLUMN nickname text, ALTER COLUMN username TYPE varchar(99)"
        )
    found = await differences(fresh_application, auth)
    assert {(each[0] if isinstance(each, list) else each)[0] for each in found} == {
        "remove_column",
        "modify_type",
    }


def sql_of(package: str, schema: str) -> dict[str, str]:
    """Every statement with a text of its own in a package's code that names a schema: place → text."""
    found = {}
    for path in sorted((SERVICES / package).rglob("*.py")):
        if "migrations" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
                continue
            text = node.value.strip()
            if re.match(r"(SELECT|INSERT|UPDATE|DELETE|WITH)\b", text) and re.search(
                rf"\b{schema}\.\w", text
            ):
                found[f"{path.relative_to(SERVICES)}:{node.lineno}"] = text
    return found


async def test_every_statement_of_the_replicator_fits_what_it_migrates(application: Database) -> None:
    statements = sql_of("replicator", "replication")
    assert len(statements) >= 20
    async with application.connect() as owner:
        for place, text in statements.items():
            try:
                await owner.prepare(text)
            except Exception as error:  # noqa: BLE001 - for every error of the server, the place must be reported
                pytest.fail(f"{place}: {error}\n{text}")


async def test_every_function_that_search_calls_is_one_that_it_migrates(application: Database) -> None:
    called = {
        name
        for path in (SERVICES / "search").glob("*.py")
        for name in re.findall(r"func\.search\.(\w+)", path.read_text(encoding="utf-8"))
    }
    assert len(called) >= 4
    async with application.connect() as owner:
        made = await owner.fetch("SELECT proname FROM pg_proc WHERE pronamespace = 'search'::regnamespace")
    assert called <= {row["proname"] for row in made}
