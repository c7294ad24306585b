"""Approve: the queue of an officer, oldest first, with what is claimed and what changed since the last version."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import dash_mantine_components as dmc
from dash import Input, Output, html

from services.dashboard.clients.services import Refused, ServiceFailed
from services.dashboard.here import here
from services.dashboard.pages.page import Page
from services.dashboard.parts.heading import heading
from services.dashboard.parts.input import choice
from services.dashboard.parts.states import empty, failure, refusal
from services.dashboard.parts.table import cell, short, table, to_record
from services.dashboard.parts.words import NOTHING, STATES, badge, stage, word
from services.dashboard.sessions.callbacks import Callbacks

SCOPE = "applications:decide"
MOST = 100
LATE_HOURS = 24
OVERDUE_HOURS = 72
ORDERS: Mapping[str, str] = {
    "-age": "Oldest first",
    "age": "Newest first",
    "-amount": "Largest amount first",
    "amount": "Smallest amount first",
    "score": "Lowest score first",
    "-score": "Highest score first",
}
CLAIMED: Mapping[str, str] = {"": "All", "nobody": "Free", "mine": "Mine", "others": "Of others"}
KEYS_HINT = "J and K walk through the rows, Enter opens one."


async def layout(_: Mapping[str, str], query: Mapping[str, str]) -> Any:
    """The queue, with the filters that its URL names."""
    t = here().texts
    return [
        heading(
            t("Approve"),
            t(
                "Applications that wait for your decision. Your own, and those you have decided on, are with others."
            ),
        ),
        html.Div(id="queue-counts", className="tiles"),
        html.Div(
            className="bar",
            children=[
                dmc.SegmentedControl(
                    id="queue-claimed",
                    data=[{"value": code or "all", "label": t(name)} for code, name in CLAIMED.items()],
                    value=choice(query.get("claimed"), CLAIMED, "") or "all",
                    size="sm",
                ),
                html.Div(t(KEYS_HINT), className="hint grow"),
                dmc.Select(
                    id="queue-sort",
                    data=[{"value": code, "label": t(name)} for code, name in ORDERS.items()],
                    value=choice(query.get("sort"), ORDERS, "-age"),
                    allowDeselect=False,
                    **{"aria-label": t("Order")},
                    size="sm",
                ),
            ],
        ),
        html.Div(id="queue-rows", children=html.Div(className="loading", role="status")),
    ]


def register(callbacks: Callbacks) -> None:
    """The callback that reads the queue."""

    @callbacks.on(
        Output("queue-rows", "children"),
        Output("queue-counts", "children"),
        Input("queue-claimed", "value"),
        Input("queue-sort", "value"),
        scope=SCOPE,
    )
    async def read(claimed: Any, sort: Any) -> tuple[Any, Any]:
        parameters = {"sort": choice(sort, ORDERS, "-age"), "limit": MOST}
        if wanted := choice(claimed, CLAIMED, ""):
            parameters["claimed"] = wanted
        try:
            summary, page = (
                answer.body
                for answer in await asyncio.gather(
                    here().call("approval", "GET", "/queue/summary"),
                    here().call("approval", "GET", "/queue", params=parameters),
                )
            )
        except ServiceFailed as error:
            return failure(error), None
        except Refused as error:
            return refusal(error), None
        return _rows(page), _counts(summary)


PAGE = Page("/approve", "Approve", frozenset({SCOPE}), layout, register, section="Lending", icon="approve")


def _counts(summary: Mapping[str, Any]) -> list[Any]:
    t = here().texts
    largest = sorted(summary["waiting"], key=lambda one: -one["count"])[:3]
    return [
        _tile(t("Waiting"), t.number(summary["count"]), t("for you and your colleagues")),
        *(
            _tile(
                f"{stage(one['stage'])} · {word({}, one['band'])}",
                t.number(one["count"]),
                t("oldest {age}", age=t.hours(one["oldest_hours"])),
            )
            for one in largest
        ),
    ]


def _tile(title: str, value: str, below: str) -> Any:
    return html.Div(
        [html.Span(title, className="name"), html.Strong(value), html.Span(below)], className="tile"
    )


def _rows(page: Mapping[str, Any]) -> Any:
    t = here().texts
    if not page["items"]:
        return empty(
            t("Nothing waits for you."), t("New applications stand here as soon as they are submitted.")
        )
    columns = (
        (t("Number"), "id"),
        (t("Waiting for"), ""),
        (t("Borrower"), ""),
        (t("Purpose"), ""),
        (t("Amount"), "number"),
        (t("Score"), "number"),
        (t("Age"), "number"),
        (t("Worked on by"), ""),
    )
    shown = table(columns, [_row(item) for item in page["items"]], caption=t("Applications that wait"))
    more = page["next"] is not None
    return [shown, html.P(t("The first {count} are shown.", count=MOST), className="hint") if more else None]


def _row(item: Mapping[str, Any]) -> Any:
    t = here().texts
    return html.Tr(
        [
            cell([to_record(item["id"], short(item["id"])), _changes(item)], "id"),
            cell([html.Div(stage(item["stage"])), badge(STATES, item["state"], size="sm")]),
            cell(item["borrower"] or html.Span(t("hidden"), className="masked")),
            cell([item["purpose"], html.Small(item["product_code"])]),
            cell(
                [t.money(item["amount"], item["currency"]), html.Small(_months(item["term_months"]))],
                "number",
            ),
            cell(NOTHING if item["score"] is None else t.number(item["score"]), "number"),
            cell(html.Span(t.hours(item["age_hours"]), className=_urgency(item["age_hours"])), "number"),
            cell(_claim(item)),
        ],
        className="row",
    )


def _months(months: int) -> str:
    return here().texts.plural("{count} month", "{count} months", months)


def _changes(item: Mapping[str, Any]) -> Any:
    t = here().texts
    changes: Sequence[Mapping[str, Any]] = item["changes"]
    if not changes:
        return None
    return html.Small(t("version {number}: {count} changed", number=item["version"], count=len(changes)))


def _urgency(hours: float) -> str:
    return "age overdue" if hours >= OVERDUE_HOURS else "age late" if hours >= LATE_HOURS else "age"


def _claim(item: Mapping[str, Any]) -> Any:
    t = here().texts
    if item["claimed_by"] is None:
        return html.Span(t("free"), className="quiet-text")
    mine = item["claimed_by"] == str(here().person.id)
    return dmc.Badge(
        t("you") if mine else t("another person"),
        color="teal" if mine else "gray",
        variant="light",
        radius="sm",
        tt="none",
    )
