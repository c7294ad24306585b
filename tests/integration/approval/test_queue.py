"""The queue: who sees what, in which order, page by page."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.integration.lending import Lending, User, assert_problem


async def walked(lending: Lending, user: User, *, limit: int = 200, **filters: Any) -> list[dict[str, Any]]:
    """The items of somebody's queue, walked page by page."""
    items: list[dict[str, Any]] = []
    after = None
    while True:
        asked = {"limit": limit, "after": after, **filters}
        parameters = {name: value for name, value in asked.items() if value is not None}
        response = await lending.approval.get("/queue", params=parameters, headers=user.headers)
        assert response.status_code == 200, response.text
        page = response.json()
        assert len(page["items"]) <= limit
        items += page["items"]
        after = page["next"]
        if after is None:
            return items


async def seen(lending: Lending, user: User, *, limit: int = 200, **filters: Any) -> list[str]:
    """The ids in somebody's queue, the oldest first unless another order is asked for."""
    return [item["id"] for item in await walked(lending, user, limit=limit, **filters)]


async def test_the_oldest_comes_first_on_pages_of_any_size(lending: Lending) -> None:
    maker, officer = lending.user("maker"), lending.user("officer")
    made = [(await lending.submitted(maker))["id"] for _ in range(7)]
    for limit in (1, 2, 3, 200):
        ids = await seen(lending, officer, limit=limit)
        assert [one for one in ids if one in made] == made
        assert len(ids) == len(set(ids))


async def test_it_moves_from_stage_to_stage(lending: Lending) -> None:
    maker = lending.user("maker")
    officer, senior = lending.user("officer"), lending.user("senior_officer")
    both = lending.user("officer", "senior_officer")
    view = await lending.submitted(maker, amount="4000")
    assert view["id"] in await seen(lending, officer)
    assert view["id"] not in await seen(lending, senior)
    await lending.decide(both, view["id"], 1)
    assert view["id"] not in await seen(lending, officer)
    assert view["id"] in await seen(lending, senior)
    # Who decided one stage is not asked for the next.
    assert view["id"] not in await seen(lending, both)
    item = next(
        item
        for item in (await lending.approval.get("/queue?limit=200", headers=senior.headers)).json()["items"]
        if item["id"] == view["id"]
    )
    assert (item["band"], item["stage"], item["state"]) == ("medium", "senior_officer", "IN_REVIEW")
    assert [(one["stage"], one["decided_by"]) for one in item["decisions"]] == [("officer", str(both.id))]
    assert (item["score"], item["amount"], item["borrower"]) == (view["score"], "4000.0000", "Nguyễn Văn Đạt")
    await lending.decide(senior, view["id"], 2)
    assert view["id"] not in await seen(lending, lending.user("senior_officer"))


async def test_a_decision_on_one_application_opens_no_stage_of_another(lending: Lending) -> None:
    maker, officer, senior = lending.user("maker"), lending.user("officer"), lending.user("senior_officer")
    decided = await lending.submitted(maker, amount="4000")
    await lending.decide(officer, decided["id"], 1)
    untouched = await lending.submitted(maker, amount="4000")
    queue = await seen(lending, senior)
    assert decided["id"] in queue
    assert untouched["id"] not in queue


async def test_drafts_and_what_is_over_do_not_wait(lending: Lending) -> None:
    maker, officer = lending.user("maker"), lending.user("officer")
    draft = (await lending.post(maker, {**await lending.content(maker), "submit": False})).json()
    withdrawn = await lending.submitted(maker)
    await lending.act(lending.intake, maker, withdrawn["id"], "withdrawal", 1)
    assert not {draft["id"], withdrawn["id"]} & set(await seen(lending, officer))


async def test_a_stage_is_asked_for_by_those_who_have_it(lending: Lending) -> None:
    both = lending.user("officer", "senior_officer")
    view = await lending.submitted(lending.user("maker"))
    assert view["id"] in await seen(lending, both, stage="officer")
    assert view["id"] not in await seen(lending, both, stage="senior_officer")
    response = await lending.approval.get("/queue?stage=committee", headers=both.headers)
    assert_problem(response, 403)


@pytest.mark.parametrize(
    ("query", "status", "pointers"),
    [
        ("limit=0", 422, ["/query/limit"]),
        ("limit=201", 422, ["/query/limit"]),
        ("limit=x", 422, ["/query/limit"]),
        ("stage=%00", 422, ["/query/stage"]),
        ("after=nonsense", 400, []),
        ("after=", 400, []),
        ("sort=-submitted_at", 422, ["/query/sort"]),
        ("older_than_hours=-1", 422, ["/query/older_than_hours"]),
        ("amount_min=2&amount_max=1", 422, ["/query/amount_min"]),
    ],
)
async def test_bad_parameters_are_refused(
    lending: Lending, query: str, status: int, pointers: list[str]
) -> None:
    response = await lending.approval.get(f"/queue?{query}", headers=lending.user("officer").headers)
    assert_problem(response, status, *pointers)


async def test_the_bands_are_shown(lending: Lending) -> None:
    bands = (await lending.approval.get("/bands", headers=lending.user("auditor").headers)).json()
    assert [(band["name"], band["stages"]) for band in bands] == [
        ("small", ["officer"]),
        ("medium", ["officer", "senior_officer"]),
        ("large", ["officer", "senior_officer", "committee"]),
    ]
    assert bands[0]["amount_below"] == bands[1]["amount_from"]


async def test_a_queue_read_beside_decisions_stays_whole(lending: Lending) -> None:
    maker, officer = lending.user("maker"), lending.user("officer")
    views = [await lending.submitted(maker) for _ in range(5)]
    results = await asyncio.gather(
        *(lending.decide(lending.user("officer"), view["id"], 1) for view in views),
        *(seen(lending, officer, limit=2) for _ in range(5)),
    )
    for ids in results[5:]:
        assert isinstance(ids, list)
        assert len(ids) == len(set(ids))


@pytest.mark.parametrize("column", ["age", "amount", "score"])
async def test_every_order_has_two_directions_and_pages(lending: Lending, column: str) -> None:
    maker, officer = lending.user("maker"), lending.user("officer")
    # Equal amounts and scores: the id decides, so that no page repeats or skips one.
    for amount, months in (("900", 6), ("700", 24), ("900", 24), ("800", 6)):
        await lending.submitted(maker, amount=amount, term_months=months)
    ids = await seen(lending, officer, sort=column, limit=3)
    items = await walked(lending, officer, sort=column)
    assert ids == [item["id"] for item in items]
    assert len(ids) == len(set(ids)) >= 4
    assert ids == list(reversed(await seen(lending, officer, sort=f"-{column}", limit=2)))
    key = {
        "age": lambda item: -datetime.fromisoformat(item["submitted_at"]).timestamp(),
        "amount": lambda item: float(item["amount"]),
        "score": lambda item: item["score"],
    }[column]
    keys = [key(item) for item in items]
    assert keys == sorted(keys)


async def test_a_page_starts_where_the_last_one_ended_though_that_application_has_changed(
    lending: Lending,
) -> None:
    maker, officer = lending.user("maker"), lending.user("officer")
    views = [await lending.submitted(maker, amount=str(amount)) for amount in (301, 302, 303)]
    few = {"sort": "amount", "amount_min": "301", "amount_max": "303", "limit": "1"}
    first = (await lending.approval.get("/queue", params=few, headers=officer.headers)).json()
    assert [item["id"] for item in first["items"]] == [views[0]["id"]]
    # It is withdrawn: it has no place in the queue any more, and the next page begins with the same one all the same.
    await lending.act(lending.intake, maker, views[0]["id"], "withdrawal", 1)
    rest = await lending.approval.get(
        "/queue", params={**few, "after": first["next"]}, headers=officer.headers
    )
    assert [item["id"] for item in rest.json()["items"]] == [views[1]["id"]]


async def test_filters_leave_what_fits_all_of_them(lending: Lending) -> None:
    maker, officer = lending.user("maker"), lending.user("officer")
    inside = await lending.submitted(maker, amount="555")
    outside = await lending.submitted(maker, amount="556.01")
    amounts = {"amount_min": "555", "amount_max": "556"}
    assert await seen(lending, officer, **amounts) == [inside["id"]]
    assert await seen(lending, officer, product="CONSUMER", **amounts) == [inside["id"]]
    assert await seen(lending, officer, product="OTHER", **amounts) == []
    assert outside["id"] in await seen(lending, officer, product="CONSUMER")
    assert await seen(lending, officer, older_than_hours=1, **amounts) == []
    async with lending.lake.connect() as owner:
        await owner.execute(
            "UPDATE credit.application SET submitted_at = $2 WHERE id = $1",
            uuid.UUID(inside["id"]),
            datetime.now(UTC).replace(tzinfo=None) - timedelta(hours=30),
        )
    (old,) = await walked(lending, officer, older_than_hours=29, **amounts)
    assert (old["id"], old["age_hours"]) == (inside["id"], pytest.approx(30, abs=0.1))
    assert await seen(lending, officer, older_than_hours=31, **amounts) == []


async def test_an_item_says_since_when_it_waits_for_its_stage(lending: Lending) -> None:
    senior = lending.user("senior_officer")
    view = await lending.submitted(lending.user("maker"), amount="4111")
    record = (await lending.decide(lending.user("officer"), view["id"], 1)).json()
    (item,) = await walked(lending, senior, amount_min="4111", amount_max="4111")
    assert item["waiting_since"] == record["decisions"][0]["decided_at"] > item["submitted_at"]


async def test_the_summary_counts_what_the_queue_shows(lending: Lending) -> None:
    maker, both = lending.user("maker"), lending.user("officer", "senior_officer")
    for amount in ("100", "4200", "10000"):
        await lending.submitted(maker, amount=amount)
    forwarded = await lending.submitted(maker, amount="4300")
    await lending.decide(lending.user("officer"), forwarded["id"], 1)
    mine = await lending.submitted(both_and_maker := lending.user("maker", "officer"))
    for user in (both, both_and_maker, lending.user("committee")):
        for filters in ({}, {"amount_min": "4000"}):
            items = await walked(lending, user, **filters)
            assert mine["id"] not in {item["id"] for item in items} or user is not both_and_maker
            answer = await lending.approval.get("/queue/summary", params=filters, headers=user.headers)
            assert answer.status_code == 200, answer.text
            summary = answer.json()
            expected = Counter((item["stage"], item["band"]) for item in items)
            assert {(one["stage"], one["band"]): one["count"] for one in summary["waiting"]} == expected
            assert summary["count"] == len(items)
            for one in summary["waiting"]:
                ages = [
                    item["age_hours"]
                    for item in items
                    if (item["stage"], item["band"]) == (one["stage"], one["band"])
                ]
                assert one["oldest_hours"] == pytest.approx(max(ages), abs=0.1)
                assert one["average_hours"] == pytest.approx(sum(ages) / len(ages), abs=0.1)
    refused = await lending.approval.get("/queue/summary?stage=committee", headers=both.headers)
    assert_problem(refused, 403)
