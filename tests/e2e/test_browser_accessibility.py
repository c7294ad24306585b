"""Every page of the dashboard for everybody: axe has no serious finding, and the browser nothing to complain about."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.e2e.browsing import PATIENCE_MILLISECONDS, Desk

pytestmark = [
    pytest.mark.skipif(os.environ.get("BROWSER") == "off", reason="BROWSER=off"),
    pytest.mark.timeout(900),
]

AXE = (Path(__file__).parent / "axe" / "axe.min.js").read_text(encoding="utf-8")
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
SERIOUS = {"serious", "critical"}
FIGURES = ("portfolio", "origination", "delinquency", "vintage", "decisioning", "concentration", "quality")
PAGES = {
    "maker1": ("/applications", "/apply", "/search"),
    "senior1": ("/approve", *(f"/{name}" for name in FIGURES), "/portfolio?kpi=par_30"),
    "auditor": ("/platform", "/trace"),
}
LOOKS = [
    pytest.param(
        theme,
        language,
        width,
        id=f"{theme}-{language}-{width}",
        marks=() if (theme, language, width) == ("light", "en", 1280) else pytest.mark.long,
    )
    for theme in ("light", "dark")
    for language in ("en", "vi")
    for width in (1280, 390)
]


async def findings(page: Page) -> list[str]:
    """What axe finds that keeps people from using the page, each with the first element."""
    await page.evaluate(AXE)
    found: Any = await page.evaluate("tags => axe.run({runOnly: tags})", TAGS)
    return [
        f"{page.url}: {one['id']}, {len(one['nodes'])} times, first in {one['nodes'][0]['html'][:200]}: "
        f"{one['nodes'][0]['failureSummary']}"
        for one in found["violations"]
        if one["impact"] in SERIOUS
    ]


async def shown(page: Page, address: str) -> None:
    """Open a page, and wait until nothing of it is missing."""
    await page.goto(address)
    await expect(page.locator("#page h1").first).to_be_visible(timeout=PATIENCE_MILLISECONDS)
    await page.wait_for_load_state("networkidle")


@pytest.mark.parametrize(("theme", "language", "width"), LOOKS)
async def test_everybody_can_use_every_page(desk: Desk, theme: str, language: str, width: int) -> None:
    found = []
    for username, paths in PAGES.items():
        page = await desk.page(width=width)
        chosen = {"theme": theme, "language": language}
        await page.context.add_cookies(
            [{"name": name, "value": value, "url": desk.url} for name, value in chosen.items()]
        )
        await page.goto(f"{desk.url}/login")
        found += await findings(page)
        await desk.enter(page, username)
        for path in paths:
            await shown(page, desk.url + path)
            found += await findings(page)
            assert await page.locator("html").get_attribute("lang") == language
            assert not await page.locator(".state.failed").count(), path
            overflow = await page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
            assert overflow <= 0, f"{path} is wider than the window"
        record = page.locator("a[href^='/applications/']").first
        if await record.count():
            await record.click()
            await expect(page.locator("#record h1")).to_be_visible(timeout=PATIENCE_MILLISECONDS)
            found += await findings(page)
        await page.context.close()
    assert found == []
    assert desk.complaints == []
