"""A trace: what one request has caused, from the commit to the warehouse, along the links between traces."""

import re
from collections.abc import Mapping
from typing import Any

from dash import dcc, html

from services.dashboard.here import here
from services.dashboard.pages.page import Page
from services.dashboard.parts.heading import heading
from services.dashboard.parts.states import empty, failed, guarded
from services.dashboard.parts.table import cell, scrolled, short, table
from services.dashboard.parts.words import NOTHING
from services.dashboard.traces.domain import Followed, Span, critical
from services.dashboard.traces.drawing import picture
from services.dashboard.traces.stores import follow

SCOPE = "platform:read"
PATH = "/trace"
MOST_ROWS = 200
_ID = re.compile("[0-9a-f]{32}")
_METHODS = frozenset({"get", "post", "put", "patch", "delete", "head", "options"})


async def layout(_: Mapping[str, str], parameters: Mapping[str, str]) -> Any:
    """The field for an id, and the trace that it names."""
    t = here().texts
    identifier = parameters.get("id", "").strip().lower()
    shown = await guarded(_trace(identifier)) if identifier else [_hint()]
    return [
        heading(t("Trace"), t("What a request has caused, from the commit to the warehouse.")),
        html.Form(
            method="GET",
            action=PATH,
            className="trace-choice",
            children=[
                html.Label(t("Trace id"), htmlFor="trace-id"),
                dcc.Input(id="trace-id", name="id", value=identifier[:64], maxLength=64, autoComplete="off"),
                html.Button(t("Show"), type="submit", className="button primary small"),
            ],
        ),
        *shown,
    ]


PAGE = Page(PATH, "Trace", frozenset({SCOPE}), layout, section="Operation", icon="search")


def to_trace(trace_id: str, content: Any) -> Any:
    """A link to a trace."""
    return dcc.Link(content, href=f"{PATH}?id={trace_id}", className="strong")


def _hint() -> Any:
    t = here().texts
    return empty(
        t("Which trace?"),
        t("The record of an application leads to the traces of its changes; errors name theirs."),
    )


async def _trace(trace_id: str) -> list[Any]:
    t = here().texts
    if not _ID.fullmatch(trace_id):
        return [failed(t("A trace id has 32 digits from 0 to 9 and a to f."))]
    found = await follow(here().traces, trace_id)
    if found is None:
        return [
            empty(
                t("This trace is not there: not sampled or expired."),
                t("Not every request is recorded, and what is recorded is kept for a while."),
            )
        ]
    image, undrawn = picture(found, here().theme)
    errors = sum(one.error is not None for one in found.spans)
    said = [
        t.plural("{count} span", "{count} spans", len(found.spans)),
        t.plural("{count} trace", "{count} traces", len({one.trace_id for one in found.spans})),
        t.plural("{count} error", "{count} errors", errors),
    ]
    notes = [
        t("Time is drawn compressed. Dark: what decided how long the request took. Red: failed.")
        if here().theme == "light"
        else t("Time is drawn compressed. Bright: what decided how long the request took. Red: failed.")
    ]
    if undrawn:
        notes.append(t.plural("{count} span is not drawn.", "{count} spans are not drawn.", undrawn))
    if found.missing:
        notes.append(
            t.plural(
                "{count} linked trace is not there: not sampled or expired.",
                "{count} linked traces are not there: not sampled or expired.",
                found.missing,
            )
        )
    if found.left_out:
        notes.append(t("There is more than is shown: links are followed 5 times, up to 2,000 spans."))
    return [
        html.P(" · ".join(said), className="build", role="status"),
        html.Section(
            className="part",
            children=[
                html.H2(t("From left to right in time")),
                scrolled(
                    html.Img(src=image, alt=t("Spans by service; the table below has the same.")),
                    t("From left to right in time"),
                ),
                *(html.P(one, className="hint") for one in notes),
            ],
        ),
        html.Section(className="part", children=[html.H2(t("Spans")), *_table(found)]),
    ]


def _table(found: Followed) -> list[Any]:
    t, path = here().texts, critical(found)
    columns = (
        (t("Service"), ""),
        (t("What"), ""),
        (t("Begins after"), "number"),
        (t("Takes"), "number"),
        (t("Error"), ""),
        (t("Trace"), ""),
    )
    own = [one for one in found.spans if one.trace_id == found.trace_id]
    zero = min(one.start for one in own)
    shown = found.spans[:MOST_ROWS]
    rows = [_row(one, zero, found, decides=(one.trace_id, one.span_id) in path) for one in shown]
    more = len(found.spans) - len(shown)
    return [
        table(columns, rows, caption=t("Spans")),
        html.P(
            t.plural("{count} more is not listed.", "{count} more are not listed.", more), className="hint"
        )
        if more
        else None,
    ]


def _what(name: str) -> str:
    """The name of a span; Zipkin keeps names in small letters, also the methods of HTTP."""
    method, space, rest = name.partition(" ")
    return method.upper() + space + rest if method in _METHODS else name


def _row(span: Span, zero: int, found: Followed, *, decides: bool) -> Any:
    t = here().texts
    this = span.trace_id == found.trace_id
    return html.Tr(
        [
            cell(span.service),
            cell(html.Strong(_what(span.name)) if decides else _what(span.name)),
            cell(t.milliseconds(span.start - zero), "number"),
            cell(t.milliseconds(span.duration), "number"),
            cell(html.Span(span.error, className="lost") if span.error else NOTHING),
            cell(t("This one") if this else to_trace(span.trace_id, short(span.trace_id))),
        ],
        className="row",
    )
