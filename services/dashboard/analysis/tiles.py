"""Tiles of figures, and the card of the one that is open."""

from collections.abc import Mapping, Sequence
from typing import Any

import dash_mantine_components as dmc
from dash import html

from services.dashboard.analysis.figures import Figure, Point, decimal_of, position
from services.dashboard.analysis.links import CAN_READ_ROWS, rows_of, with_changes
from services.dashboard.analysis.written import (
    STATUS,
    change_of,
    line,
    member_of,
    part_of,
    said_by,
    value_of,
)
from services.dashboard.here import here
from services.dashboard.parts.table import cell, table
from services.dashboard.parts.words import NOTHING

UNITS: Mapping[str, str] = {
    "ratio": "Share",
    "amount": "Amount of money",
    "count": "Number of cases",
    "days": "Days",
    "hours": "Hours",
    "index": "Index",
}


def tiles(figures: Sequence[Figure], path: str, query: Mapping[str, str], currency: str) -> Any:
    """A tile for each figure that has a value of the whole; it opens the figure's card."""
    whole = [one for one in figures if one.point is not None or not one.split]
    return html.Div([_tile(one, path, query, currency) for one in whole], className="figures")


def _tile(figure: Figure, path: str, query: Mapping[str, str], currency: str) -> Any:
    t = here().texts
    point = figure.point
    opened = query.get("kpi") == figure.entry["id"]
    drawn = line(figure.series)
    change = change_of(figure, currency)
    better = figure.change_is_good
    return html.A(
        href=with_changes(path, query, kpi=None if opened else figure.entry["id"]),
        className="tile figure-tile opened" if opened else "tile figure-tile",
        **({"aria-current": "true"} if opened else {}),
        children=[
            html.Div([html.Span(said_by(figure.entry["title"]), className="name"), status(figure)]),
            html.Strong(value_of(None if point is None else point["value"], figure.entry["unit"], currency)),
            html.Div(
                [
                    html.Span(
                        change or t("no earlier value"),
                        className="" if better is None else "gained" if better else "lost",
                    ),
                    html.Img(src=drawn, alt="", width=196, height=34) if drawn else None,
                ],
                className="trend",
            ),
        ],
    )


def status(figure: Figure) -> Any:
    """Good, to be watched or bad, where there are thresholds; and that rows are missing."""
    t = here().texts
    found = []
    if figure.status is not None:
        message, colour = STATUS[figure.status]
        found.append(dmc.Badge(t(message), color=colour, variant="light", radius="sm", tt="none", size="sm"))
    if figure.point is not None and figure.point["missing_rows"]:
        count = figure.point["missing_rows"]
        found.append(
            dmc.Badge(
                t.plural("{count} row missing", "{count} rows missing", count),
                color="orange",
                variant="outline",
                radius="sm",
                tt="none",
                size="sm",
            )
        )
    return html.Span(found, className="badges") if found else None


def card(figure: Figure, build: Mapping[str, Any], currency: str) -> Any:
    """What a figure means, what it is made of and where it comes from; from there to the rows behind it."""
    t = here().texts
    entry, point = figure.entry, figure.point
    shown = point or (figure.split[0] if figure.split else None)
    return html.Section(
        className="card figure-card",
        **{"aria-label": said_by(entry["title"])},
        children=[
            html.Div([html.H2(said_by(entry["title"])), status(figure)], className="card-title"),
            html.P(said_by(entry["definition"])),
            html.Dl(
                className="facts",
                children=[
                    _fact(
                        t("Value"),
                        value_of(None if point is None else point["value"], entry["unit"], currency),
                    ),
                    *(_part(figure, shown, name, build, currency) for name in ("numerator", "denominator")),
                    _fact(t("Unit"), t(UNITS[entry["unit"]])),
                    _fact(t("Of"), NOTHING if shown is None else t.day(position(shown))),
                    _fact(t("Thresholds"), _thresholds(figure, currency)),
                    _fact(t("Comes from"), html.Code(entry["lineage"])),
                ],
            ),
            html.P(t("Its rows do not add up: {reason}", reason=entry["reason"]), className="hint")
            if entry["reason"]
            else None,
            html.Div(
                [_periods(figure, build, currency), _split(figure, build, currency)], className="beside-each"
            ),
        ],
    )


def _fact(name: str, value: Any) -> Any:
    return html.Div([html.Dt(name), html.Dd(value)])


def _part(figure: Figure, point: Point | None, name: str, build: Mapping[str, Any], currency: str) -> Any:
    t = here().texts
    title = t("Numerator") if name == "numerator" else t("Denominator")
    if point is None:
        return _fact(title, NOTHING)
    shown = part_of(point, name, figure.entry, currency)
    return _fact(title, [shown, _to_rows(figure, point, name, build)])


def _to_rows(figure: Figure, point: Point, name: str, build: Mapping[str, Any]) -> Any:
    if name not in figure.entry["parts"] or CAN_READ_ROWS not in here().person.scopes:
        return None
    return html.A(
        here().texts("rows"), href=rows_of(figure.entry, point, name, build["build_id"]), className="to-rows"
    )


def _thresholds(figure: Figure, currency: str) -> Any:
    t = here().texts
    thresholds = figure.entry["thresholds"]
    if thresholds is None:
        return t("none")
    warn, bad = (value_of(thresholds[name], figure.entry["unit"], currency) for name in ("warn", "bad"))
    return t("watch from {warn}, bad from {bad}", warn=warn, bad=bad)


def _periods(figure: Figure, build: Mapping[str, Any], currency: str) -> Any:
    t = here().texts
    if not figure.series:
        return None
    columns = (
        (t("Of"), ""),
        (t("Value"), "number"),
        (t("Numerator"), "number"),
        (t("Denominator"), "number"),
    )
    rows = [
        html.Tr(
            [
                cell(t.day(position(point))),
                cell(value_of(point["value"], figure.entry["unit"], currency), "number"),
                *(_linked(figure, point, name, build, currency) for name in ("numerator", "denominator")),
            ]
        )
        for point in reversed(figure.series)
    ]
    return html.Div([html.H3(t("Over time")), table(columns, rows, caption=t("Values over time"))])


def _linked(figure: Figure, point: Point, name: str, build: Mapping[str, Any], currency: str) -> Any:
    shown = part_of(point, name, figure.entry, currency)
    if name not in figure.entry["parts"] or CAN_READ_ROWS not in here().person.scopes:
        return cell(shown, "number")
    return cell(html.A(shown, href=rows_of(figure.entry, point, name, build["build_id"])), "number")


def _split(figure: Figure, build: Mapping[str, Any], currency: str) -> Any:
    t = here().texts
    if not figure.split:
        return None
    values = [decimal_of(point, "value") for point in figure.split]
    largest = max((abs(value) for value in values if value is not None), default=None) or 1
    items = [
        html.Li(
            [
                html.Span(member_of(str(point["member"]))),
                html.Span(
                    html.Span(
                        style={"width": f"{0 if value is None else round(100 * abs(value) / largest)}%"}
                    ),
                    className="share",
                ),
                html.Span(value_of(value, figure.entry["unit"], currency), className="points"),
                _to_rows(figure, point, "numerator", build),
            ]
        )
        for point, value in zip(figure.split, values, strict=True)
    ]
    return html.Div([html.H3(t("By member")), html.Ul(items, className="shares")])
