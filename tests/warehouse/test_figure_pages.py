"""The pages of figures over a built warehouse: from a tile to its card, to the rows behind it, to an application."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from pydantic import SecretStr

from services.analytics import main as analytics
from services.analytics.settings import AnalyticsSettings
from services.chassis.testing import span_recorder
from services.chassis.web.identity import TokenVerifier
from services.dashboard.pages.figure_rows import COLUMNS
from services.dashboard.pages.figures import LEADS
from services.lake.domain.roles import Role
from tests.conftest import Database, new_database
from tests.integration.dashboard.conftest import Browser, Desk, desk_over, request_for
from tests.warehouse.conftest import Warehouse
from tests.warehouse.serving import publication
from tests.warehouse.test_analytics import CATALOGUE

# The first of them builds the whole warehouse, which takes minutes on a busy machine.
pytestmark = pytest.mark.timeout(900)

CHECKED = (
    "INSERT INTO dl.quality_result (result_id, run_id, flow, target, column_name, expectation, severity, success, "
    "checked_count, failed_count, checked_at) "
    "VALUES (gen_random_uuid(), gen_random_uuid(), 'lake', $1, $2, $3, $4, $5, $6, $7, $8)"
)
_NEWEST = datetime(2026, 6, 30, 6, 15)  # noqa: DTZ001 - the column's times are in UTC
CHECKS = [
    ("credit_loan", "currency", "expect_column_values_to_be_in_set", "error", True, 30, 0, _NEWEST),
    ("credit_party", "birth_date", "expect_column_values_to_not_be_null", "warning", False, 1234, 5, _NEWEST),
    ("credit_loan", None, "expect_table_row_count_to_be_between", "error", False, None, None, _NEWEST),
    # Of a check before the newest.
    ("credit_old", None, "expect_table_row_count_to_be_between", "error", False, 1, 1, datetime(2026, 6, 29)),  # noqa: DTZ001 - as above
]
"""Table, column, expectation, severity, success, checked and failed values, time."""
PEOPLE = {"selma": Role.SENIOR_OFFICER, "olga": Role.OFFICER, "mia": Role.MAKER}


@pytest.fixture(scope="module")
async def published(built: Warehouse) -> AsyncIterator[Database]:
    """A published copy of the built warehouse."""
    async with new_database(built.database.platform, "warehouse", built.database.name) as database:
        await Warehouse(database, built.folder, built.batches).forget_other_runs()
        await publication(database)
        async with database.connect() as owner:
            await owner.executemany(CHECKED, CHECKS)
        yield database


@pytest.fixture(scope="module")
async def desk(published: Database, application: Database) -> AsyncIterator[Desk]:
    """The dashboard before analytics, over the published warehouse."""
    settings = AnalyticsSettings(
        http_port=0,
        http_hosts="analytics",
        auth_jwks_url="http://127.0.0.1:1/unused",
        warehouse_url=SecretStr(published.url("reporting")),
    )

    def real(keys: Mapping[str, Any]) -> dict[str, httpx.AsyncBaseTransport]:
        verifier = TokenVerifier("creditmesh", dict(keys))
        app = analytics.build(settings, span_recorder().telemetry, verifier)
        apps.append(app)
        return {"analytics": httpx.ASGITransport(app)}

    apps: list[Any] = []
    async with desk_over(application, real, PEOPLE) as made, apps[0].router.lifespan_context(apps[0]):
        yield made


async def shown(desk: Desk, browser: Browser, address: str) -> Any:
    """What a page shows at an address, as a tree of components."""
    parts = urlsplit(address)
    document = await browser.http.get(address)
    assert document.status_code == 200, document.text
    known = desk.app.state.callbacks.app.callback_map
    output = next(name for name in known if "page.children" in name)
    body = request_for(output, known[output])
    body["inputs"][0]["value"] = parts.path
    body["state"][0]["value"] = f"?{parts.query}" if parts.query else ""
    answer = await browser.call(body)
    assert answer.status_code == 200, answer.text
    return answer.json()["response"]["page"]["children"]


def components(tree: Any) -> Iterator[dict[str, Any]]:
    """Every component of a tree, from the outside to the inside."""
    if isinstance(tree, list):
        for one in tree:
            yield from components(one)
    elif isinstance(tree, dict) and "props" in tree:
        yield tree
        yield from components(tree["props"].get("children"))


def texts(tree: Any) -> str:
    """The text of a tree."""
    if isinstance(tree, list):
        return " ".join(filter(None, map(texts, tree)))
    if isinstance(tree, dict):
        return texts(tree["props"].get("children"))
    return "" if tree is None else str(tree)


def of_class(tree: Any, name: str) -> list[dict[str, Any]]:
    """The components of a class."""
    return [one for one in components(tree) if name in str(one["props"].get("className", "")).split()]


def links(tree: Any) -> list[str]:
    """Where the links of a tree lead."""
    return [one["props"]["href"] for one in components(tree) if one["props"].get("href")]


@pytest.mark.parametrize("name", sorted(LEADS))
async def test_every_page_has_its_figures_build_and_choices(desk: Desk, name: str) -> None:
    page = await shown(desk, await desk.logged_in("olga"), f"/{name}?currency=DEM")
    assert not of_class(page, "failed"), texts(page)
    assert "build 1" in texts(of_class(page, "build"))
    assert "tests passed" in texts(of_class(page, "build"))
    assert len(of_class(page, "figure-tile")) + len(of_class(page, "figure-card")) >= 2
    assert "DEM" in texts(of_class(page, "choices"))
    # An officer reads figures, and no rows.
    assert not [link for link in links(page) if link.startswith("/figures/rows")]


async def test_a_number_leads_to_its_rows_and_they_to_an_application(desk: Desk) -> None:
    browser = await desk.logged_in("selma")
    page = await shown(desk, browser, "/portfolio?currency=DEM")
    (tile,) = [one for one in of_class(page, "figure-tile") if "PAR 30" in texts(one)]
    page = await shown(desk, browser, tile["props"]["href"])
    (card,) = of_class(page, "figure-card")
    assert CATALOGUE.kpis["par_30"].definition.en in texts(card)
    assert "ap.kpi.value[par_30]" in texts(card)
    address = next(link for link in links(card) if "part=numerator" in link)
    asked = parse_qs(urlsplit(address).query)
    assert (asked["kpi"], asked["build"], asked["currency"]) == (["par_30"], ["1"], ["DEM"])
    page = await shown(desk, browser, address)
    said = texts(of_class(page, "note"))
    added = re.search(r"rows? adds? up to ([\d,.]+)", said)
    assert added, said
    assert added[1] in texts(card)
    rows = [one for one in components(page) if one["type"] == "Tr"][1:]
    assert len(rows) == int(re.search(r"(\d+) row", said)[1])  # type: ignore[index] # it was found above
    assert Decimal(added[1].replace(",", "")) > 0
    assert any(link.startswith("/applications/") for link in links(page))


async def test_data_quality_names_what_is_broken_first_and_the_builds(desk: Desk) -> None:
    page = await shown(desk, await desk.logged_in("olga"), "/quality")
    rows = [texts(one) for one in components(page) if one["type"] == "Tr" and "row" in str(one["props"])]
    assert [row for row in rows if row.startswith(("Failed", "Warning"))] == [
        "Failed lake credit_loan table row count to be between \u2013 30 Jun 2026, 06:15",
        "Warning lake credit_party birth_date not be null 5 of 1,234 30 Jun 2026, 06:15",
    ]
    assert [row for row in rows if row.startswith("lake")] == [
        "lake credit_loan 2 1 30 30 Jun 2026, 06:15",
        "lake credit_party 1 0 1,234 30 Jun 2026, 06:15",
    ]
    assert "1 check passed" in texts(of_class(page, "build"))
    (build,) = [row for row in rows if "tests passed" in row]
    assert build.startswith("1 ")


async def test_a_pinned_link_has_day_and_build(desk: Desk) -> None:
    browser = await desk.logged_in("olga")
    page = await shown(desk, browser, "/portfolio?currency=DEM&kpi=par_30")
    address = links(of_class(page, "hint"))[-1]
    assert parse_qs(urlsplit(address).query).keys() == {"as_of", "build", "currency", "kpi"}
    again = await shown(desk, browser, address)
    assert texts(of_class(again, "figures")) == texts(of_class(page, "figures"))
    gone = await shown(desk, browser, address.replace("build=1", "build=77"))
    assert "not kept any more" in texts(gone)


async def test_an_earlier_day_shows_what_was_so_then(desk: Desk) -> None:
    browser = await desk.logged_in("olga")
    page = await shown(desk, browser, "/portfolio?currency=DEM&kpi=par_30")
    days = [one["props"]["value"] for one in components(of_class(page, "choices")) if one["type"] == "Option"]
    earlier = sorted(day for day in days if day[:1] == "2")[-4]
    then = await shown(desk, browser, f"/portfolio?currency=DEM&kpi=par_30&as_of={earlier}")
    table = [texts(one) for one in components(then) if one["type"] == "Tr"]
    today = [texts(one) for one in components(page) if one["type"] == "Tr"]
    assert table[1] in today
    assert table[1] != today[1]


async def test_a_figure_that_is_a_table_is_drawn_as_one(desk: Desk) -> None:
    browser = await desk.logged_in("olga")
    page = await shown(desk, browser, "/delinquency?currency=DEM")
    (grid,) = of_class(page, "heat")
    for row in [one for one in components(grid) if one["type"] == "Tr"][1:]:
        shares = [Decimal(found) for found in re.findall(r"([\d.]+) %", texts(row))]
        assert abs(sum(shares) - 100) <= Decimal("0.05"), texts(row)
    page = await shown(desk, browser, "/vintage?currency=DEM")
    assert of_class(page, "heat")


@pytest.mark.parametrize(
    ("address", "place"), [("/delinquency", r" → "), ("/vintage", r"\d+ months? on book")]
)
async def test_a_cell_of_a_table_leads_to_its_loans(desk: Desk, address: str, place: str) -> None:
    page = await shown(desk, await desk.logged_in("olga"), f"{address}?currency=DEM")
    assert not links(of_class(page, "heat"))
    browser = await desk.logged_in("selma")
    page = await shown(desk, browser, f"{address}?currency=DEM")
    found = links(of_class(page, "heat"))
    assert found
    for one in (found[0], found[-1]):
        rows = await shown(desk, browser, one)
        assert not of_class(rows, "failed"), texts(rows)
        assert re.search(place, texts(rows)), texts(rows)
        assert re.search(r"[1-9]\d* rows? adds? up to", texts(of_class(rows, "note"))), texts(rows)


async def test_a_newer_build_that_failed_is_said(desk: Desk, published: Database) -> None:
    async with published.connect() as owner:
        await owner.execute(
            "CREATE TEMPORARY TABLE newer AS SELECT * FROM build.run; "
            "UPDATE newer SET invocation_id = 'newer', started_at = started_at + interval '1 hour', "
            """failures = '["one", "two", "three", "four"]'; """
            "INSERT INTO build.run SELECT * FROM newer"
        )
        try:
            page = await shown(desk, await desk.logged_in("olga"), "/portfolio?currency=DEM")
        finally:
            await owner.execute("DELETE FROM build.run WHERE invocation_id = 'newer'")
    said = texts(of_class(page, "note"))
    assert "is not shown. These failed:" in said
    assert said.split()[-6:] == ["one", "two", "three", "and", "1", "more"]
    assert "build 1" in texts(of_class(page, "build"))
    assert not of_class(await shown(desk, await desk.logged_in("olga"), "/portfolio"), "note")


async def test_vietnamese_has_its_own_words_and_numbers(desk: Desk) -> None:
    browser = await desk.logged_in("olga")
    browser.http.cookies.set("language", "vi")
    page = await shown(desk, browser, "/portfolio?currency=DEM&kpi=par_30")
    assert CATALOGUE.kpis["par_30"].definition.vi in texts(page)
    assert "bản dựng 1" in texts(of_class(page, "build"))
    assert re.search(r"\d,\d\d %", texts(of_class(page, "figures")))


async def test_who_may_not_read_figures_gets_no_page(desk: Desk) -> None:
    browser = await desk.logged_in("mia")
    assert (await browser.http.get("/portfolio")).status_code == 403
    officer = await desk.logged_in("olga")
    assert (await officer.http.get("/figures/rows")).status_code == 403


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?kpi=../auth",
        "?kpi=nothing",
        "?kpi=par_30&part=quotient",
        "?kpi=par_30&after=abc",
        "?kpi=par_30&build=x",
    ],
)
async def test_a_wrong_address_of_rows_says_so(desk: Desk, query: str) -> None:
    browser = await desk.logged_in("selma")
    page = await shown(desk, browser, f"/figures/rows{query}")
    assert of_class([page], "failed"), texts(page)


def test_every_column_of_the_catalogue_has_a_title() -> None:
    named = {name for kpi in CATALOGUE.kpis.values() for part in kpi.parts.values() for name in part.columns}
    assert named == COLUMNS.keys()
