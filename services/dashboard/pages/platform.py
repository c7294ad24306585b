"""The platform: whether data move, how fresh they are, what is wrong, and which processes answer."""

import asyncio
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from dash import html

from services.dashboard.clients.prometheus import Alert, Sample, Target
from services.dashboard.here import here
from services.dashboard.pages.page import Page
from services.dashboard.parts.heading import heading
from services.dashboard.parts.health import ALERTS, HEALTH, PROCESSES, URGENCY, ago, behind
from services.dashboard.parts.states import empty, guarded
from services.dashboard.parts.table import cell, table
from services.dashboard.parts.words import NOTHING, badge

SCOPE = "platform:read"
LATE_SECONDS = 60.0
"""The lag at which the alerts of replication fire by default."""
VERIFICATION_SECONDS = 3600.0
"""The age of a verification at which its alert fires."""

RELAY_BACKLOG = 'max(credit_replication_relay_backlog_seconds{job="relay"})'
RELAY_WORKS = 'max(credit_replication_relay_alive{job="verifier"})'
SINK_LAG = 'max(credit_replication_lag_seconds{job="sink"})'
VERIFIED = 'max(credit_replication_verified_timestamp_seconds{job="verifier"})'
VERIFIED_AGE = f"time() - ({VERIFIED} > 0)"
MISMATCHES = 'sum(credit_replication_mismatches{job="verifier"})'
QUARANTINE = 'max(credit_replication_quarantined_records{job="sink"})'
STOPPED = 'max by (table) (credit_replication_table_stopped{job="sink"}) > 0'
TABLE_SECONDS = 'max by (table) (credit_replication_table_lag_seconds{job="verifier"}) > 0'
TABLE_ROWS = 'max by (table) (credit_replication_table_lag_rows{job="verifier"}) > 0'
LOADED = 'max by (flow) (credit_warehouse_load_age_seconds{job="exporter"})'
LOAD_STALE = 'max by (flow) (credit_warehouse_load_stale{job="exporter"})'
MADE = 'time() - max by (flow, layer) (credit_warehouse_flow_fresh_timestamp_seconds{job="airflow"})'
MADE_STALE = f'{MADE} > bool max by (flow, layer) (credit_warehouse_flow_freshness_seconds{{job="airflow"}})'
FAILED = 'max by (flow, layer) (credit_warehouse_flow_failed{job="airflow"})'
BAD_CHECKS = 'max by (flow) (credit_warehouse_quality_failed_checks{job="exporter"})'
SET_ASIDE = 'sum by (flow) (credit_warehouse_quarantined_rows{job="exporter"})'
WAREHOUSE_ANSWERED = 'time() - (max(credit_warehouse_status_timestamp_seconds{job="exporter"}) > 0)'


async def layout(_: Mapping[str, str], __: Mapping[str, str]) -> Any:
    """Every part; each is there when the others fail."""
    t = here().texts
    parts = (
        (t("What needs somebody"), _alerts()),
        (t("From the lake to the replica"), _replication()),
        (t("Flows of the warehouse"), _flows()),
        (t("Processes"), _processes()),
    )
    shown = await asyncio.gather(*(guarded(content) for _, content in parts))
    return [
        heading(
            t("Platform"),
            t("Whether data move, how fresh they are, and what needs somebody."),
            beside=html.Button(t("Read again"), className="button small", **{"data-reload": ""}),
        ),
        *(
            html.Section(className="part", children=[html.H2(title), *content])
            for (title, _), content in zip(parts, shown, strict=True)
        ),
    ]


PAGE = Page("/platform", "Platform", frozenset({SCOPE}), layout, section="Operation", icon="chart")


async def _alerts() -> list[Any]:
    t = here().texts
    found = await here().prometheus.alerts()
    if not found:
        return [empty(t("Nothing: no alert fires."))]
    found.sort(key=lambda one: (not one.firing, one.labels.get("severity") != "page", one.since))
    columns = (
        (t("Urgency"), ""),
        (t("What is wrong"), ""),
        (t("Where"), ""),
        (t("Since"), "time"),
        (t("What to do"), ""),
    )
    return [table(columns, [_alert(one) for one in found], caption=t("What needs somebody"))]


def _alert(alert: Alert) -> Any:
    t = here().texts
    name = alert.labels["alertname"]
    where = [value for label, value in sorted(alert.labels.items()) if label not in {"alertname", "severity"}]
    severity = alert.labels.get("severity", "")
    urgency: Any = badge(URGENCY, severity) if severity in URGENCY else NOTHING
    if not alert.firing:
        urgency = badge(HEALTH, "watch")
    summary = alert.annotations.get("summary")
    return html.Tr(
        [
            cell(urgency),
            cell(
                [
                    t(ALERTS[name]) if name in ALERTS else name,
                    html.Small(summary, lang="en") if summary else None,
                ]
            ),
            cell(", ".join(where) or NOTHING),
            cell(t.time(alert.since), "time"),
            cell(html.Code(alert.annotations.get("runbook", NOTHING))),
        ],
        className="row",
    )


async def _replication() -> list[Any]:
    t, prometheus = here().texts, here().prometheus
    numbers, lists = await asyncio.gather(
        asyncio.gather(
            *(
                prometheus.value(one)
                for one in (
                    RELAY_BACKLOG,
                    RELAY_WORKS,
                    SINK_LAG,
                    VERIFIED,
                    VERIFIED_AGE,
                    MISMATCHES,
                    QUARANTINE,
                )
            )
        ),
        asyncio.gather(*(prometheus.samples(one) for one in (STOPPED, TABLE_SECONDS, TABLE_ROWS))),
    )
    backlog, works, lag, verified, verified_age, mismatches, quarantined = numbers
    stopped, seconds, rows = ({one.labels["table"]: one.value for one in found} for found in lists)
    return [
        html.Div(
            className="tiles",
            children=[
                _tile(
                    t("Reading the lake (relay)"),
                    behind(backlog),
                    "unknown" if works is None else "bad" if works == 0 else _late(backlog),
                    t("Nothing reads the lake at the moment.") if works == 0 else "",
                ),
                _tile(t("Writing the replica (sink)"), behind(lag), _late(lag), ""),
                _tile(
                    t("Both sides found equal"),
                    t("Never") if verified == 0 else ago(verified_age),
                    _verified(verified, verified_age, mismatches),
                    t.plural("{count} row differs", "{count} rows differ", round(mismatches))
                    if mismatches
                    else "",
                ),
                _tile(
                    t("Quarantine"),
                    t("Not known")
                    if quarantined is None
                    else t("Empty")
                    if quarantined == 0
                    else t.plural("{count} record", "{count} records", round(quarantined)),
                    "unknown" if quarantined is None else "bad" if quarantined else "good",
                    t("The replica lacks the newest state of their rows.") if quarantined else "",
                ),
            ],
        ),
        _tables(stopped, seconds, rows),
    ]


def _tables(stopped: Mapping[str, float], seconds: Mapping[str, float], rows: Mapping[str, float]) -> Any:
    """The tables of the replica that lack something."""
    t = here().texts
    names = sorted(stopped.keys() | seconds.keys() | rows.keys())
    if not names:
        return html.P(t("No table of the replica waits for changes."), className="hint")
    columns = ((t("State"), ""), (t("Table"), ""), (t("Behind"), ""), (t("Changes that wait"), "number"))
    return table(
        columns,
        [
            html.Tr(
                [
                    cell(badge(HEALTH, "bad" if name in stopped else _late(seconds.get(name, 0.0)))),
                    cell(name),
                    cell(
                        t("Stopped until a person acts")
                        if name in stopped
                        else behind(seconds.get(name, 0.0))
                    ),
                    cell(t.number(round(rows[name])) if name in rows else NOTHING, "number"),
                ],
                className="row",
            )
            for name in names
        ],
        caption=t("Tables of the replica that wait for changes"),
    )


async def _flows() -> list[Any]:
    t, prometheus = here().texts, here().prometheus
    answered, lists = await asyncio.gather(
        prometheus.value(WAREHOUSE_ANSWERED),
        asyncio.gather(
            *(
                prometheus.samples(one)
                for one in (LOADED, LOAD_STALE, MADE, MADE_STALE, FAILED, BAD_CHECKS, SET_ASIDE)
            )
        ),
    )
    loaded, load_stale, made, made_stale, failed, checks, aside = (_by_flow(found) for found in lists)
    said = html.P(t("The warehouse last answered: {ago}.", ago=ago(answered)), className="hint")
    names = sorted(loaded.keys() | made.keys())
    if not names:
        return [empty(t("No flow has run yet."), t("The loader and Airflow report their flows here.")), said]
    columns = (
        (t("State"), ""),
        (t("Flow"), ""),
        (t("Last ended well"), ""),
        (t("Failed checks"), "number"),
        (t("Rows set aside"), "number"),
    )
    rows = []
    for name in names:
        age = min(ages) if (ages := [one[name] for one in (loaded, made) if name in one]) else None
        late = bool(load_stale.get(name) or made_stale.get(name))
        state = "bad" if failed.get(name) else "watch" if late else "unknown" if age is None else "good"
        words = (
            t("Its last run failed.") if failed.get(name) else t("Longer ago than it may be.") if late else ""
        )
        rows.append(
            html.Tr(
                [
                    cell(badge(HEALTH, state)),
                    cell(name),
                    cell([ago(age), html.Small(words) if words else None]),
                    cell(t.number(round(checks[name])) if name in checks else NOTHING, "number"),
                    cell(t.number(round(aside[name])) if name in aside else NOTHING, "number"),
                ],
                className="row",
            )
        )
    return [table(columns, rows, caption=t("Flows of the warehouse")), said]


def _by_flow(samples: Sequence[Sample]) -> dict[str, float]:
    """The worst value of each flow."""
    found: dict[str, float] = {}
    for one in samples:
        name = one.labels["flow"]
        found[name] = max(one.value, found.get(name, one.value))
    return found


async def _processes() -> list[Any]:
    t = here().texts
    found = await here().prometheus.targets()
    if not found:
        return [empty(t("No process is watched."))]
    found.sort(key=lambda one: (one.up is True, one.job))
    down = sum(one.up is False for one in found)
    said = (
        t.plural("{count} process does not answer.", "{count} processes do not answer.", down)
        if down
        else t("All of them answer.")
    )
    columns = ((t("State"), ""), (t("Process"), ""), (t("What it does"), ""), (t("Asked"), "time"))
    return [
        html.P(said, role="status"),
        table(columns, [_process(one) for one in found], caption=t("Processes")),
    ]


def _process(target: Target) -> Any:
    t = here().texts
    state = "unknown" if target.up is None else "good" if target.up else "bad"
    return html.Tr(
        [
            cell(badge(HEALTH, state)),
            cell(target.job),
            cell(
                [
                    t(PROCESSES[target.job]) if target.job in PROCESSES else NOTHING,
                    html.Small(target.error, lang="en") if target.error else None,
                ]
            ),
            cell(NOTHING if target.up is None else t.time(target.asked_at), "time"),
        ],
        className="row",
    )


def _tile(title: str, value: str, state: str, below: str) -> Any:
    return html.Div(
        [
            html.Span(title, className="name"),
            html.Strong(value),
            badge(HEALTH, state),
            html.Span(below) if below else None,
        ],
        className="tile watched",
    )


def _late(seconds: float | None) -> str:
    """The state of what is this far behind."""
    if seconds is None:
        return "unknown"
    return "bad" if seconds > LATE_SECONDS else "good"


def _verified(verified: float | None, age: float | None, mismatches: float | None) -> str:
    """The state of the verification."""
    if mismatches:
        return "bad"
    if verified is None or mismatches is None:
        return "unknown"
    return "good" if age is not None and isfinite(age) and age <= VERIFICATION_SECONDS else "watch"
