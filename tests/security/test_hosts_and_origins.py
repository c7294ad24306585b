"""Requests for other hosts, and from the pages of other sites."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from services.chassis.settings import ServiceSettings
from services.chassis.testing import TokenMaker, span_recorder
from services.chassis.web.input.origins import METHODS, REQUEST_HEADERS
from tests.security.guarded_process import application

TOKENS = TokenMaker()
BEARER = TOKENS.headers(scopes=["decide"])
DESK = "https://desk.example"
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}


def client_of(**settings: Any) -> httpx.AsyncClient:
    app = application(span_recorder().telemetry, TOKENS.verifier(), ServiceSettings(http_port=0, **settings))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost:17102")


async def note(host: str | None, path: str = "/notes", **settings: Any) -> httpx.Response:
    """POST a note to a host; None leaves the header out."""
    async with client_of(**settings) as client:
        request = client.build_request("POST", path, json={}, headers=BEARER)
        if host is None:
            del request.headers["host"]
        else:
            request.headers["host"] = host
        return await client.send(request)


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:17102", "LOCALHOST", "127.0.0.1:1", "[::1]:17102", "[::1]"]
)
async def test_a_service_answers_under_its_own_names(host: str) -> None:
    assert (await note(host, http_hosts="127.0.0.1,localhost,[::1]")).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        *(
            "evil.example",
            "localhost.evil.example",
            "evil.example:17102",
            "127.0.0.1.nip.io",
            "localhost:",
            "",
        ),
        *("localhost:80:80", "localhost@evil.example", "a\u00e9", "[::2]", "127.0.0.2", None),
    ],
)
async def test_another_name_that_leads_here_is_refused(host: str | None) -> None:
    answer = await note(host, http_hosts="127.0.0.1,localhost,[::1]")

    assert answer.status_code == 421
    assert answer.json()["type"] == "urn:creditmesh:problem:misdirected-request"
    assert "evil" not in answer.text


async def test_a_star_stands_for_names_below_and_not_for_the_name_itself() -> None:
    hosts = {"http_hosts": "*.bank.example"}

    assert (await note("intake.bank.example", **hosts)).status_code == 200
    for host in ("bank.example", "evilbank.example", "bank.example.evil.example"):
        assert (await note(host, **hosts)).status_code == 421


async def test_the_address_that_a_process_listens_on_is_its_name_too() -> None:
    assert (await note("10.0.0.7:17102", http_host="10.0.0.7")).status_code == 200
    assert (await note("[fd00::7]:17102", http_host="fd00::7")).status_code == 200
    for everything in ("0.0.0.0", "::"):  # noqa: S104 - names of hosts here
        assert (await note(everything, http_host=everything)).status_code == 421


async def test_probes_and_prometheus_come_by_any_address() -> None:
    async with client_of() as client:
        for path in ("/livez", "/readyz", "/metrics"):
            assert (await client.get(path, headers={"Host": "10.1.2.3:9"})).status_code == 200


@pytest.mark.parametrize("origin", [DESK, "null", "https://evil.example"])
async def test_without_a_setting_no_page_reads_an_answer(origin: str) -> None:
    async with client_of() as client:
        preflight = await client.options("/notes", headers={"Origin": origin, **PREFLIGHT})
        answer = await client.post("/notes", json={}, headers={"Origin": origin, **BEARER})

    assert preflight.status_code == 405
    for one in (preflight, answer):
        assert not [name for name in one.headers if name.startswith("access-control-")]


async def test_pages_of_a_listed_origin_may_call_and_read() -> None:
    async with client_of(http_cors_origins=f"{DESK},http://127.0.0.1:8080") as client:
        preflight = await client.options("/notes", headers={"Origin": DESK, **PREFLIGHT})
        answer = await client.post("/notes", json={}, headers={"Origin": DESK, **BEARER})
        refusal = await client.post("/notes", json={}, headers={"Origin": DESK})

    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-methods"] == METHODS
    assert preflight.headers["access-control-allow-headers"] == REQUEST_HEADERS
    for one in (preflight, answer, refusal):
        assert one.headers["access-control-allow-origin"] == DESK
        # Tokens are sent by the page itself; cookies would be sent by the browser.
        assert "access-control-allow-credentials" not in one.headers
        assert "Origin" in one.headers["vary"]
    assert (answer.status_code, refusal.status_code) == (200, 401)
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "origin",
    [
        *("https://desk.example.evil.example", "https://evil.example", "http://desk.example", "null"),
        *("https://DESK.example", "https://desk.example:444", "https://desk.example/", "*"),
    ],
)
async def test_an_origin_that_is_not_listed_is_not_echoed(origin: str) -> None:
    async with client_of(http_cors_origins=DESK) as client:
        preflight = await client.options("/notes", headers={"Origin": origin, **PREFLIGHT})
        answer = await client.post("/notes", json={}, headers={"Origin": origin, **BEARER})

    assert (preflight.status_code, answer.status_code) == (405, 200)
    for one in (preflight, answer):
        assert not [name for name in one.headers if name.startswith("access-control-")]
        assert one.headers["vary"] == "Origin"


@pytest.mark.parametrize(
    "origins", ["*", "desk.example", "https://desk.example/", "https://*.example", "null"]
)
def test_an_origin_is_written_out(origins: str) -> None:
    with pytest.raises(ValidationError):
        ServiceSettings(http_port=0, http_cors_origins=origins)
