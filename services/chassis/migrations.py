"""Run a package's Alembic migrations from code: against a database, or as SQL text for another one.

A package has a folder `migrations/` with `versions/` and an `env.py` of one line, `run(...)` of this module.
"""

import asyncio
from collections.abc import Callable, Iterable
from io import StringIO
from pathlib import Path

import sqlalchemy as sa
from alembic import command, context
from alembic.config import Config
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from services.chassis.engines import Engine, engine_named

AfterMigrations = Callable[[Engine], Iterable[str]]
"""Statements derived from the schema (triggers, grants), run after the migrations in their transaction."""


def upgrade(script_location: Path, url: str, *, version_table_schema: str) -> None:
    """Bring the database at `url` to the newest revision, in one transaction; nothing to do is no error.

    Args:
        script_location: the package's folder `migrations`.
        url: SQLAlchemy URL with an async driver and the owner's login.
        version_table_schema: where `alembic_version` lives; created when missing.
    """
    config = _config(script_location, version_table_schema)

    async def run_migrations() -> None:
        engine = create_async_engine(url, poolclass=NullPool, hide_parameters=True)
        dialect = engine_named(engine.dialect.name)
        try:
            async with engine.begin() as connection:
                await connection.execute(sa.text(dialect.create_schema(version_table_schema)))
                await connection.run_sync(_upgrade_on, config)
        finally:
            await engine.dispose()

    asyncio.run(run_migrations())


def _upgrade_on(connection: Connection, config: Config) -> None:
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def upgrade_sql(script_location: Path, dialect: str, *, version_table_schema: str) -> str:
    """Write the whole way from nothing to the newest revision as SQL for `dialect` (SQLAlchemy's name)."""
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
    """Be the body of a package's `env.py`."""
    config = context.config
    schema = config.attributes["version_table_schema"]
    if context.is_offline_mode():
        name = config.attributes["dialect"]
        context.configure(
            dialect_name=name,
            literal_binds=True,
            # Else every % of a statement would be doubled, as for a driver.
            dialect_opts={"paramstyle": "named"},
            version_table_schema=schema,
            output_buffer=config.output_buffer,
        )
        with context.begin_transaction():
            context.execute(engine_named(name).create_schema(schema))
            context.run_migrations()
            _derive(after, name)
        return
    connection: Connection = config.attributes["connection"]
    context.configure(connection=connection, version_table_schema=schema, transaction_per_migration=False)
    context.run_migrations()
    _derive(after, connection.dialect.name)


def _derive(after: AfterMigrations | None, dialect: str) -> None:
    if after is None:
        return
    for statement in after(engine_named(dialect)):
        # Generated statements hold colons, in JSON above all, that are no bind parameters.
        if context.is_offline_mode():
            context.execute(sa.text(statement.replace(":", r"\:")))
        else:
            context.get_bind().exec_driver_sql(statement)
