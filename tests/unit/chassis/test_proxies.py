"""Whose address a request comes from."""

import httpx
import pytest
from fastapi import FastAPI, Request

from services.chassis.settings import ServiceSettings
from services.chassis.web.app import _Server


async def seen_address(settings: ServiceSettings, peer: str, forwarded: str) -> str:
    app = FastAPI()

    @app.get("/address")
    async def address(request: Request) -> str:
        return request.client.host if request.client else ""

    config = _Server(app, settings, lambda: None).config
    config.load()
    transport = httpx.ASGITransport(config.loaded_app, client=(peer, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer: str = (await client.get("/address", headers={"X-Forwarded-For": forwarded})).json()
    return answer


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "203.0.113.9"])
async def test_nobody_gives_themselves_another_address(monkeypatch: pytest.MonkeyPatch, peer: str) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")

    assert await seen_address(ServiceSettings(http_port=0), peer, "192.0.2.1") == peer


@pytest.mark.parametrize(
    ("peer", "expected"), [("10.0.0.7", "192.0.2.1"), ("10.1.0.7", "10.1.0.7"), ("127.0.0.1", "127.0.0.1")]
)
async def test_a_named_proxy_says_whom_it_forwards(peer: str, expected: str) -> None:
    settings = ServiceSettings(http_port=0, http_trusted_proxies="10.0.0.0/24")

    assert await seen_address(settings, peer, "192.0.2.1") == expected
