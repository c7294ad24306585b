"""Submit: the form of an application, checked as one types and by the API, sent once however often one clicks."""

import asyncio
import hashlib
from collections.abc import Mapping
from time import perf_counter
from typing import Any

import orjson
from dash import Input, Output, State, dcc, html
from dash.exceptions import PreventUpdate
from uuid_utils.compat import uuid7

from services.dashboard.clients.services import Refused, ServiceFailed
from services.dashboard.here import here
from services.dashboard.pages.page import Page
from services.dashboard.parts.heading import heading
from services.dashboard.parts.input import text
from services.dashboard.parts.questions import by_name, field_id, names, read, sections
from services.dashboard.parts.states import failure, note
from services.dashboard.sessions.callbacks import Callbacks

SCOPE = "applications:submit"
SEARCHABLE_SECONDS = 4.0
"""For this long it is watched when what was submitted can be found."""
_LOOK_SECONDS = 0.05
_FLAGS = ("telephone", "foreign_worker")


async def layout(_: Mapping[str, str], __: Mapping[str, str]) -> Any:
    """An empty form, with the products of today."""
    t = here().texts
    products = (await here().call("intake", "GET", "/products")).body
    return [
        heading(
            t("New application"),
            t("What has a star must be filled in. What you type stays in this tab until you submit it."),
        ),
        # One key a form: whoever sends it twice submits once.
        dcc.Store(id="apply-key", data=str(uuid7())),
        dcc.Store(id="apply-party"),
        dcc.Store(id="apply-products", data={one["code"]: one["currency"] for one in products}),
        html.Div(
            id="apply-form",
            children=[
                *sections(products, {}),
                html.Div(id="apply-told", role="status"),
                html.Div(
                    html.Button(
                        t("Submit the application"),
                        id="apply-submit",
                        n_clicks=0,
                        type="button",
                        className="button primary",
                    ),
                    className="buttons",
                ),
            ],
        ),
    ]


def register(callbacks: Callbacks) -> None:
    """The callbacks: check what is typed, and submit."""
    values = [Input(field_id(name), "checked" if name in _FLAGS else "value") for name in names()]

    @callbacks.on(
        *(Output(field_id(name), "error") for name in names()),
        Output("apply-told", "children"),
        Output("apply-party", "data"),
        Input("apply-submit", "n_clicks"),
        *(State(one.component_id, one.component_property) for one in values),
        State("apply-key", "data"),
        State("apply-party", "data"),
        State("apply-products", "data"),
        prevent_initial_call=True,
        running=[(Output("apply-submit", "disabled"), True, False)],
        scope=SCOPE,
    )
    async def submit(clicks: Any, *sent: Any) -> tuple[Any, ...]:
        if not clicks:
            raise PreventUpdate
        *answers, key, party, products = sent
        details, body, wrong = read(dict(zip(names(), answers, strict=True)))
        known = party if isinstance(party, dict) else {}
        if wrong:
            return (*_errors(wrong), _correct(), known)
        currency = products.get(body["product_code"]) if isinstance(products, dict) else None
        body["currency"] = text(currency, 3)
        started = perf_counter()
        try:
            known = await _party(details, known, text(key, 64))
            body["parties"] = [{"party_id": known["id"], "role": "borrower"}]
            made = await here().call(
                "intake", "POST", "/applications", json=body, headers={"Idempotency-Key": text(key, 64)}
            )
        except ServiceFailed as error:
            return (*_errors({}), failure(error), known)
        except Refused as error:
            wrong = by_name(error.errors)
            said = wrong.pop("other", None) or (None if wrong else error.detail or error.title)
            return (*_errors(wrong), _correct(said), known)
        return (*_errors({}), await _submitted(made.body["id"], started), known)


PAGE = Page("/apply", "New application", frozenset({SCOPE}), layout, register, section="Lending", icon="plus")


async def _party(details: dict[str, Any], known: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The borrower on record: the one of the attempt before where nothing about them was changed.

    `key` is the form's. An answer that was lost makes no second party: what is sent again has the same key.
    """
    digest = hashlib.sha256(orjson.dumps(details, option=orjson.OPT_SORT_KEYS)).hexdigest()
    if known.get("digest") == digest and isinstance(known.get("id"), str):
        return dict(known)
    made = await here().call(
        "intake",
        "POST",
        "/parties",
        json={"kind": "person", **details},
        headers={"Idempotency-Key": f"{key[:40]}-{digest[:16]}"},
    )
    return {"id": made.body["id"], "digest": digest}


async def _submitted(application_id: str, started: float) -> Any:
    t = here().texts
    milliseconds: int | None = None
    while milliseconds is None and perf_counter() - started < SEARCHABLE_SECONDS:
        try:
            await here().call("search", "GET", f"/applications/{application_id}")
            milliseconds = round((perf_counter() - started) * 1000)
        except Refused:
            await asyncio.sleep(_LOOK_SECONDS)
        except ServiceFailed:
            break
    message = (
        t("Submitted. It can be found in search within seconds.")
        if milliseconds is None
        else t("Submitted. It can be found in search after {count} ms.", count=milliseconds)
    )
    links = html.Div(
        [
            dcc.Link(t("Open it"), href=f"/applications/{application_id}", className="button small"),
            html.A(t("Make another one"), href="/apply", className="button small", **{"data-forget": ""}),
        ],
        className="buttons",
    )
    return note([html.Strong(message), links], color="teal")


def _errors(wrong: Mapping[str, str]) -> list[Any]:
    return [wrong.get(name) for name in names()]


def _correct(said: str | None = None) -> Any:
    return note(said or here().texts("Please correct what is marked"), color="orange")
