"""Objects derived from the tables: capture triggers and grants. Every migration brings them up to date."""

from collections.abc import Iterator

from services.lake.journal.capture import Installed, captured_table, install_capture
from services.lake.journal.dialect import JournalDialect
from services.lake.ownership import CATALOGUE_READER, DEFINITION_READERS, READERS, REQUESTS_WORKER, grants
from services.lake.tables import CAPTURED


def derived_statements(dialect: JournalDialect, installed: Installed | None = None) -> Iterator[str]:
    """Yield the statements for one engine, triggers first; `installed` as `install_capture` takes it."""
    yield from install_capture(map(captured_table, CAPTURED), dialect, installed)
    yield from dialect.grant_statements(sorted({*READERS, *DEFINITION_READERS}))
    yield from dialect.grant_catalogue(CATALOGUE_READER)
    for grant in grants():
        yield grant.statement()
    for table in CAPTURED:
        yield from dialect.grant_backfill(captured_table(table), REQUESTS_WORKER)
