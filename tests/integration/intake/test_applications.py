"""Applications from their draft to their submission, and what a client's retries may and may not do."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from services.chassis.testing import span_recorder
from tests.integration.lending import Lending, User, assert_problem, rows_of


async def test_a_submitted_application_is_scored_and_can_be_read(lending: Lending) -> None:
    maker = lending.user("maker")
    response = await lending.post(maker, await lending.content(maker, amount=1169.5))
    view = response.json()
    assert (view["state"], view["version"], view["revision"]) == ("SUBMITTED", 1, 1)
    assert view["amount"] == "1169.5000"
    assert view["created_by"] == str(maker.id)
    assert view["score"] == 500 + sum(reason["points"] for reason in view["score_reasons"])
    assert response.headers["Location"] == f"/applications/{view['id']}"
    assert response.headers["ETag"] == '"1"'
    read = await lending.intake.get(response.headers["Location"], headers=maker.headers)
    assert read.json() == view
    assert read.headers["ETag"] == '"1"'


async def test_it_is_written_under_its_actor_and_trace(lending: Lending) -> None:
    maker = lending.user("maker")
    trace = "0af7651916cd43dd8448eb211c80319c"
    headers = {**maker.headers, "Idempotency-Key": "traced", "traceparent": f"00-{trace}-b7ad6b7169203331-01"}
    body = await lending.content(maker)
    created = await lending.intake.post("/applications", json=body, headers=headers)
    async with lending.lake.connect() as connection:
        changes = await connection.fetch(
            "SELECT table_name, actor, traceparent FROM journal.change WHERE key LIKE $1 ORDER BY position",
            f'["{created.json()["id"]}"%',
        )
    assert [change["table_name"] for change in changes] == [
        "credit.application",
        "credit.application_version",
        "credit.application_party",
        "credit.application_version_party",
    ]
    assert {change["actor"] for change in changes} == {str(maker.id)}
    assert {change["traceparent"].split("-")[1] for change in changes} == {trace}


async def test_a_draft_is_edited_and_submitted(lending: Lending) -> None:
    maker = lending.user("maker")
    content = await lending.content(maker)
    draft = (await lending.post(maker, {**content, "submit": False})).json()
    assert (draft["state"], draft["version"], draft["score"], draft["submitted_at"]) == (
        "DRAFT",
        None,
        None,
        None,
    )
    path = f"/applications/{draft['id']}"
    edited = await lending.intake.put(
        f"{path}/draft",
        json={**content, "amount": "2000", "term_months": 48},
        headers={**maker.headers, "If-Match": '"1"'},
    )
    assert (edited.status_code, edited.json()["amount"], edited.headers["ETag"]) == (200, "2000.0000", '"2"')
    submitted = await lending.act(lending.intake, maker, draft["id"], "submission", 2)
    view = submitted.json()
    assert (submitted.status_code, view["state"], view["version"], view["revision"]) == (
        200,
        "SUBMITTED",
        1,
        3,
    )
    assert next(r for r in view["score_reasons"] if r["attribute"] == "term_months")["points"] == -30
    assert (await lending.intake.get(path, headers=maker.headers)).json() == view


async def test_fifty_parallel_requests_with_one_key_make_one_application(lending: Lending) -> None:
    maker = lending.user("maker")
    body = await lending.content(maker)
    before = await rows_of(lending)

    async def until_answered() -> Any:
        # What a client does: while the first request is under way, or all connections are taken, it asks again.
        while (response := await lending.post(maker, body, key="one")).status_code in {409, 503, 504}:
            if response.status_code == 409:
                assert response.json()["type"] == "urn:creditmesh:problem:request-in-flight"
            await asyncio.sleep(0.2)
        return response

    responses = await asyncio.gather(*(until_answered() for _ in range(50)))
    assert {response.status_code for response in responses} == {201}
    assert len({response.content for response in responses}) == 1
    assert len({(response.headers["Location"], response.headers["ETag"]) for response in responses}) == 1
    assert Counter(r.headers.get("Idempotency-Replayed") for r in responses) == {None: 1, "true": 49}
    after = await rows_of(lending)
    assert {name: after[name] - before[name] for name in after} == {
        "credit.party": 0,
        "credit.application": 1,
        "credit.application_version": 1,
        "credit.application_party": 1,
        "credit.application_version_party": 1,
        "credit.application_event": 1,
        "intake.idempotency_key": 1,
    }


async def test_a_key_belongs_to_one_body_and_one_caller(lending: Lending) -> None:
    maker, other = lending.user("maker"), lending.user("maker")
    body = await lending.content(maker)
    first = await lending.post(maker, body, key="mine")
    assert_problem(
        await lending.post(maker, {**body, "amount": 2000}, "mine"), 422, "/header/Idempotency-Key"
    )
    theirs = await lending.post(other, await lending.content(other), key="mine")
    assert theirs.json()["id"] != first.json()["id"]
    # Another spelling of the same request is the same request.
    same = await lending.post(maker, {**body, "amount": 1169.00, "submit": True}, key="mine")
    assert (same.status_code, same.json()["id"]) == (201, first.json()["id"])


async def test_a_refused_request_may_be_corrected_under_its_key(lending: Lending) -> None:
    maker = lending.user("maker")
    body = await lending.content(maker)
    assert_problem(await lending.post(maker, {**body, "amount": "99"}, key="again"), 422, "/body/amount")
    assert (await lending.post(maker, body, key="again")).status_code == 201


@pytest.mark.parametrize("key", [None, "", "has space", "é", "x" * 129])
async def test_a_key_is_required_and_usable(lending: Lending, key: str | None) -> None:
    maker = lending.user("maker")
    body = await lending.content(maker)
    headers = dict(maker.headers) | ({} if key is None else {"Idempotency-Key": key.encode()})
    before = await rows_of(lending)
    assert_problem(await lending.intake.post("/applications", json=body, headers=headers), 400)
    assert await rows_of(lending) == before


UNKNOWN = "0197a2a0-0000-7000-8000-00000000dead"


@pytest.mark.parametrize(
    ("changes", "pointers"),
    [
        ({"amount": "99.99"}, ["/body/amount"]),
        ({"amount": "25000.01"}, ["/body/amount"]),
        ({"amount": "0"}, ["/body/amount"]),
        ({"amount": "-1"}, ["/body/amount"]),
        ({"amount": "1.00001"}, ["/body/amount"]),
        ({"amount": "NaN"}, ["/body/amount"]),
        ({"amount": "1e400"}, ["/body/amount"]),
        ({"amount": None}, ["/body/amount"]),
        ({"term_months": 2}, ["/body/term_months"]),
        ({"term_months": 10**30}, ["/body/term_months"]),
        ({"currency": "EUR"}, ["/body/currency"]),
        ({"currency": "dem"}, ["/body/currency"]),
        ({"product_code": "NOTHING"}, ["/body/product_code"]),
        ({"purpose": "a\u0000b"}, ["/body/purpose"]),
        ({"purpose": ""}, ["/body/purpose"]),
        ({"channel": "pigeon"}, ["/body/channel"]),
        ({"parties": []}, ["/body/parties"]),
        ({"parties": [{"party_id": UNKNOWN, "role": "borrower"}]}, ["/body/parties/0/party_id"]),
        (
            {"parties": [{"party_id": "x", "role": "king"}]},
            ["/body/parties/0/party_id", "/body/parties/0/role"],
        ),
        ({"profile": {}}, None),
        ({"colour": "blue"}, ["/body/colour"]),
        ({"amount": "1", "term_months": 1, "currency": "EUR"}, ["/body/currency", "/body/term_months"]),
        ({"currency": "XXX"}, ["/body/currency"]),
        ({"amount": "1000.001"}, ["/body/amount"]),
        ({"amount": 1000.001}, ["/body/amount"]),
        ({"submit": "false"}, ["/body/submit"]),
    ],
)
async def test_bad_content_is_pointed_at_and_nothing_is_written(
    lending: Lending, changes: dict[str, Any], pointers: list[str] | None
) -> None:
    maker = lending.user("maker")
    body = await lending.content(maker, **changes)
    before = await rows_of(lending)
    response = await lending.post(maker, body)
    problem = response.json()
    found = [error["pointer"] for error in problem["errors"]]
    assert_problem(response, 422, *found)
    if pointers is None:
        assert len(found) == 15
        assert all(pointer.startswith("/body/profile/") for pointer in found)
    else:
        assert found == pointers
    assert await rows_of(lending) == before


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("age_years", 40),
        ("savings", "plenty"),
        ("installment_rate_percent_class", "2"),
        ("dependants", 1.0),
        ("telephone", "often"),
        ("shoe_size", 43),
    ],
)
async def test_a_bad_profile_is_pointed_at(lending: Lending, attribute: str, value: object) -> None:
    maker = lending.user("maker")
    body = await lending.content(maker)
    body["profile"][attribute] = value
    assert_problem(await lending.post(maker, body), 422, f"/body/profile/{attribute}")


async def test_a_body_that_is_no_json_is_a_bad_request(lending: Lending) -> None:
    headers = {**lending.user("maker").headers, "Idempotency-Key": "k", "Content-Type": "application/json"}
    assert_problem(await lending.intake.post("/applications", content=b"{", headers=headers), 400)


async def test_writes_need_the_revision_that_they_are_based_on(lending: Lending) -> None:
    maker = lending.user("maker")
    view = await lending.submitted(maker)
    path = f"/applications/{view['id']}/withdrawal"
    assert_problem(await lending.intake.post(path, headers=maker.headers), 428)
    assert_problem(await lending.intake.post(path, headers={**maker.headers, "If-Match": "*"}), 400)
    assert_problem(await lending.act(lending.intake, maker, view["id"], "withdrawal", 7), 412)
    assert (await lending.act(lending.intake, maker, view["id"], "withdrawal", 1)).json()[
        "state"
    ] == "WITHDRAWN"


async def test_two_parallel_writes_on_one_revision_give_one_success(lending: Lending) -> None:
    maker = lending.user("maker")
    view = await lending.submitted(maker)
    act = [lending.act(lending.intake, maker, view["id"], "withdrawal", 1) for _ in range(2)]
    assert sorted(response.status_code for response in await asyncio.gather(*act)) == [200, 412]


async def test_states_that_do_not_allow_it_name_what_they_allow(lending: Lending) -> None:
    maker = lending.user("maker")
    content = await lending.content(maker)
    view = (await lending.post(maker, content)).json()
    refused = await lending.act(lending.intake, maker, view["id"], "submission", 1)
    assert assert_problem(refused, 409)["allowed"] == ["expire", "review", "withdraw"]
    headers = {**maker.headers, "If-Match": '"1"'}
    draft = await lending.intake.put(f"/applications/{view['id']}/draft", json=content, headers=headers)
    assert_problem(draft, 409)
    await lending.act(lending.intake, maker, view["id"], "withdrawal", 1)
    over = await lending.act(lending.intake, maker, view["id"], "withdrawal", 2)
    assert assert_problem(over, 409)["allowed"] == []


async def test_only_the_maker_changes_an_application(lending: Lending) -> None:
    maker, other = lending.user("maker"), lending.user("maker")
    content = await lending.content(maker)
    view = (await lending.post(maker, {**content, "submit": False})).json()
    headers = {**other.headers, "If-Match": '"1"'}
    path = f"/applications/{view['id']}"
    content = await lending.content(other)
    assert_problem(await lending.intake.put(f"{path}/draft", json=content, headers=headers), 404)
    assert_problem(await lending.act(lending.intake, other, view["id"], "submission", 1), 404)
    assert_problem(await lending.act(lending.intake, other, view["id"], "withdrawal", 1), 404)
    # Who may see it because of another role learns that it is not theirs to change.
    await lending.act(lending.intake, maker, view["id"], "submission", 1)
    both = lending.user("maker", "officer")
    assert_problem(await lending.act(lending.intake, both, view["id"], "withdrawal", 2), 403)


PATHS = [
    ("POST", "/parties", "officer"),
    ("PATCH", f"/parties/{UNKNOWN}", "auditor"),
    ("POST", "/applications", "officer"),
    ("PUT", f"/applications/{UNKNOWN}/draft", "officer"),
    ("POST", f"/applications/{UNKNOWN}/submission", "auditor"),
    ("POST", f"/applications/{UNKNOWN}/withdrawal", "administrator"),
]


@pytest.mark.parametrize(("method", "path", "role"), PATHS)
async def test_scopes_are_required(lending: Lending, method: str, path: str, role: str) -> None:
    assert_problem(await lending.intake.request(method, path), 401)
    assert_problem(await lending.intake.request(method, path, headers=lending.user(role).headers), 403)


@pytest.mark.parametrize("path", ["/parties", "/applications"])
async def test_what_is_not_there_is_not_found(lending: Lending, path: str) -> None:
    maker = lending.user("maker")
    assert_problem(await lending.intake.get(f"{path}/{UNKNOWN}", headers=maker.headers), 404)
    assert_problem(await lending.intake.get(f"{path}/x", headers=maker.headers), 422, f"/path/{_name(path)}")


async def test_states_are_counted(lending: Lending) -> None:
    maker: User = lending.user("maker")
    view = await lending.submitted(maker)
    await lending.act(lending.intake, maker, view["id"], "withdrawal", 1)
    exposition = (await lending.intake.get("/metrics")).text
    assert 'credit_applications_total{state="SUBMITTED"}' in exposition
    assert 'credit_applications_total{state="WITHDRAWN"}' in exposition


async def test_a_submission_costs_two_spans(lending: Lending) -> None:
    maker = lending.user("maker")
    body = await lending.content(maker)
    recorder = span_recorder()
    recorder.clear()
    await lending.post(maker, body)
    assert recorder.names_beside("POST /applications") == ["POST /applications", "transaction lake"]


def _name(path: str) -> str:
    return {"/parties": "party_id", "/applications": "application_id"}[path]
