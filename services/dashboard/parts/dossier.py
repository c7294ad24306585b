"""The parts of a record: terms, parties, score with its reasons, profile, changes, decisions and history."""

from collections.abc import Mapping, Sequence
from typing import Any

from dash import html

from services.dashboard.forms.model import shown
from services.dashboard.here import here
from services.dashboard.parts.words import (
    CHANNELS,
    MINUS,
    OUTCOMES,
    PARTY_ROLES,
    ROLES,
    STATES,
    badge,
    stage,
    word,
)


def left_side(record: Mapping[str, Any], whole: Mapping[str, Any]) -> list[Any]:
    """What is applied for, and by whom."""
    versions: Sequence[Mapping[str, Any]] = record["versions"]
    if not versions:
        return [
            _card(here().texts("Terms"), html.P(here().texts("It was never submitted."), className="hint"))
        ]
    version = versions[-1]
    parts = [_terms(record, version), _score(version), _parties(record, whole), _profile(version)]
    return [part for part in (_changes(version), *parts) if part is not None]


def right_side(record: Mapping[str, Any], whole: Mapping[str, Any]) -> list[Any]:
    """What has become of it."""
    return [part for part in (_loan(whole), _decisions(record), _history(record)) if part is not None]


def _card(title: str, *content: Any) -> Any:
    return html.Section([html.H2(title), *content], className="card")


def _facts(facts: Sequence[tuple[str, Any]]) -> Any:
    return html.Dl([html.Div([html.Dt(name), html.Dd(value)]) for name, value in facts], className="facts")


def _terms(record: Mapping[str, Any], version: Mapping[str, Any]) -> Any:
    t = here().texts
    return _card(
        t("Terms"),
        _facts(
            (
                (t("Product"), version["product_code"].capitalize()),
                (t("Amount"), t.money(version["amount"], version["currency"])),
                (t("Term"), t.plural("{count} month", "{count} months", version["term_months"])),
                (t("Purpose"), version["purpose"]),
                (t("Channel"), word(CHANNELS, version["channel"])),
                (t("Band"), word({}, record["band"])),
                (t("Submitted"), t.time(version["submitted_at"])),
                (t("Version"), t.number(version["version"])),
            )
        ),
    )


def _score(version: Mapping[str, Any]) -> Any:
    t = here().texts
    if version["score"] is None:
        return _card(t("Score"), html.P(t("It has no score."), className="hint"))
    reasons = [one for one in version["score_reasons"] if one["points"]]
    largest = max((abs(one["points"]) for one in reasons), default=1)
    return _card(
        t("Score"),
        html.Div(
            [html.Strong(t.number(version["score"])), html.Span(t("500 plus what follows"))],
            className="score",
        ),
        html.Ul(className="reasons", children=[_reason(one, largest) for one in reasons]),
    )


def _reason(reason: Mapping[str, Any], largest: int) -> Any:
    t = here().texts
    label, value = shown(reason["attribute"], reason["value"])
    points = reason["points"]
    return html.Li(
        [
            html.Span([t(label), html.Small(t(value))]),
            html.Span(
                className="scale",
                children=html.Span(
                    className="gain" if points > 0 else "loss",
                    style={"width": f"{round(50 * abs(points) / largest)}%"},
                ),
            ),
            html.Span(f"{'+' if points > 0 else MINUS}{t.number(abs(points))}", className="points"),
        ]
    )


def _parties(record: Mapping[str, Any], whole: Mapping[str, Any]) -> Any:
    t = here().texts
    details = {(one["party_id"], one["role"]): one for one in whole["parties"]}
    rows = []
    for one in record["parties"]:
        more = details.get((one["party_id"], one["role"]), {})
        shown_details = [more[name] for name in ("national_id", "email", "phone") if more.get(name)]
        if more.get("birth_date"):
            shown_details.insert(0, t("born {day}", day=t.day(more["birth_date"])))
        rows.append(
            html.Li(
                [
                    html.Div(
                        [
                            html.Strong(one["full_name"] or t("hidden")),
                            html.Span(word(PARTY_ROLES, one["role"]), className="quiet-text"),
                        ]
                    ),
                    html.Div(" · ".join(shown_details), className="quiet-text") if shown_details else None,
                    html.Div(
                        t("Changed since the submission: {fields}", fields=", ".join(one["changed"])),
                        className="warning",
                    )
                    if one["changed"]
                    else None,
                ]
            )
        )
    return _card(t("Parties"), html.Ul(rows, className="parties"))


def _profile(version: Mapping[str, Any]) -> Any:
    t = here().texts
    if not version["profile"]:
        return None
    facts = []
    for name, value in version["profile"].items():
        label, text = shown(name, value)
        facts.append((t(label), t(text)))
    return _card(t("Profile"), _facts(facts))


def _changes(version: Mapping[str, Any]) -> Any:
    t = here().texts
    if not version["changes"]:
        return None
    return _card(
        t("Changed since the version before"),
        html.Ul(
            className="changes",
            children=[
                html.Li(
                    [
                        html.Span(t(shown(one["attribute"], "")[0])),
                        html.Del(one["before"]),
                        html.Ins(one["after"]),
                    ]
                )
                for one in version["changes"]
            ],
        ),
    )


def _loan(whole: Mapping[str, Any]) -> Any:
    t, loan = here().texts, whole["loan"]
    if loan is None:
        return None
    first = loan["instalments"][0] if loan["instalments"] else None
    facts = [
        (t("Principal"), t.money(loan["principal"], loan["currency"])),
        (t("Interest"), t.percent(loan["interest_rate"])),
        (t("Instalments"), t.number(len(loan["instalments"]))),
        (t("Booked"), t.time(loan["booked_at"])),
    ]
    if first is not None:
        facts.append((t("First instalment"), t.day(first["due_on"])))
    return _card(t("Loan"), _facts(facts))


def _decisions(record: Mapping[str, Any]) -> Any:
    t, me = here().texts, str(here().person.id)
    if not record["decisions"]:
        return None
    return _card(
        t("Decisions"),
        html.Ul(
            className="history",
            children=[
                html.Li(
                    [
                        html.Div(
                            [badge(OUTCOMES, one["outcome"], size="sm"), html.Strong(stage(one["stage"]))]
                        ),
                        html.Div(one["comment"]) if one["comment"] else None,
                        html.Small(
                            [
                                t.time(one["decided_at"]),
                                f" · {t('by you')}" if one["decided_by"] == me else None,
                            ]
                        ),
                    ]
                )
                for one in reversed(record["decisions"])
            ],
        ),
    )


def _history(record: Mapping[str, Any]) -> Any:
    t = here().texts
    return _card(
        t("History"),
        html.Ul(
            className="history",
            children=[
                html.Li(
                    [
                        html.Div([badge(STATES, one["to_state"], size="sm")]),
                        html.Small([t.time(one["occurred_at"]), " · ", word(ROLES, one["role"])]),
                    ]
                )
                for one in reversed(record["events"])
            ],
        ),
    )
