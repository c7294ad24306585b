"""A lending team in a browser: submit, approve under four eyes, find. Nothing of it calls another host."""

from __future__ import annotations

import asyncio
import os
import secrets
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.e2e.browsing import PATIENCE_MILLISECONDS, Desk

pytestmark = pytest.mark.skipif(os.environ.get("BROWSER") == "off", reason="BROWSER=off")

CHOICES = {
    "checking_account": "No checking account",
    "savings": "500 up to 1,000",
    "credit_history": "Existing credits paid back duly",
    "installment_rate_percent_class": "2",
    "other_installment_plans": "None",
    "other_debtors": "None",
    "property": "Real estate",
    "job": "Skilled",
    "employment_since": "7 years or more",
    "housing": "Own home",
    "residence_since": "4 years or more",
    "channel": "Branch",
}
TYPED = {
    "birth_date": "1986-04-01",
    "amount": "4,500",
    "term_months": "12",
    "purpose": "radio/television",
    "existing_credits": "1",
    "dependants": "1",
}


async def choose(page: Page, name: str, label: str) -> None:
    """Choose in a list by keyboard."""
    await page.locator(f"#apply-{name}").focus()
    await page.keyboard.press("Enter")
    await page.get_by_role("option", name=label, exact=True).click()


async def submit(page: Page, name: str) -> str:
    """Fill in the form, and click twice; the path of what was submitted."""
    await page.get_by_role("link", name="New application", exact=True).first.click()
    await page.locator("#apply-full_name").fill(name)
    for question, answer in TYPED.items():
        await page.locator(f"#apply-{question}").fill(answer)
    await page.locator("#apply-product_code").focus()
    await page.keyboard.press("Enter")
    await page.get_by_role("option").filter(has_text="Consumer loan").click()
    for question, label in CHOICES.items():
        await choose(page, question, label)
    await page.locator("#apply-submit").dblclick()
    await expect(page.get_by_text("It can be found in search after")).to_be_visible(
        timeout=PATIENCE_MILLISECONDS
    )
    path = await page.get_by_role("link", name="Open it").get_attribute("href")
    assert path is not None
    return path


async def approve(page: Page, path: str, url: str) -> None:
    """Approve by keys alone."""
    await page.goto(url + path)
    await expect(page.get_by_text("Due now")).to_be_visible(timeout=PATIENCE_MILLISECONDS)
    await page.keyboard.press("a")
    confirm = page.locator("#record-confirm")
    # Before the form is open, Enter would press the button that opens it once more.
    await expect(confirm).to_be_visible(timeout=PATIENCE_MILLISECONDS)
    await confirm.press("Enter")
    await expect(page.get_by_text("Your decision is recorded.")).to_be_visible(timeout=PATIENCE_MILLISECONDS)


@pytest.mark.timeout(600)
async def test_an_application_is_submitted_approved_by_two_and_found(desk: Desk) -> None:
    name = f"<b>Browser</b> {secrets.token_hex(4)} Nguyễn"
    maker = await desk.log_in("maker1")
    path = await submit(maker, name)

    # Once, though the button was clicked twice.
    await maker.goto(f"{desk.url}/search?q={name.split()[1]}")
    await expect(maker.locator("#search-rows tr")).to_have_count(1, timeout=PATIENCE_MILLISECONDS)
    # What a customer is called is text, whatever stands in it.
    await expect(maker.locator("#search-rows")).to_contain_text("<b>Browser</b>")
    # The maker sees the record, and no button that decides.
    await maker.goto(desk.url + path)
    await expect(maker.locator("#record h1")).to_contain_text(name, timeout=PATIENCE_MILLISECONDS)
    await expect(maker.locator("#decision-approve")).to_be_hidden()

    officer = await desk.log_in("officer1")
    await approve(officer, path, desk.url)
    # The band has a second stage, and it is not for the same person.
    await expect(officer.get_by_text("You have decided at the stage Officer")).to_be_visible()
    await expect(officer.locator("#decision-approve")).to_be_hidden()
    senior = await desk.log_in("senior1")
    await approve(senior, path, desk.url)
    await expect(senior.locator("#record h1")).to_contain_text("Approved")

    auditor = await desk.log_in("auditor")

    async def found() -> str:
        await auditor.goto(f"{desk.url}/search?q={name.split()[1]}")
        row = auditor.locator("#search-rows tr")
        await expect(row).to_have_count(1, timeout=PATIENCE_MILLISECONDS)
        return await row.inner_text()

    for _ in range(30):
        if "Approved" in await found():
            break
        await asyncio.sleep(0.5)
    assert "Approved" in await found()
    # As one types, without a page of its own.
    await auditor.locator("#search-q").fill("nobody has this name at all")
    await expect(auditor.get_by_text("Nothing was found.")).to_be_visible(timeout=PATIENCE_MILLISECONDS)
    assert desk.complaints == []


@pytest.mark.timeout(300)
async def test_what_was_typed_is_there_after_the_end_of_the_session(desk: Desk) -> None:
    page = await desk.log_in("maker2")
    await page.goto(f"{desk.url}/apply")
    await page.locator("#apply-full_name").fill("Anna Unfinished")
    await page.locator("#apply-purpose").fill("a boat")
    await page.locator("#apply-purpose").blur()
    cookies = [cookie for cookie in await page.context.cookies() if "session" not in cookie["name"]]
    await page.context.clear_cookies()
    await page.context.add_cookies([_given(cookie) for cookie in cookies])
    await page.locator("#apply-submit").click()
    await expect(page.locator("#session-ended")).to_be_visible(timeout=PATIENCE_MILLISECONDS)
    await expect(page.locator("#apply-full_name")).to_have_value("Anna Unfinished")
    desk.complaints.clear()
    await page.goto(f"{desk.url}/login?next=/apply")
    await page.locator("#username").fill("maker2")
    await page.locator("#password").fill(desk.passwords["maker2"])
    await page.keyboard.press("Enter")
    await expect(page.locator("#apply-full_name")).to_have_value(
        "Anna Unfinished", timeout=PATIENCE_MILLISECONDS
    )
    await expect(page.locator("#apply-purpose")).to_have_value("a boat")
    assert desk.complaints == []


@pytest.mark.timeout(300)
async def test_more_of_what_was_found_follows_on_demand(desk: Desk) -> None:
    page = await desk.log_in("auditor")
    await page.goto(f"{desk.url}/search")
    rows = page.locator("#search-rows tr")
    more = page.locator("#search-more")
    await expect(more).to_be_visible(timeout=PATIENCE_MILLISECONDS)
    first = await rows.count()
    await more.click()
    await expect(rows).not_to_have_count(first, timeout=PATIENCE_MILLISECONDS)
    links = await page.locator("#search-rows a[href^='/applications/']").evaluate_all(
        "all => all.map(a => a.href)"
    )
    assert first < len(set(links)) == len(links) <= 2 * first
    assert desk.complaints == []


def _given(cookie: Any) -> Any:
    return {name: cookie[name] for name in ("name", "value", "domain", "path")}
