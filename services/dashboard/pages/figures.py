"""Pages of figures: tiles of KPIs of one published build, each with its card, its history and its split."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from dash import html

from services.dashboard.analysis.figures import Figure, figure
from services.dashboard.analysis.grids import cohorts, transitions
from services.dashboard.analysis.links import with_changes
from services.dashboard.analysis.tiles import card, tiles
from services.dashboard.here import here
from services.dashboard.pages.page import Page
from services.dashboard.parts.form import hidden
from services.dashboard.parts.heading import heading
from services.dashboard.parts.states import empty, note

SCOPE = "kpis:read"
SECTION = "Analysis"
LEADS: Mapping[str, tuple[str, str]] = {
    "portfolio": ("Portfolio", "How large the portfolio is, and how much of it is at risk."),
    "origination": ("Origination", "What comes in, what is lent, and how long it takes."),
    "delinquency": ("Delinquency", "Who pays late, and where the money moves from month to month."),
    "vintage": ("Vintage", "How the loans of each month turn out."),
    "decisioning": ("Decisioning", "How decisions are made, and how well the score tells good from bad."),
    "concentration": ("Concentration", "How much depends on few borrowers and products."),
}
"""Title and first line of each page, by its name in analytics."""
PARAMETERS = ("currency", "as_of", "build", "kpi")
MOST_FAILURES = 3
"""Failed models and tests that are named."""
_ROLL_RATE, _VINTAGES = "roll_rate", frozenset({"vintage", "vintage_written_off"})


def page_of(name: str) -> Page:
    """The page of figures with this name in analytics."""

    async def layout(_: Mapping[str, str], query: Mapping[str, str]) -> Any:
        return await _layout(name, query)

    return Page(f"/{name}", LEADS[name][0], frozenset({SCOPE}), layout, section=SECTION, icon="chart")


PAGES = tuple(page_of(name) for name in LEADS)


async def _layout(name: str, query: Mapping[str, str]) -> Any:
    t = here().texts
    title, lead = (t(text) for text in LEADS[name])
    chosen = {one: query[one] for one in PARAMETERS if query.get(one)}
    asked: dict[str, str] = {one: chosen[one] for one in ("currency", "as_of", "build") if one in chosen}
    pinned = {"build": chosen["build"]} if "build" in chosen else {}
    page, catalogue, days, run = await asyncio.gather(
        _read(f"/pages/{name}", asked),
        _read("/kpis", {}),
        _read("/as-of", pinned),
        _read("/runs/newest", {}),
    )
    entries = {entry["id"]: entry for entry in catalogue["items"]}
    currency, build = page["currency"], page["build"]
    if currency is None:
        return [heading(title, lead), empty(t("There are no figures yet."), t("Nothing was lent so far."))]
    as_of = chosen.get("as_of")
    points = {one["kpi"]: one["points"] for one in page["kpis"]}
    figures = [
        figure(entries[kpi], found, as_of)
        for kpi, found in points.items()
        if kpi != _ROLL_RATE and kpi not in _VINTAGES
    ]
    opened = next((one for one in figures if one.entry["id"] == chosen.get("kpi")), None)
    grids = [
        transitions(entries[kpi], found, as_of, build["build_id"])
        if kpi == _ROLL_RATE
        else cohorts(entries[kpi], found, build["build_id"])
        for kpi, found in points.items()
        if kpi == _ROLL_RATE or kpi in _VINTAGES
    ]
    return [
        heading(title, lead, beside=_choices(name, chosen, page, days)),
        _build(build, as_of or build["as_of_date"]),
        _not_shown(run),
        tiles(figures, f"/{name}", chosen, currency),
        *([card(opened, build, currency)] if opened else _whole_splits(figures, build, currency)),
        *(grid for grid in grids if grid is not None),
        html.P(
            html.A(
                t("Link to these numbers"),
                href=with_changes(
                    f"/{name}",
                    chosen,
                    build=str(build["build_id"]),
                    as_of=as_of or build["as_of_date"],
                    currency=currency,
                ),
            ),
            className="hint",
        ),
    ]


async def _read(path: str, parameters: Mapping[str, str]) -> Any:
    return (await here().call("analytics", "GET", path, params=dict(parameters))).body


def _whole_splits(figures: Sequence[Figure], build: Mapping[str, Any], currency: str) -> list[Any]:
    """The cards of figures that have members and no whole: their tile alone would be empty."""
    return [card(one, build, currency) for one in figures if one.point is None and one.split]


def _build(build: Mapping[str, Any], as_of: str | None) -> Any:
    """Of which day and build the numbers are, how far their data reach, and how many tests passed."""
    t = here().texts
    parts = [
        t("as of {day}", day=t.day(as_of)) if as_of else None,
        t("build {number}", number=build["build_id"]),
        t("data up to {time} UTC", time=t.time(build["through_time"])) if build["through_time"] else None,
        t.plural("{count} test passed", "{count} tests passed", build["tests_passed"]),
        t.plural("{count} warning", "{count} warnings", build["tests_warned"])
        if build["tests_warned"]
        else None,
    ]
    return html.P(" · ".join(part for part in parts if part), className="build", role="status")


def _not_shown(run: Mapping[str, Any]) -> Any:
    """That a newer build is not shown, and why; nothing while the newest is shown, under way or about to be copied."""
    t = here().texts
    if run["state"] not in {"failed", "partial"}:
        return None
    said = t("A newer build of {time} UTC is not shown.", time=t.time(run["started_at"]))
    if run["state"] == "partial":
        return note(f"{said} {t('It left out models or tests.')}", color="orange")
    failed, more = run["failures"][:MOST_FAILURES], len(run["failures"]) - MOST_FAILURES
    return note(
        [
            f"{said} {t('These failed:')} ",
            *(part for name in failed for part in (html.Code(name), " ")),
            t.plural("and {count} more", "and {count} more", more) if more > 0 else None,
        ],
        color="orange",
    )


def _choices(name: str, chosen: Mapping[str, str], page: Mapping[str, Any], days: Mapping[str, Any]) -> Any:
    """Currency and day: a form of the browser's own, so that the URL has what is shown."""
    t = here().texts
    kept = [hidden(one, chosen[one]) for one in ("build", "kpi") if one in chosen]
    known = list(dict.fromkeys(day["day"] for day in days["days"]))
    as_of = chosen.get("as_of", page["build"]["as_of_date"])
    return html.Form(
        method="get",
        action=f"/{name}",
        className="choices",
        children=[
            *kept,
            _select("currency", t("Currency"), [(one, one) for one in page["currencies"]], page["currency"]),
            _select("as_of", t("Day"), [(day, t.day(day)) for day in known], as_of),
            html.Button(t("Show"), type="submit", className="button small"),
        ],
    )


def _select(name: str, title: str, options: Sequence[tuple[str, str]], chosen: str | None) -> Any:
    return html.Label(
        [
            html.Span(title),
            html.Select(
                name=name,
                autoComplete="off",
                children=[
                    html.Option(label, value=value, **({"selected": "selected"} if value == chosen else {}))
                    for value, label in options
                ],
            ),
        ],
        className="choice",
    )
