"""Search: applications as one types, counted by facets, block after block by key, with what was found marked."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import dash_mantine_components as dmc
from dash import ClientsideFunction, Input, Output, Patch, State, dcc, html
from dash.exceptions import PreventUpdate

from services.dashboard.clients.services import Refused, ServiceFailed
from services.dashboard.here import here
from services.dashboard.pages.page import Page
from services.dashboard.parts.heading import heading
from services.dashboard.parts.input import choice, choices, number_text, text
from services.dashboard.parts.states import empty, failure, note, refusal
from services.dashboard.parts.table import cell, marked, short, table, to_record
from services.dashboard.parts.words import CHANNELS, NOTHING, STATES, badge, word
from services.dashboard.sessions.callbacks import Callbacks
from services.lake.domain.money import MINOR_UNITS

SCOPE = "applications:read"
BLOCK = 50
DEBOUNCE_MILLISECONDS = 200
ORDERS: Mapping[str, str] = {
    "-submitted_at": "Newest first",
    "submitted_at": "Oldest first",
    "-amount": "Largest amount first",
    "amount": "Smallest amount first",
    "-score": "Highest score first",
    "score": "Lowest score first",
}
FACETS: Mapping[str, str] = {"state": "State", "product": "Product", "channel": "Channel"}
_NEWEST = "-submitted_at"
_CURRENCY = "DEM"
"""That of the sample applications, until the reader chooses another one."""


async def layout(_: Mapping[str, str], query: Mapping[str, str]) -> Any:
    """The page with the filters that its URL names."""
    t = here().texts
    currency = choice(query.get("currency"), MINOR_UNITS, _CURRENCY)
    return [
        heading(
            t("Search"), t("Submitted applications that you may see, by name, e-mail, purpose or number.")
        ),
        html.Div(
            className="search",
            children=[
                html.Aside(
                    className="filters card",
                    **{"aria-label": t("Filters")},
                    children=[
                        *(
                            dmc.CheckboxGroup(
                                id=f"search-{facet}",
                                label=t(title),
                                value=query[facet].split(",") if query.get(facet) else [],
                                children=[],
                                className="facet",
                            )
                            for facet, title in FACETS.items()
                        ),
                        html.Fieldset(
                            className="amounts",
                            children=[
                                html.Legend(t("Amount")),
                                dmc.TextInput(
                                    id="search-amount_min",
                                    value=query.get("amount_min", ""),
                                    placeholder=t("from"),
                                    inputProps={"aria-label": t("Amount from"), "inputMode": "decimal"},
                                    debounce=DEBOUNCE_MILLISECONDS,
                                    size="sm",
                                ),
                                dmc.TextInput(
                                    id="search-amount_max",
                                    value=query.get("amount_max", ""),
                                    placeholder=t("to"),
                                    inputProps={"aria-label": t("Amount to"), "inputMode": "decimal"},
                                    debounce=DEBOUNCE_MILLISECONDS,
                                    size="sm",
                                ),
                                dmc.Select(
                                    id="search-currency",
                                    data=sorted(MINOR_UNITS),
                                    searchable=True,
                                    value=currency,
                                    allowDeselect=False,
                                    **{"aria-label": t("Currency")},
                                    size="sm",
                                ),
                            ],
                        ),
                    ],
                ),
                html.Div(
                    className="results",
                    children=[
                        html.Div(
                            className="bar",
                            children=[
                                dmc.TextInput(
                                    id="search-q",
                                    value=query.get("q", ""),
                                    placeholder=t("Name, e-mail, purpose or number"),
                                    inputProps={"aria-label": t("Search for"), "data-autofocus": "true"},
                                    debounce=DEBOUNCE_MILLISECONDS,
                                    size="md",
                                    className="grow",
                                ),
                                dmc.Select(
                                    id="search-sort",
                                    data=[{"value": code, "label": t(name)} for code, name in ORDERS.items()],
                                    value=choice(query.get("sort"), ORDERS, _NEWEST),
                                    allowDeselect=False,
                                    **{"aria-label": t("Order")},
                                    size="md",
                                ),
                            ],
                        ),
                        html.Div(id="search-summary", className="summary", role="status"),
                        html.Div(id="search-found", children=html.Div(className="loading", role="status")),
                        html.Div(id="search-more-place"),
                        dcc.Store(id="search-cursor"),
                        dcc.Store(id="search-query"),
                        html.Div(id="search-url", hidden=True),
                    ],
                ),
            ],
        ),
    ]


def register(callbacks: Callbacks) -> None:
    """The callbacks: find, and go on behind the last row."""

    @callbacks.on(
        Output("search-found", "children"),
        Output("search-summary", "children"),
        *(Output(f"search-{facet}", "children") for facet in FACETS),
        Output("search-cursor", "data"),
        Output("search-query", "data"),
        Input("search-q", "value"),
        *(Input(f"search-{facet}", "value") for facet in FACETS),
        Input("search-amount_min", "value"),
        Input("search-amount_max", "value"),
        Input("search-currency", "value"),
        Input("search-sort", "value"),
        scope=SCOPE,
    )
    async def find(*values: Any) -> tuple[Any, ...]:
        q, state, product, channel, least, most, currency, sort = values
        chosen = {"state": choices(state), "product": choices(product), "channel": choices(channel)}
        parameters = _parameters(
            text(q, 100), chosen, (number_text(least), number_text(most)), currency, sort
        )
        nothing = [_options(facet, [], wanted) for facet, wanted in chosen.items()]
        query = {"url": _url(parameters), "parameters": parameters}
        try:
            answer = await here().call(
                "search",
                "GET",
                "/applications",
                params={**parameters, "facets": ",".join(FACETS), "limit": BLOCK},
            )
        except ServiceFailed as error:
            return failure(error), "", *nothing, None, query
        except Refused as error:
            return _refused(error), "", *nothing, None, query
        page = answer.body
        facets = [
            _options(facet, page["facets"]["counts"].get(facet, []), wanted)
            for facet, wanted in chosen.items()
        ]
        return _found(page), _summary(page, answer.headers), *facets, page["next"], query

    @callbacks.on(Output("search-more-place", "children"), Input("search-cursor", "data"), scope=SCOPE)
    async def offer_more(cursor: Any) -> Any:
        if not cursor:
            return None
        return html.Button(
            here().texts("Show {count} more", count=BLOCK),
            id="search-more",
            className="button more",
            n_clicks=0,
        )

    @callbacks.on(
        Output("search-rows", "children"),
        Output("search-cursor", "data", allow_duplicate=True),
        Input("search-more", "n_clicks"),
        State("search-cursor", "data"),
        State("search-query", "data"),
        prevent_initial_call=True,
        scope=SCOPE,
    )
    async def go_on(clicks: Any, cursor: Any, query: Any) -> tuple[Any, Any]:
        if not clicks or not isinstance(query, dict) or not cursor:
            raise PreventUpdate
        asked = query.get("parameters")
        parameters = {
            **(asked if isinstance(asked, dict) else {}),
            "after": text(cursor, 2000),
            "limit": BLOCK,
        }
        rows = Patch()
        try:
            page = (await here().call("search", "GET", "/applications", params=parameters)).body
        except (ServiceFailed, Refused) as error:
            shown = failure(error) if isinstance(error, ServiceFailed) else refusal(error)
            rows.append(html.Tr(html.Td(shown, colSpan=7)))
            return rows, cursor
        rows.extend([_row(item) for item in page["items"]])
        return rows, page["next"]

    callbacks.in_browser(
        ClientsideFunction("desk", "remember"),
        Output("search-url", "children"),
        Input("search-query", "data"),
    )


PAGE = Page("/search", "Search", frozenset({SCOPE}), layout, register, section="Lending", icon="search")


def _parameters(
    q: str, chosen: Mapping[str, Sequence[str]], amounts: tuple[str, str], currency: Any, sort: Any
) -> dict[str, Any]:
    least, most = amounts
    found: dict[str, Any] = {"q": q} if q else {}
    found |= {facet: list(wanted) for facet, wanted in chosen.items() if wanted}
    found |= {name: value for name, value in (("amount_min", least), ("amount_max", most)) if value}
    if least or most:
        # Amounts of different currencies cannot be compared.
        found["currency"] = choice(currency, MINOR_UNITS, _CURRENCY)
    order = choice(sort, ORDERS, _NEWEST)
    return found if order == _NEWEST else {**found, "sort": order}


def _url(parameters: Mapping[str, Any]) -> str:
    shown = {
        name: ",".join(value) if isinstance(value, list) else value for name, value in parameters.items()
    }
    return f"?{urlencode(shown, safe=',')}" if shown else ""


def _found(page: Mapping[str, Any]) -> Any:
    t = here().texts
    if not page["items"]:
        return empty(t("Nothing was found."), t("Use fewer or shorter words, or take filters away."))
    columns = (
        (t("Number"), "id"),
        (t("Borrower"), ""),
        (t("Purpose"), ""),
        (t("Amount"), "number"),
        (t("Score"), "number"),
        (t("State"), ""),
        (t("Submitted"), "time"),
    )
    return table(
        columns,
        [_row(item) for item in page["items"]],
        caption=t("Applications found"),
        identity="search-rows",
    )


def _row(item: Mapping[str, Any]) -> Any:
    t = here().texts
    return html.Tr(
        [
            cell(to_record(item["id"], short(item["id"])), "id"),
            cell(marked(item["borrower_name"], item["highlights"], "borrower_name")),
            cell([marked(item["purpose"], item["highlights"], "purpose"), html.Small(item["product_code"])]),
            cell(t.money(item["amount"], item["currency"]), "number"),
            cell(NOTHING if item["score"] is None else t.number(item["score"]), "number"),
            cell(badge(STATES, item["state"])),
            cell(t.day(item["submitted_at"][:10]), "time"),
        ],
        className="row",
    )


def _summary(page: Mapping[str, Any], headers: Mapping[str, str]) -> Any:
    t = here().texts
    facets = page["facets"]
    count = t.plural("{count} application", "{count} applications", facets["total"])
    lag = headers.get("replica-lag")
    parts: list[Any] = [html.Strong(t("about {count}", count=count) if facets["approximate"] else count)]
    if lag is not None:
        seconds = float(lag)
        parts.append(
            html.Span(
                t("as of a moment ago") if seconds < 5 else t("{count} s behind", count=round(seconds)),
                className="fresh" if seconds < 5 else "stale",
            )
        )
    parts.extend(
        html.Span(t("also looked for {words}", words=", ".join(one["meant"])), className="corrected")
        for one in page["corrected"] or ()
    )
    return parts


def _options(facet: str, counts: Sequence[Mapping[str, Any]], wanted: Sequence[str]) -> list[Any]:
    t = here().texts
    known = {one["value"]: one["count"] for one in counts if one["value"] is not None}
    # What is chosen stays, so that it can be taken away.
    for value in wanted:
        known.setdefault(value, 0)
    return [
        dmc.Checkbox(
            value=value,
            size="xs",
            radius="sm",
            label=html.Span(
                [html.Span(_name(facet, value)), html.Span(t.number(count), className="count")],
                className="option",
            ),
        )
        for value, count in known.items()
    ]


def _name(facet: str, value: str) -> str:
    if facet == "state":
        return here().texts(STATES[value][0]) if value in STATES else value
    return word(CHANNELS, value) if facet == "channel" else value.capitalize()


def _refused(error: Refused) -> Any:
    t = here().texts
    if error.status != 422:
        return refusal(error)
    names = {"amount_min": t("Amount from"), "amount_max": t("Amount to"), "q": t("Search for")}
    said = [f"{names.get(one['pointer'].rpartition('/')[2], '')}: {one['detail']}" for one in error.errors]
    return note(
        html.Ul([html.Li(one) for one in said]), color="orange", title=t("Please correct the filters")
    )
