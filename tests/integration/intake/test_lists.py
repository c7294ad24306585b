"""Lists of applications, and drafts that are deleted."""

from __future__ import annotations

from typing import Any

from tests.integration.lending import Lending, User, assert_problem


async def draft(lending: Lending, maker: User, **changes: Any) -> dict[str, Any]:
    response = await lending.post(maker, {**await lending.content(maker, **changes), "submit": False})
    assert response.status_code == 201, response.text
    view: dict[str, Any] = response.json()
    return view


async def listed(lending: Lending, user: User, **parameters: Any) -> list[dict[str, Any]]:
    """Every item, two a page."""
    items: list[dict[str, Any]] = []
    after: dict[str, str] = {}
    while True:
        asked = {**parameters, **after, "limit": 2}
        response = await lending.intake.get("/applications", params=asked, headers=user.headers)
        assert response.status_code == 200, response.text
        page = response.json()
        items += page["items"]
        assert len(page["items"]) == 2 or page["next"] is None
        if page["next"] is None:
            return items
        after = {"after": page["next"]}


async def delete(lending: Lending, user: User, application_id: str, revision: int | None) -> Any:
    headers = dict(user.headers) | ({} if revision is None else {"If-Match": f'"{revision}"'})
    return await lending.intake.delete(f"/applications/{application_id}/draft", headers=headers)


async def test_a_maker_finds_their_drafts_newest_first(lending: Lending) -> None:
    maker, other = lending.user("maker"), lending.user("maker")
    first = await draft(lending, maker, amount="500.00")
    submitted = await lending.submitted(maker)
    last = await draft(lending, maker, amount="700.00")
    await draft(lending, other)
    items = await listed(lending, maker)
    assert [one["id"] for one in items] == [last["id"], submitted["id"], first["id"]]
    shown = items[0]
    assert {name: last[name] for name in shown if name != "has_draft"} | {"has_draft": True} == shown
    assert [one["id"] for one in await listed(lending, maker, state="DRAFT")] == [last["id"], first["id"]]
    both = await listed(lending, maker, state=["DRAFT", "SUBMITTED"], mine="true")
    assert both == items
    assert await listed(lending, maker, state="BOOKED") == []


async def test_a_list_has_what_its_reader_may_read(lending: Lending) -> None:
    maker = lending.user("maker", "officer")
    waiting = await draft(lending, maker)
    theirs = await lending.submitted(lending.user("maker"))
    officer, auditor = lending.user("officer"), lending.user("auditor")
    seen = {one["id"] for one in await listed(lending, officer)}
    assert theirs["id"] in seen
    assert waiting["id"] not in seen
    assert {waiting["id"], theirs["id"]} <= {one["id"] for one in await listed(lending, auditor)}
    # Somebody with both roles: all that was submitted, and mine alone.
    assert {waiting["id"], theirs["id"]} <= {one["id"] for one in await listed(lending, maker)}
    assert [one["id"] for one in await listed(lending, maker, mine="true")] == [waiting["id"]]


async def test_a_returned_application_shows_the_draft_to_its_maker_alone(lending: Lending) -> None:
    maker, officer = lending.user("maker"), lending.user("officer")
    content = await lending.content(maker)
    made = (await lending.post(maker, content)).json()
    returned = await lending.decide(officer, made["id"], 1, "return", reason_code="incomplete_documents")
    assert returned.status_code == 200, returned.text
    headers = {**maker.headers, "If-Match": '"2"'}
    path = f"/applications/{made['id']}/draft"
    saved = await lending.intake.put(path, json={**content, "amount": "2000.00"}, headers=headers)
    assert saved.status_code == 200, saved.text
    (own,) = await listed(lending, maker)
    foreign = next(one for one in await listed(lending, officer) if one["id"] == made["id"])
    assert (own["amount"], own["has_draft"]) == ("2000.0000", True)
    assert (foreign["amount"], foreign["has_draft"]) == ("1169.0000", False)
    # What was submitted is never deleted.
    problem = assert_problem(await delete(lending, maker, made["id"], 3), 409)
    assert problem["state"] == "RETURNED"


async def test_case_16_a_cursor_belongs_to_its_caller_and_filters(lending: Lending) -> None:
    maker = lending.user("maker")
    for _ in range(2):
        await draft(lending, maker)
    asked = {"mine": "true", "limit": "1"}
    first = await lending.intake.get("/applications", params=asked, headers=maker.headers)
    cursor = {"after": first.json()["next"]}
    same = await lending.intake.get("/applications", params=asked | cursor, headers=maker.headers)
    assert same.status_code == 200
    for user, parameters in (
        (lending.user("maker"), asked),
        (maker, {"limit": "1"}),
        (maker, {**asked, "state": "DRAFT"}),
    ):
        answer = await lending.intake.get("/applications", params=parameters | cursor, headers=user.headers)
        assert_problem(answer, 400)
    for parameters in ({"state": "LOST"}, {"mine": "yes"}, {"made_by": "me"}):
        answer = await lending.intake.get("/applications", params=parameters, headers=maker.headers)
        assert_problem(
            answer, 422, f"/query/{next(iter(parameters))}" + ("/0" if "state" in parameters else "")
        )


async def test_a_deleted_draft_is_gone_for_its_maker_and_kept_in_the_trail(lending: Lending) -> None:
    maker = lending.user("maker")
    made = await draft(lending, maker)
    path = f"/applications/{made['id']}"
    assert_problem(await delete(lending, maker, made["id"], None), 428)
    assert_problem(await delete(lending, maker, made["id"], 9), 412)
    assert_problem(await delete(lending, lending.user("maker"), made["id"], 1), 404)
    done = await delete(lending, maker, made["id"], 1)
    assert (done.status_code, done.content) == (204, b"")
    assert_problem(await lending.intake.get(path, headers=maker.headers), 404)
    assert_problem(await delete(lending, maker, made["id"], 2), 404)
    assert_problem(await lending.act(lending.intake, maker, made["id"], "submission", 2), 404)
    assert await listed(lending, maker) == []
    async with lending.lake.connect() as connection:
        row = await connection.fetchrow(
            "SELECT state, draft, revision FROM credit.application WHERE id = $1", made["id"]
        )
        events = await connection.fetch(
            "SELECT from_state, to_state, actor FROM credit.application_event WHERE application_id = $1 "
            "ORDER BY occurred_at",
            made["id"],
        )
    assert tuple(row) == ("WITHDRAWN", None, 2)
    assert [tuple(event) for event in events] == [(None, "DRAFT", maker.id), ("DRAFT", "WITHDRAWN", maker.id)]


async def test_a_submission_and_a_deletion_at_once_have_one_winner(lending: Lending) -> None:
    maker = lending.user("maker")
    made = await draft(lending, maker)
    submitted = await lending.act(lending.intake, maker, made["id"], "submission", 1)
    assert submitted.status_code == 200
    assert_problem(await delete(lending, maker, made["id"], 1), 412)
    assert_problem(await delete(lending, maker, made["id"], 2), 409)
