"""Data quality: what the newest checks of each flow have found, and which builds the figures are of."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from dash import html

from services.dashboard.here import here
from services.dashboard.pages.page import Page
from services.dashboard.parts.heading import heading
from services.dashboard.parts.states import empty, guarded, no_figures
from services.dashboard.parts.table import cell, table
from services.dashboard.parts.words import NOTHING, badge

SCOPE = "kpis:read"
MOST_BUILDS = 10
OUTCOMES: Mapping[str, tuple[str, str]] = {
    "warning": ("Warning", "orange"),
    "failed": ("Failed", "red"),
}
_STARTS = ("expect_column_values_to_", "expect_column_", "expect_")


async def layout(_: Mapping[str, str], __: Mapping[str, str]) -> Any:
    """Both parts; either is there when the other fails."""
    t = here().texts
    checks, builds = await asyncio.gather(guarded(_checks()), guarded(_builds()))
    return [
        heading(
            t("Data quality"),
            t("Whether what was loaded can be relied on, and what the figures are made of."),
        ),
        *checks,
        html.Section(className="part", children=[html.H2(t("Published builds")), *builds]),
    ]


PAGE = Page("/quality", "Data quality", frozenset({SCOPE}), layout, section="Analysis", icon="chart")


async def _checks() -> list[Any]:
    t = here().texts
    results = (await here().call("analytics", "GET", "/quality")).body["items"]
    if not results:
        return [empty(t("Nothing was checked yet."), t("The checks run after each load of the warehouse."))]
    broken = [one for one in results if not one["success"]]
    passed = t.plural("{count} check passed", "{count} checks passed", len(results) - len(broken))
    failed = t.plural("{count} failed", "{count} failed", len(broken))
    by_table: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for one in results:
        by_table.setdefault((one["flow"], one["target"]), []).append(one)
    columns = (
        (t("Result"), ""),
        (t("Flow"), ""),
        (t("Table and column"), ""),
        (t("Expectation"), ""),
        (t("Values that break it"), "number"),
        (t("Checked"), "time"),
    )
    tables = (
        (t("Flow"), ""),
        (t("Table"), ""),
        (t("Checks"), "number"),
        (t("Passed"), "number"),
        (t("Most values of one check"), "number"),
        (t("Checked"), "time"),
    )
    return [
        html.P(f"{passed} · {failed}", className="build", role="status"),
        html.Section(
            className="part",
            children=[
                html.H2(t("What is broken")),
                table(columns, [_check(one) for one in broken], caption=t("What is broken"))
                if broken
                else html.P(t("Nothing: every check of the newest loads has passed.")),
            ],
        ),
        html.Section(
            className="part",
            children=[
                html.H2(t("Checks by table")),
                table(
                    tables,
                    [_table(flow, name, found) for (flow, name), found in sorted(by_table.items())],
                    caption=t("Checks by table"),
                ),
            ],
        ),
    ]


def _table(flow: str, name: str, found: Sequence[Mapping[str, Any]]) -> Any:
    t = here().texts
    most = max((one["checked_count"] for one in found if one["checked_count"] is not None), default=None)
    return html.Tr(
        [
            cell(flow),
            cell(name),
            cell(t.number(len(found)), "number"),
            cell(t.number(sum(one["success"] for one in found)), "number"),
            cell(NOTHING if most is None else t.number(most), "number"),
            cell(t.time(max(one["checked_at"] for one in found)), "time"),
        ],
        className="row",
    )


def _check(result: Mapping[str, Any]) -> Any:
    t = here().texts
    outcome = "warning" if result["severity"] == "warning" else "failed"
    counted = result["checked_count"] is not None
    return html.Tr(
        [
            cell(badge(OUTCOMES, outcome)),
            cell(result["flow"]),
            cell(
                [result["target"], html.Small(result["column_name"])]
                if result["column_name"]
                else result["target"]
            ),
            cell(_expectation(result["expectation"])),
            cell(
                t(
                    "{failed} of {checked}",
                    failed=t.number(result["failed_count"] or 0),
                    checked=t.number(result["checked_count"]),
                )
                if counted
                else NOTHING,
                "number",
            ),
            cell(t.time(result["checked_at"]), "time"),
        ],
        className="row",
    )


def _expectation(name: str) -> str:
    """The name of an expectation as words: those of Great Expectations all begin alike."""
    start = next((one for one in _STARTS if name.startswith(one)), "")
    return name.removeprefix(start).replace("_", " ")


async def _builds() -> list[Any]:
    t = here().texts
    builds = (await here().call("analytics", "GET", "/builds")).body["items"]
    if not builds:
        return [no_figures()]
    columns = (
        (t("Build"), "number"),
        (t("As of"), "time"),
        (t("Data up to"), "time"),
        (t("Published"), "time"),
        (t("Tests"), ""),
    )
    rows = [_build(one) for one in builds[:MOST_BUILDS]]
    return [
        table(columns, rows, caption=t("Published builds")),
        html.P(
            t(
                "A build whose tests have failed is not published: the figures stay those of the build before."
            ),
            className="hint",
        ),
    ]


def _build(build: Mapping[str, Any]) -> Any:
    t = here().texts
    said = [t.plural("{count} test passed", "{count} tests passed", build["tests_passed"])]
    if build["tests_warned"]:
        said.append(t.plural("{count} warning", "{count} warnings", build["tests_warned"]))
    return html.Tr(
        [
            cell(str(build["build_id"]), "number"),
            cell(NOTHING if build["as_of_date"] is None else t.day(build["as_of_date"]), "time"),
            cell(NOTHING if build["through_time"] is None else t.time(build["through_time"]), "time"),
            cell(t.time(build["published_at"]), "time"),
            cell(" · ".join(said)),
        ],
        className="row",
    )
