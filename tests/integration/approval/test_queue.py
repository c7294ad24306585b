"""The queue: who sees what, in which order, page by page."""

from __future__ import annotations

import asyncio

import pytest

from tests.integration.lending import Lending, User, assert_problem


async def seen(lending: Lending, user: User, *, stage: str | None = None, limit: int = 200) -> list[str]:
    """The ids in somebody's queue, walked page by page, the oldest first."""
    ids: list[str] = []
    after = None
    while True:
        asked = {"limit": limit, "stage": stage, "after": after}
        parameters = {name: value for name, value in asked.items() if value is not None}
        response = await lending.approval.get("/queue", params=parameters, headers=user.headers)
        assert response.status_code == 200, response.text
        page = response.json()
        assert len(page["items"]) <= limit
        ids += [item["id"] for item in page["items"]]
        after = page["next"]
        if after is None:
            return ids


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
