"""Database B2: the warehouse, as the loader writes it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from opentelemetry.trace import SpanKind
from sqlalchemy.ext.asyncio import AsyncEngine

from services.chassis.database import Database, Session
from services.loader.landing import Landing, landing_named


@dataclass(frozen=True, slots=True)
class WarehouseReader(Session):
    """Reads of the warehouse."""

    landing: Landing


class WarehouseTransaction(WarehouseReader):
    """One transaction of the warehouse."""


class Warehouse(Database):
    """Database B2: the landing that the loader writes, and the models that dbt builds from it."""

    role = "warehouse"

    def __init__(self, engine: AsyncEngine) -> None:
        """Use a ready engine; `open` makes one."""
        super().__init__(engine)
        self.landing = landing_named(engine.dialect.name)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[WarehouseTransaction]:
        """Open a transaction, committed at the end of the block and rolled back on any exception."""
        async with self.begin(SpanKind.CLIENT) as connection:
            yield WarehouseTransaction(connection, self.dialect, self.landing)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[WarehouseReader]:
        """Open a transaction that only reads."""
        async with self.begin(SpanKind.CLIENT) as connection:
            yield WarehouseReader(connection, self.dialect, self.landing)
