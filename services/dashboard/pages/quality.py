"""Data quality: what the newest checks of each flow have found, and which builds the figures are of."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from dash import html

from services.dashboard.here import here
from services.dashboard.pages.page import Page
from services.dashboard.parts.heading import heading
from services.dashboard.parts.states import empty, guarded
from services.dashboard.parts.table import cell, table
from services.dashboard.parts.words import NOTHING, badge

SCOPE = "kpis:read"
MOST_BUILDS = 10
OUTCOMES: Mapping[str, tuple[str, str]] = {
    "passed": ("Passed", "teal"),
    "warning": ("Warning", "orange"),
    "failed": ("Failed", "red"),
}
_STARTS = ("expect_column_values_to_", "expect_column_", "expect_table_", "expect_")


async def layout(_: Mapping[str, str], __: Mapping[str, str]) -> Any:
    """Both parts; either is there when the other fails."""
    t = here().texts
    checks, builds = await asyncio.gather(guarded(_checks()), guarded(_builds()))
    return [
        heading(
            t("Data quality"),
            t("Whether what was loaded can be relied on, and what the figures are made of."),
        ),
        html.Section(className="part", children=[html.H2(t("Checks of what was loaded")), *_listed(checks)]),
        html.Section(className="part", children=[html.H2(t("Published builds")), *_listed(builds)]),
    ]


PAGE = Page("/quality", "Data quality", frozenset({SCOPE}), layout, section="Analysis", icon="chart")


async def _checks() -> Any:
    t = here().texts
    results = (await here().call("analytics", "GET", "/quality")).body["items"]
    if not results:
        return empty(t("Nothing was checked yet."), t("The checks run after each load of the warehouse."))
    failed = [one for one in results if not one["success"]]
    passed = t.plural("{count} check passed", "{count} checks passed", len(results) - len(failed))
    columns = (
        (t("Result"), ""),
        (t("Flow"), ""),
        (t("Table and column"), ""),
        (t("Expectation"), ""),
        (t("Values that break it"), "number"),
        (t("Checked"), "time"),
    )
    return [
        html.P(
            f"{passed} · {t.plural('{count} failed', '{count} failed', len(failed))}",
            className="build",
            role="status",
        ),
        table(columns, [_check(one) for one in results], caption=t("Checks of what was loaded")),
    ]


def _check(result: Mapping[str, Any]) -> Any:
    t = here().texts
    outcome = "passed" if result["success"] else ("warning" if result["severity"] == "warning" else "failed")
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


async def _builds() -> Any:
    t = here().texts
    builds = (await here().call("analytics", "GET", "/builds")).body["items"]
    if not builds:
        return empty(
            t("There are no figures yet."),
            t("They are here once the warehouse was loaded and built, and its tests have passed."),
        )
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


def _listed(part: Any) -> Sequence[Any]:
    return part if isinstance(part, list) else [part]
