"""Intake, approval and search as processes: what they refuse to start with, and how they start and stop."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from services.chassis.testing import TokenMaker, span_recorder
from services.intake.main import build
from services.intake.settings import IntakeSettings
from services.lake.domain.roles import SCOPES, Role
from tests.conftest import Database
from tests.integration.lending import TAG_KEY, assert_problem, client_of

ROOT = Path(__file__).parents[3]
SERVICES = ("intake", "approval", "search")
NOT_A_URL = "secret-of-the-url"
NOWHERE = "postgresql+asyncpg://intake:secret-of-the-url@127.0.0.1:1/lake"


def start(service: str, *arguments: str, **environment: str) -> asyncio.Future[asyncio.subprocess.Process]:
    inherited = {name: os.environ[name] for name in ("PATH", "COVERAGE_PROCESS_START") if name in os.environ}
    return asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            f"services.{service}.main",
            *arguments,
            cwd=ROOT,
            env={**inherited, **environment},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    )


@pytest.mark.parametrize("service", SERVICES)
async def test_missing_and_bad_settings_are_named_and_no_secret_is(service: str) -> None:
    process = await start(service, HTTP_PORT="a lot", LAKE_POOL_SIZE="0", LAKE_URL=NOT_A_URL)
    output, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 2, errors
    for name in ("HTTP_PORT", "LAKE_POOL_SIZE", "LAKE_URL", "AUTH_JWKS_URL"):
        assert name in errors.decode()
    assert "secret-of-the-url" not in (output + errors).decode()


@pytest.mark.parametrize("service", SERVICES)
async def test_a_process_serves_until_it_is_terminated(
    lake: Database, application: Database, service: str, unused_tcp_port: int
) -> None:
    process = await start(
        service,
        "serve",
        HTTP_PORT=str(unused_tcp_port),
        HTTP_DRAIN_SECONDS="0",
        AUTH_JWKS_URL="http://127.0.0.1:1/unused",
        PERSON_TAG_KEY=TAG_KEY,
        LAKE_URL=lake.url(service),
        APPLICATION_URL=application.url("search"),
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{unused_tcp_port}") as client:
            async with asyncio.timeout(60):
                while not await _is_ready(client):
                    await asyncio.sleep(0.1)
            paths = (await client.get("/openapi.json")).json()["paths"]
            assert "/applications/{application_id}" in paths
            metrics = (await client.get("/metrics")).text
            assert "db_client_operation_duration_seconds" in metrics
            refused = await client.get("/applications/0", headers={"Authorization": "Bearer x"})
            assert_problem(refused, 401)
    finally:
        process.terminate()
        output, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, (output, errors)


async def test_without_the_lake_requests_are_told_to_come_back() -> None:
    tokens = TokenMaker()
    settings = IntakeSettings(
        http_port=0,
        auth_jwks_url="http://127.0.0.1:1/x",
        lake_url=SecretStr(NOWHERE),
        person_tag_key=SecretStr(TAG_KEY),
    )
    app = build(settings, span_recorder().telemetry, tokens.verifier())
    async with client_of(app) as client:
        headers = tokens.headers(scopes=SCOPES[Role.MAKER], roles=["maker"])
        response = await client.get("/products", headers=headers)
        assert_problem(response, 503)
        assert "Retry-After" in response.headers
        assert (await client.get("/readyz")).status_code == 503
        assert (await client.get("/livez")).status_code == 200


async def _is_ready(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/readyz")).status_code == 200
    except httpx.TransportError:
        return False
