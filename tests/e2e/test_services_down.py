"""A service behind the dashboard is down, or does not get on: its parts of the pages say so, everything else works."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from services.dashboard.parts.words import SERVICES
from services.platform.components.mesh import passwords
from services.platform.platform import Platform
from tests.integration.dashboard.conftest import Browser, request_for

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

WHOLE_SECONDS = 60.0
FIGURES = ("portfolio", "origination", "delinquency", "vintage", "decisioning", "concentration")
NEEDED: dict[tuple[str, str], set[str]] = {
    ("maker1", "/applications"): {"intake"},
    ("maker1", "/apply"): {"intake"},
    ("maker1", "search-found"): {"search"},
    ("senior1", "queue-rows"): {"approval"},
    ("senior1", "/applications/{id}"): {"search", "approval"},
    **{("senior1", f"/{name}"): {"analytics"} for name in FIGURES},
    ("senior1", "/quality"): {"analytics"},
    ("auditor", "/platform"): {"prometheus"},
    ("auditor", "/trace?id=4bf92f3577b34da6a3ce929d0e0e4736"): {"traces"},
}
"""Who opens which page, or has which part of one filled, and the services that it cannot be whole without."""


@dataclass
class Reader:
    """Somebody who is logged in, and how their browser asks for the content of a page."""

    browser: Browser
    callbacks: list[dict[str, Any]]

    async def shown(self, what: str) -> str:
        """The content of a page, or of the part that has this id, as it is sent."""
        return await (self._page(what) if what.startswith("/") else self._part(what))

    async def _part(self, identifier: str) -> str:
        known = next(one for one in self.callbacks if f"{identifier}.children" in one["output"])
        answer = await self.browser.call(request_for(known["output"], known))
        assert answer.status_code == 200, answer.text
        return answer.text

    async def _page(self, address: str) -> str:
        document = await self.browser.http.get(address)
        assert document.status_code == 200, document.text
        known = next(one for one in self.callbacks if "page.children" in one["output"])
        body = request_for(known["output"], known)
        path, mark, query = address.partition("?")
        body["inputs"][0]["value"] = path
        body["state"][0]["value"] = mark + query
        answer = await self.browser.call(body)
        assert answer.status_code == 200, answer.text
        return answer.text


def silent_in(content: str) -> set[str]:
    """The services of which a page says that they do not answer."""
    return {name for name, title in SERVICES.items() if f"{title} does not answer at the moment." in content}


@pytest.fixture(scope="module")
async def pages(running_platform: Platform, prometheus: str) -> AsyncIterator[Callable[[], Any]]:
    """Opens every page at once; gives the content of each."""
    del prometheus
    settings = running_platform.settings
    secret = passwords(running_platform.home)
    async with AsyncExitStack() as stack:

        async def client(base: str) -> httpx.AsyncClient:
            # The servers close a connection that has been idle for five seconds.
            limits = httpx.Limits(keepalive_expiry=2)
            return await stack.enter_async_context(
                httpx.AsyncClient(base_url=base, timeout=60, limits=limits)
            )

        form = {"grant_type": "password", "username": "senior1", "password": secret["senior1"]}
        token = (await (await client(settings.http("auth"))).post("/token", data=form)).json()["access_token"]
        found = await (await client(settings.http("search"))).get(
            "/applications", headers={"Authorization": f"Bearer {token}"}
        )
        number = found.json()["items"][0]["id"]
        readers = {}
        for name in {user for user, _ in NEEDED}:
            browser = Browser(await client(settings.http("dashboard")))
            answer = await browser.log_in(name, secret[name])
            assert answer.status_code == 303, answer.text
            known = (await browser.http.get("/_dash-dependencies")).json()
            readers[name] = Reader(browser, known)

        async def opened() -> dict[tuple[str, str], str]:
            contents = await asyncio.gather(
                *(readers[user].shown(path.format(id=number)) for user, path in NEEDED)
            )
            return dict(zip(NEEDED, contents, strict=True))

        yield opened


@asynccontextmanager
async def down(platform: Platform, service: str) -> AsyncIterator[None]:
    """The service has ended."""
    await asyncio.to_thread(platform.supervisor.stop, service)
    try:
        yield
    finally:
        await platform.up([service])


@asynccontextmanager
async def stuck(platform: Platform, service: str) -> AsyncIterator[None]:
    """The service takes connections and answers nobody."""
    process = platform.supervisor.all()[service].pid
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


async def whole(pages: Callable[[], Any]) -> None:
    """Every page is whole, or soon is: a circuit breaker tries a service again some seconds after it failed."""
    until = time.monotonic() + WHOLE_SECONDS
    while silent := {address for address, content in (await pages()).items() if silent_in(content)}:
        assert time.monotonic() < until, silent
        await asyncio.sleep(1)


@pytest.mark.parametrize("wrong", [down, stuck])
@pytest.mark.parametrize("service", sorted(SERVICES))
async def test_parts_of_a_silent_service_say_so_and_the_rest_works(
    running_platform: Platform, pages: Callable[[], Any], service: str, wrong: Callable[..., Any]
) -> None:
    process = "zipkin" if service == "traces" else service
    await whole(pages)
    async with wrong(running_platform, process):
        contents = await pages()
    for address, content in contents.items():
        assert silent_in(content) == ({service} & NEEDED[address]), address
        # The title of the page is there, and the way on.
        assert '"H1"' in content or not address[1].startswith("/"), address
        assert re.search("data-reload|Try again", content) or service not in NEEDED[address], address
    await whole(pages)


async def test_nobody_logs_in_without_auth_and_everybody_can_afterwards(running_platform: Platform) -> None:
    secret = passwords(running_platform.home)["maker1"]
    base = running_platform.settings.http("dashboard")
    async with httpx.AsyncClient(base_url=base, timeout=60) as client:
        for wrong in (down, stuck):
            async with wrong(running_platform, "auth"):
                answer = await Browser(client).log_in("maker1", secret)
            assert answer.status_code == 503
            assert "Logging in is not possible at the moment." in answer.text
        assert (await Browser(client).log_in("maker1", secret)).status_code == 303
