"""Run a package's Alembic migrations from code: against a database, or as SQL text for another one.

A package has a folder `migrations/` with `versions/` and an `env.py` of one line, `run(...)` of this module.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Iterable
from io import StringIO
from pathlib import Path

import sqlalchemy as sa
from alembic import command, context
from alembic.config import Config
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from services.chassis.engines import Engine, engine_named
from services.chassis.engines.interface import is_lost
from services.chassis.error_names import error_name

AfterMigrations = Callable[[Engine, Connection | None], Iterable[str]]
"""Gives statements derived from the schema (triggers, grants), run after the migrations in their transaction.

The connection is None when SQL is written without a database."""

LOCK_TIMEOUT_SECONDS = 0.5
"""A statement that waits for a lock blocks all later ones. So a migration is rolled back, and tries again."""
ATTEMPTS = 30
PAUSE_SECONDS = 1.0


class MigrationBlocked(SystemExit):
    """Others held a lock or a resource that a migration needs; ends the command with its message."""


def upgrade(
    script_location: Path,
    url: str,
    *,
    version_table_schema: str,
    attempts: int = ATTEMPTS,
    pause_seconds: float = PAUSE_SECONDS,
) -> None:
    """Bring the database at `url` to the newest revision, in one transaction; does nothing when it is current.

    Args:
        script_location: the package's folder `migrations`.
        url: SQLAlchemy URL with an async driver and the owner's login.
        version_table_schema: the schema of `alembic_version`; created when missing.
        attempts: how often at most, when locks are not granted within LOCK_TIMEOUT_SECONDS.
        pause_seconds: between two attempts.

    Raises:
        MigrationBlocked: no attempt got its locks; nothing was changed.
    """
    config = _config(script_location, version_table_schema)
    kind = engine_named(sa.make_url(url).get_backend_name())

    async def run_migrations() -> None:
        engine = create_async_engine(url, poolclass=NullPool, hide_parameters=True)
        try:
            async with engine.begin() as connection:
                await connection.exec_driver_sql(kind.set_lock_timeout(LOCK_TIMEOUT_SECONDS))
                await connection.execute(sa.text(kind.create_schema(version_table_schema)))
                await connection.run_sync(_upgrade_on, config)
        finally:
            await engine.dispose()

    for attempt in range(1, attempts + 1):
        try:
            asyncio.run(run_migrations())
        except DBAPIError as error:
            if is_lost(error) or not kind.is_transient(error):
                raise
            reason = f"migration of schema {version_table_schema}: gave way to another session ({error_name(error)})"
            if attempt == attempts:
                raise MigrationBlocked(
                    f"{reason} {attempts} times; nothing was changed. End the transaction that holds the lock, which "
                    f"the server lists in {kind.sessions_view}, then migrate again"
                ) from error
            print(f"{reason}; attempt {attempt} of {attempts}", file=sys.stderr)
            time.sleep(pause_seconds)
        else:
            return


def _upgrade_on(connection: Connection, config: Config) -> None:
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def upgrade_sql(script_location: Path, dialect: str, *, version_table_schema: str) -> str:
    """Write all migrations, from an empty database to the newest revision, as SQL for `dialect` (SQLAlchemy's name)."""
    buffer = StringIO()
    config = _config(script_location, version_table_schema)
    config.output_buffer = buffer
    config.attributes["dialect"] = dialect
    command.upgrade(config, "head", sql=True)
    return buffer.getvalue()


def _config(script_location: Path, version_table_schema: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(script_location).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["version_table_schema"] = version_table_schema
    return config


def run(after: AfterMigrations | None = None) -> None:
    """The body of a package's `env.py`."""
    config = context.config
    schema = config.attributes["version_table_schema"]
    if context.is_offline_mode():
        name = config.attributes["dialect"]
        context.configure(
            dialect_name=name,
            literal_binds=True,
            # Otherwise every % of a statement would be doubled, as for a driver.
            dialect_opts={"paramstyle": "named"},
            version_table_schema=schema,
            output_buffer=config.output_buffer,
        )
        with context.begin_transaction():
            context.execute(engine_named(name).create_schema(schema))
            context.run_migrations()
            _derive(after, name, None)
        return
    connection: Connection = config.attributes["connection"]
    context.configure(connection=connection, version_table_schema=schema, transaction_per_migration=False)
    context.run_migrations()
    _derive(after, connection.dialect.name, connection)


def _derive(after: AfterMigrations | None, name: str, connection: Connection | None) -> None:
    if after is None:
        return
    for statement in after(engine_named(name), connection):
        # Generated statements have colons, mostly in JSON, that are not bind parameters.
        if context.is_offline_mode():
            context.execute(sa.text(statement.replace(":", r"\:")))
        else:
            context.get_bind().exec_driver_sql(statement)
