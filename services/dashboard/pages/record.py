"""The record of an application: what is applied for, the score with its reasons, the decisions, and what to do next."""

import asyncio
from collections.abc import Mapping
from typing import Any

from dash import Input, Output, State, ctx, dcc, html
from dash.exceptions import PreventUpdate

from services.chassis.web.problems import BadRequest
from services.dashboard.clients.services import Refused, ServiceFailed
from services.dashboard.here import here
from services.dashboard.pages import trace
from services.dashboard.pages.page import Page
from services.dashboard.parts.decision import ACTIONS, decision_form, decision_panel
from services.dashboard.parts.dossier import left_side, right_side
from services.dashboard.parts.heading import heading
from services.dashboard.parts.input import text
from services.dashboard.parts.states import failure, guarded, note, refusal
from services.dashboard.parts.table import short
from services.dashboard.parts.words import STATES, badge
from services.dashboard.sessions.callbacks import Callbacks

READ = "applications:read"
AUDIT = "audit:read"
MOST_TRACES = 10
DECIDE = "applications:decide"
_BUTTONS = ("claim", "release", "confirm", "book")


async def layout(parts: Mapping[str, str], _: Mapping[str, str]) -> Any:
    """The whole record, read from where it is written."""
    application_id = parts["application_id"]
    return [
        dcc.Store(id="record-id", data=application_id),
        html.Div(id="record", children=await _record(application_id)),
    ]


def register(callbacks: Callbacks) -> None:
    """The callbacks: choose an outcome, and do what the buttons say."""

    @callbacks.on(
        Output("decision-form", "children"),
        Output("decision-outcome", "data"),
        *(Input(f"decision-{outcome}", "n_clicks") for outcome in ACTIONS),
        prevent_initial_call=True,
        scope=DECIDE,
    )
    async def choose(*clicks: Any) -> tuple[Any, str]:
        chosen = str(ctx.triggered_id or "").removeprefix("decision-")
        if chosen not in ACTIONS or not any(clicks):
            raise PreventUpdate
        try:
            reasons = (await here().call("approval", "GET", "/reason-codes")).body
        except ServiceFailed as error:
            return failure(error), ""
        except Refused as error:
            return refusal(error), ""
        return decision_form(chosen, reasons), chosen

    @callbacks.on(
        Output("record", "children"),
        *(Input(f"record-{button}", "n_clicks") for button in _BUTTONS),
        State("record-id", "data"),
        State("record-revision", "data"),
        State("decision-outcome", "data"),
        State("decision-reason", "value"),
        State("decision-comment", "value"),
        prevent_initial_call=True,
        scope=DECIDE,
    )
    async def act(*values: Any) -> Any:
        clicks, (application_id, revision, outcome, reason, comment) = values[:4], values[4:]
        button = str(ctx.triggered_id or "").removeprefix("record-")
        if button not in _BUTTONS or not any(clicks):
            raise PreventUpdate
        identifier = text(application_id, 36)
        if PAGE.matches(f"/applications/{identifier}") is None:
            raise BadRequest("Name an application by its id.")
        asked = {
            "outcome": text(outcome, 16),
            "reason_code": text(reason, 64),
            "comment": text(comment, 1000),
        }
        told = await _act(button, identifier, text(revision, 20), asked)
        return await _record(identifier, told)


PAGE = Page("/applications/{application_id}", "Application", frozenset({READ}), layout, register)


async def _act(button: str, application_id: str, revision: str, asked: Mapping[str, str]) -> Any:
    """Do what a button says; gives what the page then tells."""
    t, path = here().texts, f"/applications/{application_id}"
    precondition = {"If-Match": revision}
    try:
        if button == "claim":
            await here().call("approval", "PUT", f"{path}/claim")
            return note(t("It is yours for now: others see that you work on it."), color="teal")
        if button == "release":
            await here().call("approval", "DELETE", f"{path}/claim")
            return note(t("It is free again."), color="teal")
        if button == "book":
            await here().call("approval", "POST", f"{path}/booking", headers=precondition)
            return note(t("The loan is booked."), color="teal")
        decided = {name: value for name, value in asked.items() if value}
        await here().call("approval", "POST", f"{path}/decisions", headers=precondition, json=decided)
        return note(t("Your decision is recorded."), color="teal")
    except ServiceFailed as error:
        return failure(error)
    except Refused as error:
        return note(_why(error), color="orange", title=t("That was not possible"))


def _why(error: Refused) -> Any:
    t = here().texts
    if error.status == 412:
        return t("The application has changed meanwhile. This is how it is now; decide again.")
    if "claimed_until" in error.extensions:
        return t(
            "Another person works on it until {time}.", time=t.time(str(error.extensions["claimed_until"]))
        )
    if error.extensions.get("reason") == "parties_changed":
        return t(
            "A party has changed since the submission. Return the application, so that its maker submits it again."
        )
    if error.errors:
        return html.Ul([html.Li(one["detail"]) for one in error.errors])
    return error.detail or error.title


async def _record(application_id: str, told: Any = None) -> Any:
    t, path = here().texts, f"/applications/{application_id}"
    try:
        answer, lake = await asyncio.gather(
            here().call("approval", "GET", path), here().call("search", "GET", f"/lake{path}")
        )
    except ServiceFailed as error:
        return [heading(t("Application")), failure(error)]
    except Refused as error:
        return [heading(t("Application")), refusal(error)]
    record, whole = answer.body, lake.body
    may_trace = {AUDIT, trace.SCOPE} <= here().person.scopes
    traces = (
        await guarded(_traces(application_id), html.H2(t("Traces of its changes"))) if may_trace else None
    )
    version = record["versions"][-1] if record["versions"] else None
    borrower = next((one["full_name"] for one in record["parties"] if one["role"] == "borrower"), None)
    return [
        dcc.Store(id="record-revision", data=answer.revision),
        heading(
            [borrower or t("Application"), badge(STATES, record["state"], size="lg")],
            [short(record["id"]), " · ", version["purpose"]] if version else short(record["id"]),
            beside=html.Div(
                [
                    html.Strong(t.money(version["amount"], version["currency"])),
                    html.Span(t.plural("{count} month", "{count} months", version["term_months"])),
                ],
                className="figure",
            )
            if version
            else None,
        ),
        html.Div(told, role="status"),
        html.Div(
            className="record",
            children=[
                html.Div(left_side(record, whole)),
                html.Div(
                    [
                        decision_panel(record),
                        *right_side(record, whole),
                        traces and html.Section(traces, className="card"),
                    ]
                ),
            ],
        ),
    ]


async def _traces(application_id: str) -> list[Any]:
    """The transactions that changed it, newest first, each with its trace."""
    t = here().texts
    items = (await here().call("search", "GET", f"/applications/{application_id}/audit")).body["items"]
    changes: dict[str, list[Mapping[str, Any]]] = {}
    for one in items:
        if one["trace_id"]:
            changes.setdefault(one["trace_id"], []).append(one)
    title = html.H2(t("Traces of its changes"))
    if not changes:
        return [title, html.P(t("Its changes were made without a trace."), className="hint")]
    newest = list(reversed(changes.items()))[:MOST_TRACES]
    return [
        title,
        html.Ul(
            className="history",
            children=[
                html.Li(
                    [
                        html.Div(trace.to_trace(trace_id, t.time(found[0]["captured_at"]))),
                        html.Small(t.plural("{count} change", "{count} changes", len(found))),
                    ]
                )
                for trace_id, found in newest
            ],
        ),
    ]
