"""The panel of a record in which an officer decides: what is due, why not by this person, and the form."""

from collections.abc import Mapping, Sequence
from typing import Any

import dash_mantine_components as dmc
from dash import dcc, html

from services.dashboard.here import here
from services.dashboard.parts.words import STAGE_STATUS, badge, stage

ACTIONS: Mapping[str, tuple[str, str, str]] = {
    "approve": ("Approve", "a", "primary"),
    "reject": ("Reject", "r", "danger"),
    "return": ("Return", "e", ""),
}
"""The outcomes: the word on the button, its key, its look."""
_DECIDE = "applications:decide"
_BOOK = "applications:book"


def decision_panel(record: Mapping[str, Any]) -> Any:
    """What this person can do with the application, and who else must. A button that is not theirs is hidden."""
    t, person = here().texts, here().person
    decides = _DECIDE in person.scopes
    obstacle = obstacle_for(record) if decides else None
    open_now = decides and record["due_stage"] is not None and obstacle is None
    books = _BOOK in person.scopes and record["state"] == "APPROVED"
    mine = record["claimed_by"] == str(person.id)
    claimed = record["claimed_by"] is not None
    return html.Section(
        className="card decide",
        children=[
            html.H2(t("Decision")),
            _stages(record),
            dmc.Alert(obstacle, color="blue", variant="light", title=t("Four eyes")) if obstacle else None,
            html.P(_claim_text(record), className="hint") if claimed or open_now else None,
            html.Div(
                className="buttons",
                children=[
                    _button("record-claim", t("Claim it"), hidden=not open_now or claimed),
                    _button("record-release", t("Release it"), hidden=not (open_now and mine)),
                    *(
                        _button(f"decision-{outcome}", t(title), look, key, hidden=not open_now)
                        for outcome, (title, key, look) in ACTIONS.items()
                    ),
                    _button("record-book", t("Book the loan"), "primary", "b", hidden=not books),
                ],
            ),
            html.Div(id="decision-form", children=decision_form(None, [])),
            dcc.Store(id="decision-outcome"),
        ],
    )


def obstacle_for(record: Mapping[str, Any]) -> str | None:
    """Why this officer cannot make the decision that is due; None when they can, or none is due."""
    t, person = here().texts, here().person
    due = record["due_stage"]
    if due is None:
        return None
    me = str(person.id)
    if any(version["maker"] == me for version in record["versions"]) or record["created_by"] == me:
        return t("You made this application, so somebody else decides on it.")
    decided = next((one for one in record["stages"] if one["decided_by"] == me), None)
    if decided is not None:
        return t(
            "You have decided at the stage {stage}; another person decides at the next.",
            stage=stage(decided["stage"]),
        )
    if due not in person.roles:
        return t("The stage that is due is for the role {role}.", role=stage(due))
    return None


def decision_form(outcome: str | None, reasons: Sequence[Mapping[str, Any]]) -> Any:
    """The form of an outcome: reasons where they are mandatory, a comment, and the button that decides."""
    t = here().texts
    fitting = [one for one in reasons if outcome in one["outcomes"]]
    title = t("Confirm: {outcome}", outcome=t(ACTIONS[outcome][0]).lower()) if outcome else ""
    return html.Div(
        hidden=outcome is None,
        className="decision-form",
        children=[
            html.Div(
                dmc.Select(
                    id="decision-reason",
                    label=t("Reason"),
                    withAsterisk=True,
                    data=[
                        {"value": one["code"], "label": one["labels"].get(t.language, one["labels"]["en"])}
                        for one in fitting
                    ],
                    value=None,
                    placeholder=t("Choose a reason"),
                    size="sm",
                ),
                hidden=not fitting,
            ),
            dmc.Textarea(
                id="decision-comment",
                label=t("Comment"),
                inputProps={"maxLength": 1000},
                autosize=True,
                minRows=2,
                size="sm",
            ),
            html.Button(title, id="record-confirm", n_clicks=0, className="button primary", type="button"),
        ],
    )


def _button(identity: str, title: str, look: str = "", key: str = "", *, hidden: bool) -> Any:
    named = {"data-key": key, "aria-keyshortcuts": key} if key and not hidden else {}
    label: Any = [title, html.Kbd(key.upper())] if key else title
    return html.Button(
        label, id=identity, n_clicks=0, hidden=hidden, className=f"button {look}", type="button", **named
    )


def _stages(record: Mapping[str, Any]) -> Any:
    t, me = here().texts, str(here().person.id)
    if not record["stages"]:
        return html.P(t("No decision is due."), className="hint")
    return html.Ol(
        className="stages",
        children=[
            html.Li(
                [
                    html.Span(stage(one["stage"])),
                    html.Span(t("by you"), className="quiet-text") if one["decided_by"] == me else None,
                    badge(STAGE_STATUS, one["status"]),
                ]
            )
            for one in record["stages"]
        ],
    )


def _claim_text(record: Mapping[str, Any]) -> str:
    t = here().texts
    if record["claimed_by"] is None:
        return t("Nobody works on it. Claim it while you read, so that nobody else starts.")
    until = t.time(record["claimed_until"])
    if record["claimed_by"] == str(here().person.id):
        return t("You work on it until {time}; reading it again extends that.", time=until)
    return t("Another person works on it until {time}.", time=until)
