"""What follows from the tables: capture triggers and grants, made anew with every migration."""

from collections.abc import Iterator

from services.chassis.dialects import Dialect
from services.lake.journal import install_capture
from services.lake.ownership import DEFINITION_READERS, READERS, grants
from services.lake.tables import CAPTURED


def derived_statements(dialect: Dialect) -> Iterator[str]:
    """Yield the statements for one engine, triggers first."""
    yield from install_capture(CAPTURED, dialect)
    yield from dialect.grant_statements(sorted({*READERS, *DEFINITION_READERS}))
    for grant in grants():
        yield grant.statement()
