"""Search over a replica: what is found, in which order, and what is refused."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import pytest

from tests.integration.lending import Lending, User, assert_problem

UNKNOWN = str(uuid.uuid4())


@pytest.fixture(scope="module")
async def made(lending: Lending) -> dict[str, dict[str, Any]]:
    """Three applications in a replica whose indexes search has made, by a name for each."""
    maker = lending.user("maker")
    dat = await lending.party(maker, full_name="Nguyễn Văn Đạt", email="dat.nguyen@example.com")
    binh = await lending.party(maker, full_name="Trần Thị Bình", email="binh@example.org")
    firm = await lending.party(maker, kind="organisation", full_name="O'Brien & Sons 24/7 GmbH")
    views = {}
    for name, party_id, changes in (
        ("dat", dat, {"purpose": "car (new)", "amount": "900", "product_code": "CAR"}),
        ("binh", binh, {"purpose": "education", "amount": "5000"}),
        ("firm", firm, {"purpose": "business", "amount": "20000", "channel": "partner"}),
    ):
        parties = [{"party_id": party_id, "role": "borrower"}]
        views[name] = await lending.submitted(maker, parties=parties, **changes)
    draft = {**await lending.content(maker, parties=[{"party_id": dat, "role": "borrower"}]), "submit": False}
    assert (await lending.post(maker, draft)).status_code == 201
    await lending.make_replica()
    await lending.replicate()
    await prepared(lending)
    return views


async def prepared(lending: Lending) -> None:
    """Ask for the indexes as search's own loop does."""
    async with lending.application.connect("search") as connection:
        assert await connection.fetchval("SELECT search.prepare_replica()") == []


async def find(lending: Lending, user: User | None = None, **parameters: Any) -> httpx.Response:
    headers = (user or lending.user("officer")).headers
    return await lending.search.get("/applications", params=parameters, headers=headers)


async def found(lending: Lending, made: dict[str, dict[str, Any]], **parameters: Any) -> list[str]:
    """The names of what is found, in order."""
    response = await find(lending, **parameters)
    assert response.status_code == 200, response.text
    names = {view["id"]: name for name, view in made.items()}
    return [names[item["id"]] for item in response.json()["items"]]


async def test_everything_submitted_is_found_newest_first(lending: Lending, made: Any) -> None:
    assert await found(lending, made) == ["firm", "binh", "dat"]
    item = (await find(lending, q="Bình")).json()["items"][0]
    view = made["binh"]
    assert item == {
        "id": view["id"],
        "state": "SUBMITTED",
        "revision": 1,
        "version": 1,
        "product_code": "CONSUMER",
        "amount": "5000.0000",
        "currency": "DEM",
        "term_months": 6,
        "purpose": "education",
        "channel": "branch",
        "score": view["score"],
        "maker": view["created_by"],
        "borrower_id": view["parties"][0]["party_id"],
        "borrower_name": "Trần Thị Bình",
        "submitted_at": view["submitted_at"],
        "decided_at": None,
        "highlights": [{"field": "borrower_name", "from": 9, "to": 13}],
    }


@pytest.mark.parametrize(
    ("q", "names"),
    [
        ("Nguyễn", ["dat"]),
        ("nguyen", ["dat"]),
        ("NGUYEN VAN DAT", ["dat"]),
        ("dat nguy", ["dat"]),
        ("ngu", ["dat"]),
        ("đạt", ["dat"]),
        ("guyen", []),
        ("tran binh", ["binh"]),
        ("dat.nguyen@example.com", ["dat"]),
        ("example", ["binh", "dat"]),
        ("example.org", ["binh"]),
        ("O'Brien", ["firm"]),
        ("24/7", ["firm"]),
        ("educ", ["binh"]),
        ("car new", ["dat"]),
        ("nguyen car", ["dat"]),
        ("nguyen education", []),
        ("", ["firm", "binh", "dat"]),
        ("  ", ["firm", "binh", "dat"]),
        ("&|!():*", []),
        ("%", []),
        ("' OR 1=1 --", []),
    ],
)
async def test_words_are_found_wherever_they_begin(
    lending: Lending, made: Any, q: str, names: list[str]
) -> None:
    assert await found(lending, made, q=q) == names


async def test_an_id_is_found_by_its_beginning(lending: Lending, made: Any) -> None:
    identifier = made["binh"]["id"]
    assert await found(lending, made, q=identifier) == ["binh"]
    assert await found(lending, made, q=identifier.upper()) == ["binh"]
    assert "binh" in await found(lending, made, q=identifier[:8])
    assert await found(lending, made, q=identifier[1:]) == []


async def test_filters_narrow_what_is_found(lending: Lending, made: Any) -> None:
    binh = made["binh"]
    assert await found(lending, made, product="CAR") == ["dat"]
    assert await found(lending, made, product=["CAR", "NOTHING"]) == ["dat"]
    assert await found(lending, made, channel="partner") == ["firm"]
    assert await found(lending, made, band="nothing") == []
    assert await found(lending, made, month=binh["submitted_at"][:7]) == ["firm", "binh", "dat"]
    assert await found(lending, made, month="1999-12") == []
    assert await found(lending, made, currency="EUR") == []
    assert await found(lending, made, amount_min="5000", amount_max="5000") == ["binh"]
    assert await found(lending, made, submitted_from=binh["submitted_at"]) == ["firm", "binh"]
    assert await found(lending, made, submitted_to=binh["submitted_at"]) == ["binh", "dat"]
    assert await found(lending, made, state=["SUBMITTED", "BOOKED"]) == ["firm", "binh", "dat"]
    assert await found(lending, made, state="BOOKED") == []
    assert await found(lending, made, maker=binh["created_by"]) == ["firm", "binh", "dat"]
    assert await found(lending, made, maker=UNKNOWN) == []


@pytest.mark.parametrize("limit", [1, 2, 3])
async def test_pages_follow_each_other(lending: Lending, made: Any, limit: int) -> None:
    ids: list[str] = []
    after: dict[str, str] = {}
    officer = lending.user("officer")
    for _ in range(4):
        page = (await find(lending, officer, limit=limit, **after)).json()
        ids += [item["id"] for item in page["items"]]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert ids == [made[name]["id"] for name in ("firm", "binh", "dat")]


@pytest.mark.parametrize(
    "others",
    [
        {"product": "CAR"},
        {"state": ["SUBMITTED", "BOOKED"]},
        {"state": "BOOKED"},
        {"currency": "DEM", "state": "SUBMITTED"},
        {"q": "nguyen", "state": "SUBMITTED"},
        {},
    ],
)
async def test_case_16_a_cursor_of_other_filters_is_refused(
    lending: Lending, made: Any, others: dict[str, Any]
) -> None:
    assert made
    officer = lending.user("officer")
    first = (await find(lending, officer, limit=1, state="SUBMITTED")).json()
    after = {"limit": 1, "after": first["next"]}

    assert (await find(lending, officer, state="SUBMITTED", **after)).status_code == 200
    assert_problem(await find(lending, officer, **others, **after), 400)


@pytest.mark.parametrize(
    ("parameters", "status", "pointers"),
    [
        ({"limit": 0}, 422, ["/query/limit"]),
        ({"state": "LOST"}, 422, ["/query/state/0"]),
        ({"amount_min": "x"}, 422, ["/query/amount_min"]),
        ({"amount_min": "NaN"}, 422, ["/query/amount_min"]),
        ({"amount_min": 2, "amount_max": 1}, 422, ["/query/amount_min"]),
        ({"submitted_from": "yesterday"}, 422, ["/query/submitted_from"]),
        ({"submitted_from": "2026-01-01T00:00:00"}, 422, ["/query/submitted_from"]),
        ({"submitted_from": "0001-01-01T00:00:00+14:00"}, 422, ["/query/submitted_from"]),
        ({"maker": "me"}, 422, ["/query/maker"]),
        ({"q": "a\u0000b"}, 422, ["/query/q"]),
        ({"q": "a " * 9}, 422, ["/query/q"]),
        ({"colour": "blue"}, 422, ["/query/colour"]),
        ({"after": "x"}, 400, []),
        ({"after": "AAAA"}, 400, []),
    ],
)
async def test_bad_parameters_are_pointed_at(
    lending: Lending, made: Any, parameters: dict[str, Any], status: int, pointers: list[str]
) -> None:
    assert made
    assert_problem(await find(lending, **parameters), status, *pointers)


async def test_the_index_is_used(lending: Lending, made: Any) -> None:
    assert made
    async with lending.application.connect("search") as connection, connection.transaction():
        # With so few rows a scan is cheaper; what counts is that the index can be used.
        await connection.execute("SET LOCAL enable_seqscan = off")
        plan = await connection.fetch(
            "EXPLAIN SELECT id FROM credit.party "
            "WHERE search.party_document(full_name, email) @@ search.prefix_query('nguyen')"
        )
    assert "search_party_document" in "\n".join(row[0] for row in plan)


async def test_search_may_only_read_the_replica(lending: Lending, made: Any) -> None:
    assert made
    async with lending.application.connect("search") as connection:
        privileges = await connection.fetch(
            "SELECT relname, p FROM pg_class, unnest(ARRAY['INSERT','UPDATE','DELETE','TRUNCATE']) AS p "
            "WHERE relnamespace = 'credit'::regnamespace AND relkind = 'r' AND has_table_privilege(oid, p)"
        )
    assert privileges == []


@pytest.mark.parametrize(
    "path", ["/applications/{id}", "/applications/{id}?source=lake", "/lake/applications/{id}"]
)
async def test_a_record_is_shown_whole(lending: Lending, made: Any, path: str) -> None:
    maker, officer, auditor = lending.user("maker"), lending.user("officer"), lending.user("auditor")
    view = await lending.submitted(maker)
    assert made
    await lending.decide(officer, view["id"], 1)
    loan = (await lending.act(lending.approval, officer, view["id"], "booking", 2)).json()
    await lending.replicate()
    response = await lending.search.get(path.format(id=view["id"]), headers=auditor.headers)
    record = response.json()
    assert ("Replica-Lag" in response.headers) == ("lake" not in path)
    assert (response.status_code, response.headers["ETag"]) == (200, '"3"')
    assert record["application"]["state"] == "BOOKED"
    assert record["versions"][0]["profile"] == {**view["profile"], "age_years": view["age_years"]}
    assert record["versions"][0]["score_reasons"] == view["score_reasons"]
    assert [one["full_name"] for one in record["parties"]] == ["Nguyễn Văn Đạt"]
    assert [one["decided_by"] for one in record["decisions"]] == [str(officer.id)]
    states = [one["to_state"] for one in record["events"]]
    assert states == ["SUBMITTED", "IN_REVIEW", "APPROVED", "BOOKED"]
    assert record["loan"]["instalments"] == loan["instalments"]
    assert [one["kind"] for one in record["loan"]["transactions"]] == ["disbursement"]
    # Gone again, so that the other tests find three applications.
    async with lending.application.connect("sink") as connection:
        await connection.execute("DELETE FROM credit.application WHERE id = $1", uuid.UUID(view["id"]))


@pytest.mark.parametrize("source", ["replica", "lake"])
async def test_an_unknown_record_is_not_found(lending: Lending, made: Any, source: str) -> None:
    assert made
    headers = lending.user("auditor").headers
    response = await lending.search.get(f"/applications/{UNKNOWN}?source={source}", headers=headers)
    assert_problem(response, 404)
    response = await lending.search.get(f"/applications/{UNKNOWN}?source=memory", headers=headers)
    assert_problem(response, 422, "/query/source")


async def test_the_audit_shows_who_changed_what_in_which_trace(lending: Lending) -> None:
    maker, officer = lending.user("maker"), lending.user("officer")
    first = {"party_id": await lending.party(maker), "role": "borrower"}
    second = {"party_id": await lending.party(maker), "role": "borrower"}
    content = await lending.content(maker, parties=[first])
    view = (await lending.post(maker, content)).json()
    trace = "1af7651916cd43dd8448eb211c80319c"
    traced = User({**officer.headers, "traceparent": f"00-{trace}-b7ad6b7169203331-01"}, officer.id)
    await lending.decide(traced, view["id"], 1, "return", reason_code="other")
    headers = {**maker.headers, "If-Match": '"2"'}
    path = f"/applications/{view['id']}"
    await lending.intake.put(f"{path}/draft", json={**content, "parties": [second]}, headers=headers)
    await lending.act(lending.intake, maker, view["id"], "submission", 3)
    response = await lending.search.get(f"{path}/audit", headers=lending.user("auditor").headers)
    changes = response.json()["items"]
    assert [(one["table"].removeprefix("credit."), one["operation"], one["actor"]) for one in changes] == [
        ("application", "c", str(maker.id)),
        ("application_version", "c", str(maker.id)),
        ("application_party", "c", str(maker.id)),
        ("application_version_party", "c", str(maker.id)),
        ("application_event", "c", str(maker.id)),
        ("application", "u", str(officer.id)),
        ("decision", "c", str(officer.id)),
        ("application_event", "c", str(officer.id)),
        ("application_event", "c", str(officer.id)),
        ("application", "u", str(maker.id)),
        ("application", "u", str(maker.id)),
        ("application_version", "c", str(maker.id)),
        ("application_party", "d", str(maker.id)),
        ("application_party", "c", str(maker.id)),
        ("application_version_party", "c", str(maker.id)),
        ("application_event", "c", str(maker.id)),
    ]
    assert {one["trace_id"] for one in changes if one["actor"] == str(officer.id)} == {trace}
    positions = [tuple(map(int, one["position"].split("."))) for one in changes]
    assert positions == sorted(positions)
    deleted = next(one for one in changes if one["operation"] == "d")
    assert (deleted["image"], deleted["key"]) == (None, [view["id"], first["party_id"], "borrower"])
    assert changes[6]["image"]["reason_code"] == "other"


async def test_scopes_are_required(lending: Lending) -> None:
    for path in ("/applications", f"/applications/{UNKNOWN}", f"/applications/{UNKNOWN}/audit"):
        assert_problem(await lending.search.get(path), 401)
    for role in ("maker", "officer"):
        response = await lending.search.get(
            f"/applications/{UNKNOWN}/audit", headers=lending.user(role).headers
        )
        assert_problem(response, 403)
    response = await lending.search.get(
        f"/applications/{UNKNOWN}/audit", headers=lending.user("auditor").headers
    )
    assert_problem(response, 404)
