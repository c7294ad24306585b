"""What the APIs do besides taking and deciding applications: shown on what the demo has fed, and nothing is changed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import httpx
from rich.console import Console

from services.platform.components.mesh import passwords
from services.platform.errors import PlatformError
from services.platform.platform import Platform

LEARNT_SECONDS = 60.0
"""How long search may take until it knows the names that were fed."""
LONG_NAME = 5


@dataclass(frozen=True, slots=True)
class Tour:
    """The services of a platform, and the passwords of its people."""

    services: Mapping[str, httpx.AsyncClient]
    passwords: Mapping[str, str]
    console: Console

    async def log_in(self, username: str) -> dict[str, Any]:
        """The tokens of somebody's new session."""
        form = {"grant_type": "password", "username": username, "password": self.passwords[username]}
        tokens: dict[str, Any] = expected(await self.services["auth"].post("/token", data=form), 200).json()
        return tokens

    async def headers(self, username: str) -> dict[str, str]:
        """The headers of somebody's requests."""
        return {"Authorization": f"Bearer {(await self.log_in(username))['access_token']}"}

    async def queue(self) -> None:
        """Count what waits for an officer, by stage and age; claim the oldest, and release it."""
        officer, approval = await self.headers("officer1"), self.services["approval"]
        summary = expected(await approval.get("/queue/summary", headers=officer), 200).json()
        self.console.print(f"queue of officer1: {summary['count']:,} wait")
        page = expected(
            await approval.get("/queue", params={"sort": "-age", "limit": 1}, headers=officer), 200
        ).json()
        for oldest in page["items"]:
            path = f"/applications/{oldest['id']}/claim"
            claim = expected(await approval.put(path, headers=officer), 200, 409)
            until = claim.json().get("claimed_until", "taken by another officer")
            self.console.print(f"  the oldest, {oldest['age_hours']} hours: claimed until {until}")
            if claim.status_code == httpx.codes.OK:
                expected(await approval.delete(path, headers=officer), 204)

    async def find(self) -> None:
        """Search for a mistyped name, with counts by state and product."""
        officer, search = await self.headers("senior1"), self.services["search"]
        newest = expected(
            await search.get("/applications", params={"limit": 50}, headers=officer), 200
        ).json()
        words = [word for one in newest["items"] for word in (one["borrower_name"] or "").split()]
        plain = (word for word in words if len(word) >= LONG_NAME and word.isascii() and word.isalpha())
        name = next((word for word in plain if word[2] != word[3]), None)
        if name is None:
            return
        typed = name[:2] + name[3] + name[2] + name[4:]
        parameters = {"q": typed, "facets": "state,product", "limit": "1"}
        found: dict[str, Any] = {}
        async with asyncio.timeout(LEARNT_SECONDS):
            while not found.get("corrected"):
                found = expected(
                    await search.get("/applications", params=parameters, headers=officer), 200
                ).json()
                await asyncio.sleep(0 if found["corrected"] else 1)
        meant = ", ".join(word for one in found["corrected"] for word in one["meant"])
        self.console.print(
            f"search for {typed}: {found['facets']['total']:,} found, by {meant}", markup=False
        )
        for facet, counts in found["facets"]["counts"].items():
            shown = ", ".join(f"{one['value']} {one['count']:,}" for one in counts)
            self.console.print(f"  by {facet}: {shown}", markup=False)

    async def export(self) -> None:
        """Export what was booked as CSV, personal data masked."""
        officer = await self.headers("senior1")
        parameters = {"state": "BOOKED"}
        async with self.services["search"].stream(
            "GET", "/applications.csv", params=parameters, headers=officer
        ) as answer:
            if answer.status_code != httpx.codes.OK:
                await answer.aread()
            expected(answer, 200)
            size, last = 0, ""
            async for line in answer.aiter_lines():
                size, last = size + len(line) + 2, line or last
        self.console.print(
            f"export of what is booked: {size:,} characters; its last line: {last}", markup=False
        )

    async def replay(self) -> None:
        """Use a refresh token twice, as its thief would: the session ends."""
        tokens = await self.log_in("maker1")
        child = await self._refreshed(tokens["refresh_token"])
        expected(child, 200)
        newest = child.json()["refresh_token"]
        newest = expected(await self._refreshed(newest), 200).json()["refresh_token"]
        stolen = expected(await self._refreshed(tokens["refresh_token"]), 400)
        after = expected(await self._refreshed(newest), 400)
        self.console.print(
            f"a refresh token that comes a second time: {stolen.status_code} {stolen.json()['error']}; "
            f"then the newest one of its session: {after.status_code}, the session has ended"
        )

    async def hide(self) -> None:
        """Ask for somebody else's application: for a maker it does not exist."""
        officer, maker = await self.headers("senior1"), await self.headers("maker2")
        search = self.services["search"]
        page = expected(await search.get("/applications", params={"limit": 50}, headers=officer), 200).json()
        own = expected(await self.services["auth"].get("/me", headers=maker), 200).json()["id"]
        foreign = next((one["id"] for one in page["items"] if one["maker"] != own), None)
        if foreign is not None:
            hidden = expected(await search.get(f"/applications/{foreign}", headers=maker), 404)
            self.console.print(f"another maker's application, asked for by maker2: {hidden.status_code}")

    async def _refreshed(self, token: str) -> httpx.Response:
        form = {"grant_type": "refresh_token", "refresh_token": token}
        return await self.services["auth"].post("/token", data=form)


async def show_apis(platform: Platform, console: Console) -> None:
    """Show it, one line or two each.

    Raises:
        PlatformError: an API answered with something else than what is shown.
    """
    async with AsyncExitStack() as stack:
        services = {
            name: await stack.enter_async_context(
                httpx.AsyncClient(
                    base_url=platform.settings.http(name), verify=platform.settings.trust(), timeout=60
                )
            )
            for name in ("auth", "approval", "search")
        }
        tour = Tour(services, passwords(platform.home), console)
        try:
            for step in (tour.queue, tour.find, tour.export, tour.replay, tour.hide):
                await step()
        except TimeoutError:
            raise PlatformError(f"search did not know the names within {LEARNT_SECONDS:.0f} s") from None


def expected(answer: httpx.Response, *statuses: int) -> httpx.Response:
    """`answer`, if its status is one of `statuses`.

    Raises:
        PlatformError: it is another; the message has what the service says.
    """
    if answer.status_code not in statuses:
        request = answer.request
        raise PlatformError(f"{request.method} {request.url.path}: {answer.status_code} {answer.text[:300]}")
    return answer
