"""Alembic's environment of the lake: triggers and grants follow the migrations, in their transaction."""

from collections.abc import Iterator

import sqlalchemy as sa

from services.chassis.engines import Engine
from services.chassis.migrations import run
from services.lake.derived import derived_statements
from services.lake.journal.capture import read_installed
from services.lake.journal.dialect import journal_dialect


def derive(engine: Engine, connection: sa.Connection | None) -> Iterator[str]:
    """Yield the statements that differ from the installed ones, or all of them without a database."""
    dialect = journal_dialect(engine.name)
    yield from derived_statements(
        dialect, None if connection is None else read_installed(connection, dialect)
    )


run(after=derive)
