"""My applications: what a maker has made, drafts included, the newest first."""

from collections.abc import Mapping
from typing import Any

from dash import dcc, html

from services.dashboard.here import here
from services.dashboard.pages.page import Page
from services.dashboard.parts.heading import heading
from services.dashboard.parts.states import empty
from services.dashboard.parts.table import cell, short, table, to_record
from services.dashboard.parts.words import NOTHING, STATES, badge

SCOPE = "applications:submit"
MOST = 100


async def layout(_: Mapping[str, str], __: Mapping[str, str]) -> Any:
    """The list."""
    t = here().texts
    page = (await here().call("intake", "GET", "/applications", params={"mine": "true", "limit": MOST})).body
    new = dcc.Link(t("New application"), href="/apply", className="button primary")
    title = heading(
        t("My applications"), t("Your drafts and what you have submitted, the newest first."), beside=new
    )
    if not page["items"]:
        return [title, empty(t("You have no applications yet."))]
    columns = (
        (t("Number"), "id"),
        (t("Purpose"), ""),
        (t("Amount"), "number"),
        (t("Term"), "number"),
        (t("Score"), "number"),
        (t("State"), ""),
        (t("Created"), "time"),
    )
    shown = table(columns, [_row(item) for item in page["items"]], caption=t("My applications"))
    more = page["next"] is not None
    return [
        title,
        shown,
        html.P(t("The first {count} are shown.", count=MOST), className="hint") if more else None,
    ]


PAGE = Page("/applications", "My applications", frozenset({SCOPE}), layout, section="Lending", icon="list")


def _row(item: Mapping[str, Any]) -> Any:
    t = here().texts
    return html.Tr(
        [
            cell(to_record(item["id"], short(item["id"])), "id"),
            cell([item["purpose"], html.Small(item["product_code"])]),
            cell(t.money(item["amount"], item["currency"]), "number"),
            cell(t.plural("{count} month", "{count} months", item["term_months"]), "number"),
            cell(NOTHING if item["score"] is None else t.number(item["score"]), "number"),
            cell(badge(STATES, item["state"])),
            cell(t.time(item["created_at"]), "time"),
        ],
        className="row",
    )
