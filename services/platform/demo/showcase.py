"""What the APIs do besides taking and deciding applications, on what the demo has fed; only the import adds some."""

from __future__ import annotations

import asyncio
from typing import Any

from rich.console import Console

from services.platform.components.mesh import passwords
from services.platform.demo.client import Mesh, Person
from services.platform.demo.importing import show_import
from services.platform.errors import PlatformError
from services.platform.platform import Platform

LEARNT_SECONDS = 60.0
"""How long search may take until it knows the names that were fed."""
LONG_NAME = 5


async def show_apis(platform: Platform, console: Console) -> None:
    """Show it, one line or some each.

    Raises:
        PlatformError: an API answered with something else than what is shown.
    """
    known = passwords(platform.home)
    async with Mesh(platform.settings) as mesh:
        officer, senior, maker = [
            await mesh.log_in(name, known[name]) for name in ("officer1", "senior1", "maker2")
        ]
        await show_queue(officer, console)
        newest = (await senior.get("search", "/applications", params={"limit": 50}))["items"]
        await show_search(senior, newest, console)
        await show_export(senior, console)
        await show_replay(maker, known[maker.username], console)
        await show_hidden(maker, newest, console)
    await show_import(platform, console)


async def show_queue(officer: Person, console: Console) -> None:
    """Count what waits for an officer, and claim the oldest for a moment."""
    summary = await officer.get("approval", "/queue/summary")
    console.print(f"queue of {officer.username}: {summary['count']:,} wait")
    page = await officer.get("approval", "/queue", params={"sort": "-age", "limit": 1})
    for oldest in page["items"]:
        path = f"/applications/{oldest['id']}/claim"
        claim = await officer.call("PUT", "approval", path, accept=(200, 409))
        until = claim.json().get("claimed_until", "taken by another officer")
        console.print(f"  the oldest, {oldest['age_hours']} hours: claimed until {until}")
        if claim.is_success:
            await officer.call("DELETE", "approval", path, accept=(204,))


async def show_search(senior: Person, newest: list[dict[str, Any]], console: Console) -> None:
    """Search for a mistyped name, with counts by state and product."""
    words = [word for one in newest for word in (one["borrower_name"] or "").split()]
    plain = (word for word in words if len(word) >= LONG_NAME and word.isascii() and word.isalpha())
    name = next((word for word in plain if word[2] != word[3]), None)
    if name is None:
        return
    typed = name[:2] + name[3] + name[2] + name[4:]
    parameters = {"q": typed, "facets": "state,product", "limit": "1"}
    try:
        async with asyncio.timeout(LEARNT_SECONDS):
            while True:
                found = await senior.get("search", "/applications", params=parameters)
                if found["corrected"]:
                    break
                await asyncio.sleep(1)
    except TimeoutError:
        raise PlatformError(f"search did not know the names within {LEARNT_SECONDS:.0f} s") from None
    meant = ", ".join(word for one in found["corrected"] for word in one["meant"])
    console.print(f"search for {typed}: {found['facets']['total']:,} found, by {meant}", markup=False)
    for facet, counts in found["facets"]["counts"].items():
        shown = ", ".join(f"{one['value']} {one['count']:,}" for one in counts)
        console.print(f"  by {facet}: {shown}", markup=False)


async def show_export(senior: Person, console: Console) -> None:
    """Export what is booked as CSV, personal data masked."""
    answer = await senior.call("GET", "search", "/applications.csv", params={"state": "BOOKED"})
    last = answer.text.splitlines()[-1]
    console.print(
        f"export of what is booked: {len(answer.content):,} bytes; its last line: {last}", markup=False
    )


async def show_replay(maker: Person, password: str, console: Console) -> None:
    """Use a refresh token twice, as its thief would: the session ends."""

    async def token(accept: int = 200, **form: str) -> dict[str, Any]:
        answer: dict[str, Any] = (
            await maker.call("POST", "auth", "/token", accept=(accept,), data=form)
        ).json()
        return answer

    first = await token(grant_type="password", username=maker.username, password=password)
    child = await token(grant_type="refresh_token", refresh_token=first["refresh_token"])
    newest = await token(grant_type="refresh_token", refresh_token=child["refresh_token"])
    stolen = await token(400, grant_type="refresh_token", refresh_token=first["refresh_token"])
    after = await token(400, grant_type="refresh_token", refresh_token=newest["refresh_token"])
    console.print(
        f"a refresh token that comes a second time: 400 {stolen['error']}; "
        f"then the newest one of its session: 400 {after['error']}, the session has ended"
    )


async def show_hidden(maker: Person, newest: list[dict[str, Any]], console: Console) -> None:
    """Ask for somebody else's application: for a maker it does not exist."""
    own = (await maker.get("auth", "/me"))["id"]
    foreign = next((one["id"] for one in newest if one["maker"] != own), None)
    if foreign is not None:
        hidden = await maker.call("GET", "search", f"/applications/{foreign}", accept=(404,))
        console.print(f"another maker's application, asked for by {maker.username}: {hidden.status_code}")
