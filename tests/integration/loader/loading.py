"""The loader over databases of a test, in this process or as a command."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from services.chassis.telemetry.spans import new_provider
from services.lake.database import Lake
from services.loader.connectors.interface import Connector
from services.loader.connectors.journal import JournalConnector
from services.loader.flows.files import FLOWS, ROOT, read_flow
from services.loader.flows.model import JournalFlow, LoadFlow
from services.loader.loading.bookkeeping import Batch
from services.loader.loading.load import Loaded, Loader
from services.loader.warehouse import Warehouse
from tests.conftest import Database

JOURNAL = (
    "SELECT table_name, position, 0, operation, key, image, fingerprint, actor, traceparent, captured_at "
    "FROM journal.change ORDER BY position"
)
LANDED = (
    "position_major, position_minor, operation, row_key, image, fingerprint, actor, traceparent, captured_at"
)


class Unwatched:
    """Lineage events are dropped."""

    async def started(self, flow: LoadFlow) -> str:
        return f"run of {flow.name}"

    async def completed(self, flow: LoadFlow, batch: Batch | None) -> None:
        """Nothing."""

    async def failed(self, flow: LoadFlow, error: BaseException) -> None:
        """Nothing."""


def lake_flow(**changes: Any) -> JournalFlow:
    """The project's own flow, with some fields changed."""
    flow = read_flow(FLOWS / "lake.yaml")
    assert isinstance(flow, JournalFlow)
    return flow.model_copy(update=changes)


@dataclass
class Loading:
    """A lake, a warehouse, and loads from the one into the other."""

    lake: Database
    warehouse: Database
    flow: LoadFlow = field(default_factory=lake_flow)
    spans: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)

    @asynccontextmanager
    async def loader(
        self, batch_rows: int = 100_000, connector: Connector | None = None, parent: str | None = None
    ) -> AsyncIterator[Loader]:
        """A loader with the logins and grants that it has in production."""
        provider = new_provider("loader")
        provider.add_span_processor(SimpleSpanProcessor(self.spans))
        warehouse = Warehouse.open(self.warehouse.url("loader"), service="test", pool_size=2)
        if connector is None:
            assert isinstance(self.flow, JournalFlow)
            connector = JournalConnector(
                Lake.open(self.lake.url("loader"), service="test", pool_size=3), self.flow
            )
        try:
            yield Loader(
                warehouse,
                connector,
                self.flow,
                provider.get_tracer("test"),
                Unwatched(),
                batch_rows=batch_rows,
                parent=parent,
            )
        finally:
            await connector.close()
            await warehouse.dispose()

    async def run(self, batch_rows: int = 100_000, connector: Connector | None = None) -> Loaded:
        """Load what is new."""
        async with self.loader(batch_rows, connector) as loader:
            return await loader.run(lambda _: None)

    async def replay(self, batch_id: int) -> Loaded:
        """Load a batch's window again."""
        async with self.loader() as loader:
            return await loader.replay(batch_id, lambda _: None)

    async def command(self, *arguments: str, **environment: str) -> asyncio.subprocess.Process:
        """Start a command as Airflow does."""
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "services.loader.main",
            *arguments,
            cwd=ROOT,
            env={
                **os.environ,
                "LAKE_URL": self.lake.url("loader"),
                "WAREHOUSE_URL": self.warehouse.url("loader"),
                **environment,
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def change(self, *statements: str) -> None:
        """Change the lake, each statement a transaction."""
        async with self.lake.connect() as owner:
            for statement in statements:
                await owner.execute(statement)

    async def journal(self) -> list[tuple[Any, ...]]:
        """Every change, its table first, in order."""
        async with self.lake.connect() as owner:
            return [tuple(row) for row in await owner.fetch(JOURNAL)]

    async def landed(self) -> list[tuple[Any, ...]]:
        """Everything that has landed, its source's table first, in order."""
        found: list[tuple[Any, ...]] = []
        async with self.warehouse.connect() as owner:
            for target in self.flow.targets:
                rows = await owner.fetch(f"SELECT {LANDED} FROM dl.{target.table}")
                found += [(target.source, *row) for row in rows]
        return sorted(found, key=lambda row: row[1:3])

    async def value(self, query: str) -> Any:
        """One value of the warehouse."""
        async with self.warehouse.connect() as owner:
            return await owner.fetchval(query)

    async def watermark(self) -> tuple[Any, ...] | None:
        """Where the flow stands."""
        async with self.warehouse.connect() as owner:
            row = await owner.fetchrow(
                "SELECT position, batch_id FROM dl.watermark WHERE flow = $1", self.flow.name
            )
            return None if row is None else tuple(row)


def party(number: int, name: str = "Nguyễn", table: str = "credit.party") -> str:
    """A statement that adds a party."""
    return (
        f"INSERT INTO {table} (id, kind, full_name, created_by, created_at, revision) "
        f"VALUES (md5('{number}')::uuid, 'person', '{name}', md5('me')::uuid, now()::timestamp, {number})"
    )
