"""The OpenAPI documents of intake, approval and search say what these services do."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from services.lake.domain.roles import Role, scopes_of
from tests.integration import documents
from tests.integration.lending import Lending

REQUIRED = {"intake": 6, "approval": 2, "search": 0}
"""Required headers of each service, at least."""


async def described(
    lending: Lending, service: str
) -> tuple[httpx.AsyncClient, dict[str, Any], dict[str, str]]:
    """A service's client, its document, and the headers of somebody who may do everything."""
    client: httpx.AsyncClient = getattr(lending, service)
    everything = lending.tokens.headers(scopes=scopes_of(Role), roles=list(Role), auth_time=int(time.time()))
    return client, (await client.get("/openapi.json")).json(), everything


@pytest.mark.parametrize("service", REQUIRED)
async def test_no_route_ignores_a_parameter(lending: Lending, service: str) -> None:
    await documents.assert_parameters_are_known(*await described(lending, service))


@pytest.mark.parametrize("service", REQUIRED)
async def test_headers_are_required_as_documented(lending: Lending, service: str) -> None:
    client, document, headers = await described(lending, service)
    tried = await documents.assert_headers_are_required(client, document, headers)
    assert tried >= REQUIRED[service]


@pytest.mark.parametrize("service", REQUIRED)
async def test_what_a_schema_refuses_the_service_refuses(lending: Lending, service: str) -> None:
    client, document, headers = await described(lending, service)
    assert await documents.assert_schemas_refuse_what_the_service_refuses(client, document, headers) > 20


@pytest.mark.parametrize("service", REQUIRED)
async def test_examples_are_valid(lending: Lending, service: str) -> None:
    _, document, _ = await described(lending, service)
    assert documents.assert_examples_are_valid(document) > 0
