"""Every page and every callback against every kind of wrong session, and the attacks on what stands around them."""

from __future__ import annotations

import re
from base64 import b64encode
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest

from services.dashboard.main import PAGES
from services.lake.domain.roles import SCOPES
from tests.integration.dashboard.conftest import PEOPLE, Browser, Desk, request_for
from tests.integration.lending import assert_problem

ID = "01980000-0000-7000-8000-000000000000"
PATHS = [re.sub(r"\{\w+\}", ID, page.path) for page in PAGES]


def callbacks_of(desk: Desk) -> dict[str, dict[str, Any]]:
    """Those that the server runs."""
    known = desk.app.state.callbacks.app.callback_map
    return {output: callback for output, callback in known.items() if "callback" in callback}


async def assert_shut_out(desk: Desk, browser: Browser) -> None:
    """Pages lead to the login, everything else is a problem, and no service was called."""
    desk.called.clear()
    for path in PATHS:
        answer = await browser.http.get(path)
        assert (answer.status_code, answer.text) == (303, ""), path
        assert answer.headers["location"].startswith("/login?next=")
    for path in ("/_dash-layout", "/_dash-dependencies"):
        assert_problem(await browser.http.get(path), 401)
    for output, callback in callbacks_of(desk).items():
        assert_problem(await browser.call(request_for(output, callback)), 401)
    assert desk.called == []


async def test_without_a_session_nothing_is_open(desk: Desk) -> None:
    await assert_shut_out(desk, desk.browser())


@pytest.mark.parametrize("value", ["", "nonsense", "a" * 4000, "'; DROP TABLE dashboard.session; --"])
async def test_with_a_session_that_there_never_was_nothing_is_open(desk: Desk, value: str) -> None:
    await assert_shut_out(desk, desk.browser(headers={"Cookie": f'session="{value}"'}))


async def test_with_an_expired_session_nothing_is_open(desk: Desk) -> None:
    browser = await desk.logged_in("olga")
    desk.clock.offset = timedelta(minutes=31)
    try:
        await assert_shut_out(desk, browser)
    finally:
        desk.clock.offset = timedelta()


async def test_after_twelve_hours_nothing_is_open(desk: Desk) -> None:
    browser = await desk.logged_in("olga")
    async with desk.database.connect() as owner:
        await owner.execute("UPDATE dashboard.session SET ends_at = now() WHERE username = 'olga'")
    await assert_shut_out(desk, browser)


async def test_a_session_that_auth_has_ended_ends_within_thirty_seconds(desk: Desk) -> None:
    browser = await desk.logged_in("olga")
    async with desk.database.connect() as owner:
        await owner.execute("UPDATE auth.sessions SET revoked_at = now() WHERE revoked_at IS NULL")
    desk.clock.offset = timedelta(seconds=31)
    try:
        await assert_shut_out(desk, browser)
    finally:
        desk.clock.offset = timedelta()


@pytest.mark.parametrize("name", PEOPLE)
async def test_a_role_without_the_scope_is_refused(desk: Desk, name: str) -> None:
    browser, scopes = await desk.logged_in(name), SCOPES[PEOPLE[name]]
    desk.called.clear()
    for page, path in zip(PAGES, PATHS, strict=True):
        answer = await browser.http.get(path)
        if page.scopes & scopes:
            assert answer.status_code == 200, path
        else:
            assert_problem(answer, 403)
    refused = 0
    for output, callback in callbacks_of(desk).items():
        scope = desk.app.state.callbacks.scopes[output]
        if scope and scope not in scopes:
            assert_problem(await browser.call(request_for(output, callback)), 403)
            refused += 1
    assert desk.called == []
    assert refused > 0 or PEOPLE[name] != "administrator"


async def test_every_callback_has_a_scope(desk: Desk) -> None:
    callbacks = callbacks_of(desk)
    assert len(callbacks) >= 4
    assert callbacks.keys() == desk.app.state.callbacks.scopes.keys()
    known = frozenset().union(*SCOPES.values())
    for output, scope in desk.app.state.callbacks.scopes.items():
        # Only the one that shows a page is for everybody; it asks each page.
        assert scope in known or "page.children" in output, output


@pytest.mark.parametrize(
    "path", ["/nothing", "/search/", "/Search", "/_reload-hash", "/_dash-ws-callback", "/docs"]
)
async def test_an_unknown_path_is_not_found(desk: Desk, path: str) -> None:
    assert_problem(await (await desk.logged_in("olga")).http.get(path), 404)
    assert_problem(await desk.browser().http.get(path), 404)


async def test_a_page_is_read_and_a_callback_is_sent(desk: Desk) -> None:
    browser = await desk.logged_in("olga")
    assert_problem(await browser.post("/search"), 405)
    assert_problem(await browser.http.get("/_dash-update-component"), 405)


@pytest.mark.parametrize(
    "change",
    [
        [],
        {},
        "text",
        {"output": None},
        {"output": "nothing.children"},
        {"output": ["a"]},
        {"inputs": None},
        {"inputs": []},
        {"inputs": [{}]},
        {"inputs": [{"id": "other", "property": "pathname", "value": "/"}]},
        {"inputs": "text"},
        {"state": [None]},
        {"outputs": None},
        {"outputs": [{"id": "x", "property": "children"}]},
        {"changedPropIds": [1]},
        {"changedPropIds": "all"},
    ],
)
async def test_a_malformed_callback_is_a_bad_request(desk: Desk, change: Any) -> None:
    browser = await desk.logged_in("olga")
    output, callback = next(iter(callbacks_of(desk).items()))
    whole = request_for(output, callback)
    body = {**whole, **change} if isinstance(change, dict) and change else change
    assert_problem(await browser.call(body), 400)


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"{}", "text/plain", 400),
        (b"[" * 200_000, "application/json", 400),
        (b'"' + b"x" * 300_000 + b'"', "application/json", 413),
    ],
)
async def test_a_body_that_is_no_callback_is_refused(desk: Desk, body: bytes, kind: str, status: int) -> None:
    browser = await desk.logged_in("olga")
    headers = {"Sec-Fetch-Site": "same-origin", "Content-Type": kind}
    assert_problem(await browser.http.post("/_dash-update-component", content=body, headers=headers), status)


async def test_values_of_a_wrong_kind_are_a_bad_request(desk: Desk) -> None:
    browser = await desk.logged_in("olga")
    (output,) = [one for one in callbacks_of(desk) if "search-found.children" in one]
    whole = request_for(output, callbacks_of(desk)[output])
    for one in whole["inputs"]:
        one["value"] = {"$gt": ""}
    assert_problem(await browser.call(whole), 400)


async def test_a_websocket_is_refused(desk: Desk) -> None:
    browser = await desk.logged_in("olga")
    sent: list[Any] = []

    async def receive() -> dict[str, str]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    cookie = f"session={browser.http.cookies['session']}".encode()
    for origin in (b"https://evil.example", b"http://127.0.0.1:17100"):
        scope = {
            "type": "websocket",
            "path": "/_dash-ws-callback",
            "headers": [(b"cookie", cookie), (b"origin", origin), (b"host", b"127.0.0.1:17100")],
            "query_string": b"",
        }
        await desk.app(scope, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1008}] * 2


async def test_a_page_may_run_only_its_own_scripts_and_stand_in_no_frame(desk: Desk) -> None:
    browser = await desk.logged_in("olga")
    for path in ("/login", *PATHS[:1]):
        page = await browser.http.get(path)
        policy = page.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "object-src 'none'" in policy
        assert "unsafe-eval" not in policy
        assert "unsafe-inline" not in policy.partition("script-src")[2].partition(";")[0]
        assert page.headers["x-frame-options"] == "DENY"
        assert page.headers["cache-control"] == "no-store"
        for script in re.findall(r"<script(?![^>]*src=)[^>]*>(.*?)</script>", page.text, re.DOTALL):
            if script.strip().startswith("{"):
                continue
            digest = b64encode(sha256(script.encode()).digest()).decode()
            assert f"'sha256-{digest}'" in policy, script
        assert not re.findall(r'(?:src|href)="(?:https?:)?//', page.text)
        assert not re.search(r"\son\w+=", page.text)
    data = await browser.http.get("/_dash-layout")
    assert data.headers["content-security-policy"].startswith("default-src 'none'")


async def test_probes_and_metrics_need_no_session(desk: Desk) -> None:
    browser = desk.browser()
    for path in ("/livez", "/readyz", "/metrics", "/assets/tokens.css"):
        assert (await browser.http.get(path)).status_code == 200
