"""The security headers of every answer, whichever code produces it."""

import asyncio
import base64
import hashlib
import re
from collections.abc import AsyncIterator

import httpx
import pytest
import uvicorn

from services.chassis.settings import ServiceSettings
from services.chassis.testing import TokenMaker, span_recorder
from services.chassis.web.http_server import BoundedProtocol
from services.chassis.web.security_headers import ALWAYS, CLOSED_POLICY
from tests.security.guarded_process import application

TOKENS = TokenMaker()
BEARER = TOKENS.headers(scopes=["decide"])


@pytest.fixture(scope="module")
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = application(span_recorder().telemetry, TOKENS.verifier(), ServiceSettings(http_port=0))
    config = uvicorn.Config(
        app, port=0, http=BoundedProtocol, ws="none", log_config=None, server_header=False
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as made:
        yield made
    server.should_exit = True
    await serving


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("GET", "/livez", {}, 200),
        ("GET", "/readyz", {}, 200),
        ("GET", "/metrics", {}, 200),
        ("GET", "/openapi.json", {}, 200),
        ("POST", "/notes", {"headers": BEARER, "json": {}}, 200),
        ("POST", "/notes", {}, 401),
        ("POST", "/notes", {"headers": TOKENS.headers()}, 403),
        ("GET", "/nowhere", {}, 404),
        ("GET", "/notes", {}, 405),
        ("POST", "/notes", {"headers": BEARER, "content": b"x" * 100_000}, 413),
        ("POST", "/token", {"data": {"username": "ann"}}, 422),
        ("GET", "/" + "x" * 50_000, {}, 414),
        ("GET", "/livez", {"headers": {"x": "y" * 100_000}}, 431),
        ("OPTIONS", "/notes", {"headers": {"Origin": "https://evil.example"}}, 405),
    ],
)
async def test_every_answer_carries_the_headers(
    client: httpx.AsyncClient, method: str, path: str, options: dict[str, object], status: int
) -> None:
    answer = await client.request(method, path, **options)  # type: ignore[arg-type] # as httpx takes them

    assert answer.status_code == status
    assert {name: answer.headers.get(name) for name in ALWAYS} == ALWAYS
    assert answer.headers["content-security-policy"] == CLOSED_POLICY
    assert answer.headers["cache-control"] == "no-store"
    assert not {"server", "x-powered-by", "access-control-allow-origin"} & set(answer.headers)
    # Over plain HTTP it would mean nothing, and behind a proxy with TLS the proxy says so.
    assert "strict-transport-security" not in answer.headers


# The package that serves the page reads its files by a function that is going to be removed.
@pytest.mark.filterwarnings("ignore:open_binary is deprecated")
async def test_the_documentation_goes_on_working_under_its_policy(client: httpx.AsyncClient) -> None:
    page = await client.get("/docs")
    policy = dict(part.partition(" ")[::2] for part in page.headers["content-security-policy"].split("; "))

    (script,) = re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert policy["script-src"] == f"'self' 'sha256-{digest}'"
    assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
    assert len(loaded) == 3
    for address in loaded:
        assert address.startswith(str(client.base_url))
        assert (await client.get(address)).status_code == 200
    # No handler in an attribute: the policy would keep it from running.
    assert not re.search(r"\son\w+=", page.text)


async def test_behind_tls_browsers_are_told_to_stay_there() -> None:
    app = application(span_recorder().telemetry, TOKENS.verifier(), ServiceSettings(http_port=0))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="https://test") as client:
        answer = await client.get("/livez")

    assert answer.headers["strict-transport-security"].startswith("max-age=")
