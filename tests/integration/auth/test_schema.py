import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from cryptography.fernet import Fernet
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from services.auth import main
from services.auth.service import KeyKeeper
from services.auth.tables import metadata
from services.auth.tokens.keys import KeyPolicy, KeyRing, WrongEncryptionKey
from services.chassis.database import ApplicationDatabase
from services.chassis.migrations import upgrade, upgrade_sql
from tests.conftest import Database
from tests.integration.auth.conftest import Clock

POLICY = KeyPolicy(rotation=timedelta(days=30), token_lifetime=timedelta(hours=1))


async def test_the_migrations_make_the_declared_tables(fresh_application: Database) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(
            connection,
            opts={
                "include_schemas": True,
                "include_name": lambda name, kind, _: kind != "schema" or name == "auth",
                "version_table_schema": "auth",
            },
        )
        return list(compare_metadata(context, metadata))

    engine = create_async_engine(fresh_application.url())
    async with engine.connect() as connection:
        found = await connection.run_sync(differences)
    await engine.dispose()

    assert found == []


async def test_migrating_again_changes_nothing(fresh_application: Database) -> None:
    for _ in range(2):
        await asyncio.to_thread(
            upgrade, main.MIGRATIONS, fresh_application.url(), version_table_schema="auth"
        )


def test_the_migrations_can_be_read_as_sql() -> None:
    sql = upgrade_sql(Path(main.MIGRATIONS), "postgresql", version_table_schema="auth")

    assert "CREATE TABLE auth.users" in sql
    assert "GRANT SELECT, INSERT, UPDATE ON auth.users TO auth" in sql


async def test_many_instances_make_one_key_and_rotation_keeps_the_old_one(
    fresh_application: Database,
) -> None:
    cipher, clock = Fernet(Fernet.generate_key()), Clock()
    database = ApplicationDatabase.open(fresh_application.url("auth"), service="test")
    rings = [KeyRing(cipher) for _ in range(5)]
    keepers = [KeyKeeper(database, ring, POLICY, clock) for ring in rings]
    try:
        await asyncio.gather(*(keeper.refresh() for keeper in keepers))
        first = [ring.jwks(clock()) for ring in rings]
        clock.offset = timedelta(days=31)
        await asyncio.gather(*(keeper.refresh() for keeper in keepers))
        second = [ring.jwks(clock())["keys"] for ring in rings]
    finally:
        await database.dispose()

    assert all(keys == first[0] for keys in first)
    assert len(first[0]["keys"]) == 1
    assert all(keys == second[0] for keys in second)
    assert [second[0][0]] == first[0]["keys"]
    assert len(second[0]) == 2


async def test_another_encryption_key_is_noticed(fresh_application: Database) -> None:
    database = ApplicationDatabase.open(fresh_application.url("auth"), service="test", pool_size=1)
    try:
        await KeyKeeper(database, KeyRing(Fernet(Fernet.generate_key())), POLICY).refresh()
        with pytest.raises(WrongEncryptionKey):
            await KeyKeeper(database, KeyRing(Fernet(Fernet.generate_key())), POLICY).refresh()
    finally:
        await database.dispose()
