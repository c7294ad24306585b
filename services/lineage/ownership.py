"""What the lineage service's login may do in schema `lineage`; it has no other rights."""

from collections.abc import Iterator

from sqlalchemy.engine import Connection

from services.chassis.engines import Engine
from services.lineage.tables import PROJECTED

_APPENDED = ("event",)
"""What was sent is never changed."""
_ENTERED = ("namespace", "source", "tag", "tagged")


def grants(_engine: Engine, _connection: Connection | None) -> Iterator[str]:
    """Yield the GRANT statements for the login `lineage`."""
    yield "GRANT USAGE ON SCHEMA lineage TO lineage"
    for name in _APPENDED:
        yield f"GRANT SELECT, INSERT ON lineage.{name} TO lineage"
    for name in (*PROJECTED, *_ENTERED):
        yield f"GRANT SELECT, INSERT, UPDATE, DELETE ON lineage.{name} TO lineage"
