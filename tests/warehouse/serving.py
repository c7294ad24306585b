"""Analytics over a warehouse of a test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from pydantic import SecretStr

from services.analytics import main as analytics
from services.analytics.publication import publish
from services.analytics.settings import AnalyticsSettings
from services.analytics.warehouse import Warehouse as Serving
from services.chassis.testing import TokenMaker, span_recorder
from tests.conftest import Database
from tests.integration.lending import client_of

TOKENS = TokenMaker()


@asynccontextmanager
async def api(database: Database) -> AsyncIterator[httpx.AsyncClient]:
    """The service over a warehouse."""
    settings = AnalyticsSettings(
        http_port=0,
        auth_jwks_url="http://127.0.0.1:1/unused",
        warehouse_url=SecretStr(database.url("reporting")),
        # Tests ask more often than people.
        rate_limit_read="100000/second",
    )
    async with client_of(analytics.build(settings, span_recorder().telemetry, TOKENS.verifier())) as client:
        yield client


async def publication(database: Database) -> int:
    """Publish what is built; the build's id."""
    opened = Serving.open(database.url("transformer"), service="test", pool_size=1)
    try:
        return (await publish(opened)).build_id
    finally:
        await opened.dispose()
