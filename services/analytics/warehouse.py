"""Database B2 as analytics uses it: schema `serving`, and what pages read behind it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from opentelemetry.trace import SpanKind

from services.chassis.database import Database, Session


class Warehouse(Database):
    """The warehouse, by the login of whoever reads or publishes."""

    role = "warehouse"

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Session]:
        """Open a transaction, committed at the end of the block and rolled back on any exception."""
        async with self.begin(SpanKind.CLIENT) as connection:
            yield Session(connection, self.dialect)
