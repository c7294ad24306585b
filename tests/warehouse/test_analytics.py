"""The HTTP API of analytics over a built and published warehouse."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import date
from decimal import Decimal
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY

from services.analytics import domain
from services.analytics.catalogue.model import read_catalogue
from services.analytics.domain import FILTERS, PAGES
from services.lake.domain.roles import SCOPES, Role
from tests.conftest import Database, new_database
from tests.integration.lending import assert_problem
from tests.warehouse.conftest import Warehouse
from tests.warehouse.portfolio import AS_OF
from tests.warehouse.serving import TOKENS, api, publication

# The first of them builds the whole warehouse, which takes minutes on a busy machine.
pytestmark = pytest.mark.timeout(900)

READER = TOKENS.headers(scopes=["kpis:read", "portfolio:rows"])
CATALOGUE = read_catalogue()


@pytest.fixture(scope="module")
async def published(built: Warehouse) -> AsyncIterator[Warehouse]:
    """A copy of the built warehouse, published: nobody could copy one that is connected to."""
    async with new_database(built.database.platform, "warehouse", built.database.name) as database:
        copy = Warehouse(database, built.folder, built.batches)
        await copy.forget_other_runs()
        await publication(database)
        yield copy


@pytest.fixture(scope="module")
async def client(published: Warehouse) -> AsyncIterator[httpx.AsyncClient]:
    """The service over it."""
    async with api(published.database) as made:
        yield made


async def got(client: httpx.AsyncClient, path: str, **parameters: Any) -> Any:
    """The JSON that a reader gets."""
    response = await client.get(path, params=parameters, headers=READER)
    assert response.status_code == 200, response.text
    return response.json()


async def test_every_entry_says_what_it_is_in_two_languages(client: httpx.AsyncClient) -> None:
    items = (await got(client, "/kpis"))["items"]
    assert {item["id"] for item in items} == CATALOGUE.kpis.keys()
    for item in items:
        assert item["title"]["en"]
        assert item["definition"]["vi"]
        assert item["parts"]
        assert await got(client, f"/kpis/{item['id']}") == item


@pytest.mark.parametrize("kpi", sorted(CATALOGUE.kpis))
async def test_a_value_is_what_ap_says(client: httpx.AsyncClient, published: Warehouse, kpi: str) -> None:
    source = CATALOGUE.kpis[kpi].source
    answer = await got(client, f"/kpis/{kpi}/values")
    where = f"WHERE kpi = '{kpi}'" if source.table == "ap.kpi" else ""
    rows = await published.rows(
        f"SELECT {source.column} AS value, {source.numerator} AS numerator, {source.denominator} AS denominator "
        f"FROM {source.table} {where}"
    )
    # Of what a history leaves out, a row exists only where something is left out.
    assert rows or CATALOGUE.kpis[kpi].unit == "count"

    def exact(row: dict[str, Any]) -> tuple[str, ...]:
        return tuple(
            "" if row[name] is None else f"{Decimal(row[name]).normalize():f}"
            for name in ("value", "numerator", "denominator")
        )

    assert sorted(map(exact, answer["points"])) == sorted(map(exact, rows))
    assert answer["build"]["as_of_date"] == AS_OF.isoformat()


async def test_filters_choose_points(client: httpx.AsyncClient) -> None:
    everything = (await got(client, "/kpis/par_30/values"))["points"]
    chosen = {"currency": "DEM", "dimension": "all", "grain": "month_end"}
    found = (await got(client, "/kpis/par_30/values", **chosen))["points"]
    assert found == [point for point in everything if chosen.items() <= point.items()]
    days = [point["as_of_date"] for point in found]
    bounded = (await got(client, "/kpis/par_30/values", **chosen, **{"from": days[1], "to": days[-2]}))[
        "points"
    ]
    assert bounded == found[1:-1]
    one = (await got(client, "/kpis/par_30/values", **chosen, as_of=days[0]))["points"]
    assert one == found[:1]


async def test_rows_add_up_to_the_number_that_they_are_behind(client: httpx.AsyncClient) -> None:
    asked = {"currency": "DEM", "dimension": "all", "grain": "as_of"}
    (point,) = (await got(client, "/kpis/par_30/values", **asked))["points"]
    for part in ("numerator", "denominator"):
        answer = await got(client, "/kpis/par_30/rows", **asked, part=part, limit=2)
        rows, pages = answer["rows"], 1
        while answer["next"]:
            answer = await got(client, "/kpis/par_30/rows", **asked, part=part, limit=2, after=answer["next"])
            rows += answer["rows"]
            pages += 1
        place = answer["columns"].index("outstanding_principal")
        assert Decimal(point[part]) > 0
        assert sum(Decimal(row[place]) for row in rows) == Decimal(point[part])
        assert Decimal(answer["total"]) == Decimal(answer["published"]) == Decimal(point[part])
        assert len(rows) == answer["row_count"]
        assert pages > 1
        assert len({row[0] for row in rows}) == len(rows)


async def test_each_part_of_each_kpi_has_rows_to_show(client: httpx.AsyncClient) -> None:
    shown = 0
    for kpi in CATALOGUE.kpis.values():
        points = (await got(client, f"/kpis/{kpi.id}/values"))["points"]
        point = next((one for one in reversed(points) if one["value"] is not None), None)
        if point is None:
            assert kpi.unit == "count", kpi.id
            continue
        asked = {name: point[name] for name in FILTERS if point.get(name) is not None}
        period = point["period_start"] or point["cohort_month"] or point["as_of_date"]
        asked |= {"as_of": point["as_of_date"], "from": period, "to": period}
        for part in kpi.parts:
            response = await client.get(
                f"/kpis/{kpi.id}/rows", params={**asked, "part": part}, headers=READER
            )
            answer = response.json()
            assert response.status_code == 200, response.text
            assert answer["point"] == point
            if kpi.parts[part].adds_up:
                assert Decimal(answer["total"]) == Decimal(answer["published"] or 0), (kpi.id, part)
            shown += bool(answer["rows"])
    assert shown > 30


def test_rows_name_nobody() -> None:
    for kpi in CATALOGUE.kpis.values():
        for part in kpi.parts.values():
            assert not {"full_name", "email", "phone", "national_id", "birth_date"} & set(part.columns)


@pytest.mark.parametrize("page", sorted(PAGES))
async def test_a_page_has_its_kpis_of_one_currency_and_one_build(
    client: httpx.AsyncClient, page: str
) -> None:
    answer = await got(client, f"/pages/{page}", currency="DEM")
    assert [one["kpi"] for one in answer["kpis"]] == list(PAGES[page])
    for one in answer["kpis"]:
        assert {point["currency"] for point in one["points"]} <= {"DEM"}
    assert answer["currencies"] == sorted(set(answer["currencies"]))
    assert (await got(client, f"/pages/{page}"))["currency"] == answer["currencies"][0]


async def test_a_page_shows_its_months_up_to_its_day(
    published: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(domain, "PAGE_MONTHS", 6)
    async with api(published.database) as client:
        days = sorted({day["day"] for day in (await got(client, "/as-of"))["days"]}, reverse=True)
        for day in (days[0], days[3]):
            first = domain.first_day_shown(date.fromisoformat(day)).isoformat()
            answer = await got(client, "/pages/delinquency", currency="DEM", as_of=day)
            assert answer["as_of"] == day
            earlier, later = set(), set()
            for one in answer["kpis"]:
                every = (await got(client, f"/kpis/{one['kpi']}/values", currency="DEM"))["points"]
                periods = [point["period_start"] or point["as_of_date"] for point in every]
                assert one["points"] == [
                    point for point, period in zip(every, periods, strict=True) if first <= period <= day
                ]
                earlier |= {period for period in periods if period < first}
                later |= {period for period in periods if period > day}
            assert earlier
            assert bool(later) is (day != days[0])


async def test_an_answer_about_a_build_is_made_once(published: Warehouse) -> None:
    def made() -> float:
        return REGISTRY.get_sample_value("analytics_answers_total", {"source": "warehouse"}) or 0

    async with api(published.database) as client:
        for path in ("/kpis/par_60/values?currency=DEM&grain=as_of", "/pages/vintage", "/as-of", "/kpis"):
            before = made()
            responses = await asyncio.gather(*(client.get(path, headers=READER) for _ in range(5)))
            assert made() == before + 1
            (tag,) = {response.headers["ETag"] for response in responses}
            assert {response.headers["Cache-Control"] for response in responses} == {"private, no-cache"}
            again = await client.get(path, headers=READER | {"If-None-Match": tag})
            assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)
            other = await client.get(path, headers=READER | {"If-None-Match": '"other"'})
            assert other.content == responses[0].content
            assert made() == before + 1
            # The scope is asked for before what is kept.
            assert (await client.get(path)).status_code == 401


async def test_builds_days_and_quality(client: httpx.AsyncClient) -> None:
    (build,) = (await got(client, "/builds"))["items"]
    assert build["tests_passed"] > 50
    days = await got(client, "/as-of", build=build["build_id"])
    assert days["days"][0] == {"day": AS_OF.isoformat(), "grain": "as_of"}
    assert days["currencies"]
    assert (await got(client, "/quality"))["items"] == []
    run = await got(client, "/runs/newest")
    assert (run["state"], run["build_id"], run["failures"]) == ("published", build["build_id"], [])


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.SERVICE])
async def test_who_reads_what(client: httpx.AsyncClient, role: Role) -> None:
    headers = TOKENS.headers(scopes=SCOPES[role], roles=[role])
    reads = "kpis:read" in SCOPES[role]
    rows = "portfolio:rows" in SCOPES[role]
    assert (reads, rows) == {
        Role.MAKER: (False, False),
        Role.OFFICER: (True, False),
        Role.SENIOR_OFFICER: (True, True),
        Role.COMMITTEE: (True, True),
        Role.SERVICING: (True, False),
        Role.AUDITOR: (True, True),
        Role.ANALYST: (True, True),
        Role.ADMINISTRATOR: (False, False),
    }[role]
    asked = {"currency": "DEM", "dimension": "all", "grain": "as_of"}
    for path, allowed in (
        ("/kpis", reads),
        ("/kpis/par_30", reads),
        ("/kpis/par_30/values", reads),
        ("/pages/portfolio", reads),
        ("/builds", reads),
        ("/runs/newest", reads),
        ("/as-of", reads),
        ("/quality", reads),
        ("/kpis/par_30/rows", rows),
    ):
        parameters = asked if path.endswith(("/values", "/rows")) else {}
        response = await client.get(path, params=parameters, headers=headers)
        assert response.status_code == (200 if allowed else 403), path
        assert (await client.get(path)).status_code == 401, path


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/kpis/nothing", 404, "GET /kpis"),
        ("/kpis/par_30/values?build=999", 410, "GET /builds"),
        ("/kpis/par_30/values?bild=1", 422, "bild"),
        ("/kpis/par_30/values?currency=dem", 422, "currency"),
        ("/kpis/par_30/values?as_of=yesterday", 422, "as_of"),
        ("/kpis/par_30/values?from_bucket=0", 422, "/query/from_bucket"),
        ("/kpis/vintage/values?grain=as_of", 422, "/query/grain"),
        ("/kpis/vintage/rows?currency=DEM&months_on_book=01", 422, "/query/months_on_book"),
        ("/pages/portfolio?currency=XTS", 422, "/query/currency"),
        ("/pages/portfolio?as_of=2001-01-01", 422, "/query/as_of"),
        ("/kpis/par_30/rows?currency=DEM", 404, "narrow"),
        ("/kpis/par_30/rows?currency=DEM&part=quotient", 422, "part"),
        ("/kpis/par_30/rows?currency=DEM&dimension=all&grain=as_of&after=abc", 400, "after"),
        ("/kpis/par_30/rows?currency=DEM&dimension=product&member=NONE&grain=as_of", 404, "0 points"),
        ("/pages/secrets", 404, "page"),
    ],
)
async def test_what_is_wrong_is_said(client: httpx.AsyncClient, path: str, status: int, says: str) -> None:
    response = await client.get(path, headers=READER)
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert says in response.text


async def test_another_ones_cursor_is_refused(client: httpx.AsyncClient) -> None:
    asked = {"currency": "DEM", "dimension": "all", "grain": "as_of", "limit": 1}
    after = (await got(client, "/kpis/par_30/rows", **asked))["next"]
    other = TOKENS.headers(scopes=["portfolio:rows"])
    response = await client.get("/kpis/par_30/rows", params={**asked, "after": after}, headers=other)
    assert_problem(response, 400)
    response = await client.get("/kpis/par_60/rows", params={**asked, "after": after}, headers=READER)
    assert_problem(response, 400)


async def test_before_the_first_build_it_says_what_to_run(fresh_warehouse: Database) -> None:
    async with api(fresh_warehouse) as client:
        response = await client.get("/pages/portfolio", headers=READER)
        assert_problem(response, 404)
        assert response.json()["type"].endswith(":nothing-published")
        assert "Airflow" in response.text
        assert (await got(client, "/runs/newest"))["state"] == "none"


@pytest.mark.parametrize(
    ("noted", "state"),
    [
        ("finished_at = NULL", "under_way"),
        ("failures = '[\"par_30_is_a_share\"]', tests_left = 1", "failed"),
        ("models_left = 2", "partial"),
        ("tests_left = 2", "partial"),
        ("models = models", "passed"),
    ],
)
async def test_a_newer_build_says_why_it_is_not_shown(
    client: httpx.AsyncClient, published: Warehouse, noted: str, state: str
) -> None:
    async with published.database.connect("transformer") as transformer:
        await transformer.execute(
            "CREATE TEMPORARY TABLE newer AS SELECT * FROM build.run; "
            "UPDATE newer SET invocation_id = 'newer', started_at = started_at + interval '1 hour'; "
            f"UPDATE newer SET {noted}; INSERT INTO build.run SELECT * FROM newer"
        )
        try:
            run = await got(client, "/runs/newest")
        finally:
            await transformer.execute("DELETE FROM build.run WHERE invocation_id = 'newer'")
    assert (run["state"], run["build_id"]) == (state, None)
    assert run["failures"] == (["par_30_is_a_share"] if state == "failed" else [])
    assert (run["finished_at"] is None) is (state == "under_way")


async def test_each_answer_is_of_one_build_while_others_are_published(copied: Warehouse) -> None:
    """200 reads beside 20 builds; each build marks its rows by its number."""
    await copied.forget_other_runs()
    await publication(copied.database)
    seen: set[int] = set()

    async def read(client: httpx.AsyncClient) -> None:
        answer = await got(client, "/pages/portfolio", currency="DEM")
        build = answer["build"]["build_id"]
        marks = {point["missing_rows"] for one in answer["kpis"] for point in one["points"]}
        assert marks == ({0} if build == 1 else {build}), build
        seen.add(build)

    async def publish_others() -> None:
        async with copied.database.connect("transformer") as transformer:
            for number in range(2, 22):
                await transformer.execute("UPDATE ap.kpi SET missing_rows = $1", number)
                await transformer.execute("UPDATE build.run SET invocation_id = $1", f"build {number}")
                assert await publication(copied.database) == number

    async with api(copied.database) as client:
        publishing = asyncio.create_task(publish_others())
        reads = 0
        # Answers are kept, so reading is faster than publishing: another build must have been seen.
        while reads < 200 or len(seen) < 2 or not publishing.done():
            await asyncio.gather(*(read(client) for _ in range(10)))
            reads += 10
            await asyncio.sleep(0.05)
        await publishing
        pinned = await got(client, "/pages/portfolio", currency="DEM", build=1)
        assert {point["missing_rows"] for one in pinned["kpis"] for point in one["points"]} == {0}
