"""The lineage service over a database of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from services.chassis.testing import TokenMaker, span_recorder
from services.lineage.main import build
from services.lineage.settings import LineageSettings
from tests.conftest import Database

TABLES = ("dataset", "job", "run", "io", "version", "columns", "facet", "column_lineage")


@dataclass
class Provenance:
    """The service, and calls of it by a program that may read and write."""

    app: FastAPI
    http: httpx.AsyncClient
    database: Database
    tokens: TokenMaker
    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.headers = self.tokens.headers(scopes=["lineage:read", "lineage:write"])

    async def send(self, event: Any) -> None:
        """Send an event, which must be accepted."""
        answer = await self.http.post("/api/v1/lineage", json=event, headers=self.headers)
        assert answer.status_code == 201, answer.text

    async def send_all(self, events: list[Any]) -> dict[str, Any]:
        """Send a batch; its answer."""
        answer = await self.http.post("/api/v1/lineage/batch", json=events, headers=self.headers)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def get(self, path: str, **parameters: Any) -> Any:
        """Read what must be there."""
        answer = await self.http.get(path, params=parameters, headers=self.headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Every row of the projected tables."""
        async with self.database.connect() as owner:
            return {
                name: sorted(
                    (dict(row) for row in await owner.fetch(f"SELECT * FROM lineage.{name}")), key=repr
                )
                for name in TABLES
            }


@asynccontextmanager
async def provenance_over(database: Database) -> AsyncIterator[Provenance]:
    """The service over this database."""
    tokens = TokenMaker()
    settings = LineageSettings(
        http_port=0,
        application_url=SecretStr(database.url("lineage")),
        auth_jwks_url="http://127.0.0.1:1/jwks.json",
        rate_limit_read="100000/second",
        rate_limit_write="100000/second",
    )
    app = build(settings, span_recorder().telemetry, tokens.verifier())
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http,
    ):
        yield Provenance(app, http, database, tokens)


@pytest.fixture(scope="module")
async def provenance(application: Database) -> AsyncIterator[Provenance]:
    """The service over this module's database."""
    async with provenance_over(application) as made:
        yield made


@pytest.fixture
async def fresh(fresh_application: Database) -> AsyncIterator[Provenance]:
    """The service over a database of one test alone."""
    async with provenance_over(fresh_application) as made:
        yield made
