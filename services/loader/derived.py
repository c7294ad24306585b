"""What of the warehouse follows from the flow files: landing tables, the transformer's schemas, and grants."""

from collections.abc import Iterator, Sequence

from services.loader.landing import Landing


def derived_statements(landing: Landing, tables: Sequence[str]) -> Iterator[str]:
    """Yield the statements that make the landing `tables` and what belongs to all; to be run after the migrations."""
    for table in tables:
        yield from landing.create_table(table)
    yield from landing.create_schemas()
    yield from landing.grants(tables)
