"""A landing table of partners' rates, which every connector of the tests fills."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from services.loader.connectors.factory import connector_of
from services.loader.derived import derived_statements
from services.loader.errors import LoaderError
from services.loader.flows.files import read_flow
from services.loader.flows.model import DbtFlow
from services.loader.landing import landing_named
from services.loader.loading.load import Loaded
from tests.integration.loader.loading import Loading

FINDINGS = (
    "SELECT array_agg(concat(column_name, ': ', expectation, ': ', failed_count, ' of ', checked_count)) "
    "FROM dl.quality_result WHERE NOT success AND checked_at = (SELECT max(checked_at) FROM dl.quality_result)"
)
"""What the newest load has found that does not fit."""


HEAD = """\
name: rates
layer: dl
description: Rates of partners.
schedule: {cron: "0 6 * * *"}
freshness_minutes: 1500
retries: 2
timeout_minutes: 5
"""
TARGET = """\
targets:
  - source: %s
    table: partner_rate
    keys: [code]
    columns: [code, rate]
    checks:
      - {column: rate, type: numeric, not_null: true}
"""
ROWS = "SELECT operation, row_key, image FROM dl.partner_rate ORDER BY position_major, position_minor"


class Rates:
    """One landing table of partners' rates, loaded by whichever connector."""

    def __init__(self, loading: Loading, folder: Path) -> None:
        self.loading, self._folder = loading, folder

    async def flow(self, connector: str, source: str, target: str) -> None:
        """Write the flow file and make its landing table."""
        path = self._folder / "rates.yaml"
        path.write_text(f"{HEAD}connector: {connector}\nsource: {source}\n{TARGET % target}")
        flow = read_flow(path)
        assert not isinstance(flow, DbtFlow)
        self.loading.flow = flow
        async with self.loading.warehouse.connect() as owner:
            for statement in derived_statements(landing_named("postgresql"), ["partner_rate"]):
                await owner.execute(statement)

    async def run(self) -> Loaded:
        """Load what is new."""
        return await self.loading.run(connector=connector_of(self.loading.flow))

    async def replay(self, batch_id: int) -> Loaded:
        """Load a batch's window again."""
        async with self.loading.loader(connector=connector_of(self.loading.flow)) as loader:
            return await loader.replay(batch_id, lambda _: None)

    async def landed(self) -> list[tuple[str, str, Any]]:
        """Operation, key and rate of all that landed, in order."""
        async with self.loading.warehouse.connect() as owner:
            return [
                (row[0], json.loads(row[1])[0], row[2] and json.loads(row[2])["rate"])
                for row in await owner.fetch(ROWS)
            ]

    async def refuses(self, error: type[LoaderError], said: str) -> str:
        """Run and fail: nothing lands, and the watermark does not change."""
        before = (await self.landed(), await self.loading.watermark())
        with pytest.raises(error, match=said) as caught:
            await self.run()
        assert (await self.landed(), await self.loading.watermark()) == before
        return str(caught.value)
