"""Orders and facets of a search against the same by hand, over a portfolio with many equal values."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.chassis.database import ApplicationDatabase
from services.chassis.web.identity import Caller
from services.lake.domain.roles import Role
from services.search.domain import Facet, FacetCount, Facets, Filters, Order
from services.search.repository import SearchRepository
from tests.integration.lending import Lending, User, assert_problem
from tests.integration.search.portfolio import MAKERS, Portfolio, Row

APPLICATIONS = 300


@pytest.fixture(scope="module")
async def portfolio(lending: Lending) -> Portfolio:
    await lending.make_replica()
    async with lending.application.connect("search") as connection:
        assert await connection.fetchval("SELECT search.prepare_replica()") == []
    return await Portfolio.write(lending.application, APPLICATIONS)


@pytest.fixture
async def database(lending: Lending) -> AsyncIterator[ApplicationDatabase]:
    database = ApplicationDatabase.open(lending.application.url("search"), service="search", pool_size=1)
    yield database
    await database.dispose()


def by_hand(portfolio: Portfolio, caller: Caller, filters: Filters, facets: list[Facet]) -> Facets:
    counts = {}
    for facet in facets:
        counted = Counter(row.value(facet) for row in portfolio.found(caller, filters, but=facet))
        ordered = sorted(counted.items(), key=lambda one: (-one[1], one[0] or ""))
        counts[facet] = [FacetCount(value, count) for value, count in ordered]
    return Facets(len(portfolio.found(caller, filters)), False, counts)


@pytest.mark.parametrize("searches", [150, pytest.param(1_000, marks=pytest.mark.long)])
async def test_case_27_facets_are_what_is_counted_by_hand(
    portfolio: Portfolio, database: ApplicationDatabase, searches: int
) -> None:
    repository = SearchRepository()
    async with database.reading() as reader:
        for _ in range(searches):
            filters, caller = portfolio.filters(), portfolio.caller()
            facets = portfolio.chance.sample(list(Facet), portfolio.chance.randint(1, 5))
            selection = await repository.selection(reader, filters, caller, facets)
            found = await repository.facets(reader, selection, facets)
            assert found == by_hand(portfolio, caller, filters, facets), (filters, caller)


def user(lending: Lending, role: Role) -> User:
    return lending.user(role, id=MAKERS[0])


async def pages(lending: Lending, who: User, **parameters: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    after: dict[str, str] = {}
    while True:
        response = await lending.search.get(
            "/applications", params={**parameters, **after}, headers=who.headers
        )
        assert response.status_code == 200, response.text
        page = response.json()
        items += page["items"]
        if page["next"] is None:
            return items
        after = {"after": page["next"]}


@pytest.mark.parametrize("role", [Role.MAKER, Role.SERVICING, Role.AUDITOR, Role.ANALYST, Role.OFFICER])
async def test_case_27_the_sum_of_the_pages_is_the_total(
    lending: Lending, portfolio: Portfolio, role: Role
) -> None:
    assert portfolio.rows
    who = user(lending, role)
    filters = {"product": ["CAR", "BUSINESS"], "channel": "branch"}
    first = await lending.search.get(
        "/applications",
        params={**filters, "facets": "product,month,product", "limit": 1},
        headers=who.headers,
    )
    facets = first.json()["facets"]

    items = await pages(lending, who, **filters, limit=7)

    assert len(items) == facets["total"] == len({one["id"] for one in items})
    assert facets["approximate"] is False
    assert set(facets["counts"]) == {"product", "month"}
    shown = Counter(one["product_code"] for one in items)
    assert {one["value"]: one["count"] for one in facets["counts"]["product"]} | shown == {
        one["value"]: one["count"] for one in facets["counts"]["product"]
    }
    assert sum(one["count"] for one in facets["counts"]["month"]) == facets["total"]


def in_order(rows: list[Row], order: Order) -> list[str]:
    name = order.removeprefix("-")
    value = {"submitted_at": "submitted_at", "age": "submitted_at"}.get(name, name)
    descends = order.startswith("-") != (name == "age")
    known = [row for row in rows if getattr(row, value) is not None]
    missing = [row for row in rows if getattr(row, value) is None]
    known.sort(key=lambda row: (getattr(row, value), row.id), reverse=descends)
    missing.sort(key=lambda row: row.id, reverse=descends)
    return [str(row.id) for row in known + missing]


@pytest.mark.parametrize("order", Order)
async def test_each_order_is_kept_over_the_pages(
    lending: Lending, portfolio: Portfolio, order: Order
) -> None:
    rows = [row for row in portfolio.rows if row.submitted_at is not None]

    items = await pages(lending, user(lending, Role.OFFICER), sort=order.value, limit=31)

    assert [one["id"] for one in items] == in_order(rows, order)


async def test_case_16_a_cursor_of_another_order_is_refused(lending: Lending, portfolio: Portfolio) -> None:
    assert portfolio.rows
    who = user(lending, Role.OFFICER)
    first = await lending.search.get("/applications", params={"sort": "amount"}, headers=who.headers)
    after = {"after": first.json()["next"]}
    for other in ({"sort": "-amount"}, {"sort": "score"}, {}):
        assert_problem(
            await lending.search.get("/applications", params={**other, **after}, headers=who.headers), 400
        )
    again = await lending.search.get(
        "/applications", params={"sort": "amount", "facets": "state", **after}, headers=who.headers
    )
    assert again.status_code == 200
    assert again.json()["facets"]["total"] == sum(row.submitted_at is not None for row in portfolio.rows)


@pytest.mark.parametrize(
    ("parameters", "pointer"),
    [
        ({"sort": "name"}, "/query/sort"),
        ({"sort": "--score"}, "/query/sort"),
        ({"facets": "purpose"}, "/query/facets"),
        ({"facets": "state,"}, "/query/facets"),
        ({"month": "2026-13"}, "/query/month/0"),
        ({"month": "2026-1"}, "/query/month/0"),
        ({"channel": "By post"}, "/query/channel/0"),
        ({"band": "a b"}, "/query/band/0"),
        ({"product": ["CAR"] * 51}, "/query/product"),
    ],
)
async def test_bad_orders_and_facets_are_pointed_at(
    lending: Lending, portfolio: Portfolio, parameters: dict[str, Any], pointer: str
) -> None:
    assert portfolio.rows
    response = await lending.search.get(
        "/applications", params=parameters, headers=user(lending, Role.OFFICER).headers
    )
    assert_problem(response, 422, pointer)


async def test_above_the_limit_counts_come_from_a_sample_and_say_so(
    lending: Lending, portfolio: Portfolio, database: ApplicationDatabase
) -> None:
    async with lending.application.connect() as owner:
        await owner.execute("ANALYZE credit.application")
    repository = SearchRepository()
    officer = Caller(MAKERS[0], "officer", frozenset({Role.OFFICER}), frozenset())
    submitted = sum(row.submitted_at is not None for row in portfolio.rows)
    states = {row.state.value for row in portfolio.rows}
    async with database.reading() as reader:
        selection = await repository.selection(reader, Filters(), officer)
        exact = await repository.facets(reader, selection, [Facet.STATE], most_counted=submitted)
        below = await repository.facets(reader, selection, [Facet.STATE], most_counted=submitted - 1)
        far_below = await repository.facets(reader, selection, [Facet.STATE], most_counted=10)

    assert (exact.approximate, exact.total) == (False, submitted)
    for estimate in (below, far_below):
        assert estimate.approximate
        assert {one.value for one in estimate.counts[Facet.STATE]} <= states
        assert sum(one.count for one in estimate.counts[Facet.STATE]) == pytest.approx(estimate.total, abs=4)
