"""Browsers of people before the running dashboard, and what they complain about."""

from __future__ import annotations

from dataclasses import dataclass, field

from playwright.async_api import Browser, Page, expect

PATIENCE_MILLISECONDS = 60_000
LOGINS = 3


@dataclass
class Desk:
    """Browsers of people, and what any of them has complained about."""

    browser: Browser
    url: str
    passwords: dict[str, str]
    complaints: list[str] = field(default_factory=list)

    async def page(self, *, width: int = 1280) -> Page:
        """A page of a new browser, whose complaints are kept."""
        context = await self.browser.new_context(
            locale="en-US", viewport={"width": width, "height": 860}, reduced_motion="reduce"
        )
        page = await context.new_page()
        page.set_default_timeout(PATIENCE_MILLISECONDS)
        page.on("console", lambda said: self.complaints.append(f"{said.type}: {said.text}"))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self._look_at(request.url))
        return page

    async def log_in(self, username: str) -> Page:
        """A browser in which somebody has logged in by keyboard alone."""
        page = await self.page()
        await self.enter(page, username)
        return page

    async def enter(self, page: Page, username: str) -> None:
        """Log in by keyboard alone."""
        for _ in range(LOGINS):
            await page.goto(f"{self.url}/login")
            # What is typed before a field has the focus is lost.
            await expect(page.locator("#username")).to_be_focused(timeout=PATIENCE_MILLISECONDS)
            await page.keyboard.type(username)
            await page.keyboard.press("Tab")
            await expect(page.locator("#password")).to_be_focused(timeout=PATIENCE_MILLISECONDS)
            await page.keyboard.type(self.passwords[username])
            await expect(page.locator("#username")).to_have_value(username)
            await expect(page.locator("#password")).to_have_value(self.passwords[username])
            await page.keyboard.press("Enter")
            shown = page.locator("#page h1, .error").first
            await expect(shown).to_be_visible(timeout=PATIENCE_MILLISECONDS)
            if await page.locator("#page").count():
                return
            # On a machine where everything runs at once, auth may take longer for a password than the dashboard waits.
            await expect(page.locator(".error")).to_contain_text("not possible at the moment")
            self.complaints = [one for one in self.complaints if "503" not in one]
        raise AssertionError(f"{username} cannot log in")

    def _look_at(self, url: str) -> None:
        if not url.startswith((self.url, "data:", "blob:")):
            self.complaints.append(f"a request to {url}")
