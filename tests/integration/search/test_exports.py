"""Exports: what is in them, who sees what, what is recorded, and what happens when the client leaves."""

from __future__ import annotations

import asyncio
import csv
import io
import time
from collections.abc import AsyncGenerator
from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson
import pytest

from services.chassis.database import ApplicationDatabase
from services.chassis.web.identity import Caller
from services.lake.domain.roles import Role, scopes_of
from services.search.domain import Filters, Order
from services.search.exports.domain import COLUMNS, Format
from services.search.exports.repository import ExportRepository
from services.search.exports.service import MOST_AT_ONCE, Exports, TooManyExports, Wish
from tests.integration.lending import Lending, User, assert_problem
from tests.integration.search.portfolio import MAKERS, START, Portfolio

APPLICATIONS = 120
READERS = [Role.MAKER, Role.OFFICER, Role.SENIOR_OFFICER, Role.SERVICING, Role.AUDITOR, Role.ANALYST]


@pytest.fixture(scope="module")
async def portfolio(lending: Lending) -> Portfolio:
    await lending.make_replica()
    async with lending.application.connect("search") as connection:
        assert await connection.fetchval("SELECT search.prepare_replica()") == []
    return await Portfolio.write(lending.application, APPLICATIONS)


def user(lending: Lending, role: Role, *, login_age: int = 60) -> User:
    """Somebody who logged in `login_age` seconds ago."""
    headers = lending.tokens.headers(
        scopes=scopes_of([role]), roles=[role], user=MAKERS[0], auth_time=int(time.time()) - login_age
    )
    return User(headers, MAKERS[0])


async def export(lending: Lending, who: User, form: str = "csv", **parameters: Any) -> httpx.Response:
    return await lending.search.get(f"/applications.{form}", params=parameters, headers=who.headers)


def rows_of(response: httpx.Response) -> list[dict[str, str]]:
    """The rows of a CSV file, whose first and last line must be as they should."""
    assert response.status_code == 200, response.text
    first, *middle, last = csv.reader(io.StringIO(response.text, newline=""))
    assert first[0].startswith("# filters ")
    assert last == [f"# rows {len(middle) - 1} complete"]
    return [dict(zip(middle[0], row, strict=True)) for row in middle[1:]]


@pytest.mark.parametrize("role", READERS)
async def test_case_27_an_export_has_as_many_rows_as_are_counted(
    lending: Lending, portfolio: Portfolio, role: Role
) -> None:
    assert portfolio.rows
    who = user(lending, role)
    filters = {"product": ["CAR", "BUSINESS"], "sort": "-amount"}
    page = (
        await lending.search.get(
            "/applications", params={**filters, "facets": "state", "limit": 200}, headers=who.headers
        )
    ).json()

    rows = rows_of(await export(lending, who, **filters))
    ndjson = (await export(lending, who, "ndjson", **filters)).text.splitlines()

    assert [row["id"] for row in rows] == [item["id"] for item in page["items"]]
    assert len(rows) == page["facets"]["total"]
    assert [orjson.loads(line)["id"] for line in ndjson[1:-1]] == [row["id"] for row in rows]
    assert orjson.loads(ndjson[-1]) == {"rows": len(rows), "complete": True}
    assert list(orjson.loads(ndjson[1])) == list(COLUMNS)


async def test_an_export_says_what_it_is(lending: Lending, portfolio: Portfolio) -> None:
    assert portfolio.rows
    response = await export(lending, user(lending, Role.OFFICER), q="car", channel="branch")
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert response.headers["content-disposition"].startswith('attachment; filename="applications-2')
    assert response.text.startswith("# filters channel=branch&q=car as of 20")


@pytest.mark.parametrize(
    ("role", "reason", "name", "email"),
    [
        (Role.OFFICER, None, True, "s•••@example.com"),
        (Role.SENIOR_OFFICER, None, True, "s•••@example.com"),
        (Role.SENIOR_OFFICER, "for the regulator", True, "somebody@example.com"),
        (Role.COMMITTEE, "for the regulator", True, "somebody@example.com"),
        (Role.AUDITOR, None, True, "s•••@example.com"),
        (Role.ANALYST, None, False, ""),
    ],
)
async def test_personal_data_is_clear_only_for_a_scope_and_a_reason(  # noqa: PLR0917 - pytest passes by name
    lending: Lending, portfolio: Portfolio, role: Role, reason: str | None, name: bool, email: str
) -> None:
    assert portfolio.rows
    more = {} if reason is None else {"reason": reason}
    rows = rows_of(await export(lending, user(lending, role), **more))
    assert {bool(row["borrower_name"]) for row in rows} == {name}
    assert {row["borrower_email"] for row in rows} == {email}


async def test_a_reason_alone_unmasks_nothing(lending: Lending, portfolio: Portfolio) -> None:
    assert portfolio.rows
    for role in (Role.OFFICER, Role.AUDITOR, Role.ANALYST, Role.MAKER):
        assert_problem(await export(lending, user(lending, role), reason="I am curious"), 403)
    senior = user(lending, Role.SENIOR_OFFICER)
    for reason in ("", "…", "x" * 201):
        assert_problem(await export(lending, senior, reason=reason), 422, "/query/reason")


async def test_case_11_a_clear_export_needs_a_recent_login(lending: Lending, portfolio: Portfolio) -> None:
    assert portfolio.rows
    old = user(lending, Role.COMMITTEE, login_age=16 * 60)
    refused = await export(lending, old, reason="for the regulator")
    assert_problem(refused, 401)
    assert "insufficient_user_authentication" in refused.headers["WWW-Authenticate"]
    assert (await export(lending, old)).status_code == 200
    new = user(lending, Role.COMMITTEE)
    assert (await export(lending, new, reason="for the regulator")).status_code == 200


async def test_the_scope_unmasks_nothing_that_another_role_sees_masked(
    lending: Lending, portfolio: Portfolio
) -> None:
    scopes = {"applications:read", "parties:export"}
    headers = lending.tokens.headers(
        scopes=scopes, roles=["auditor"], user=MAKERS[0], auth_time=int(time.time())
    )
    rows = rows_of(await export(lending, User(headers, MAKERS[0]), reason="for the regulator"))
    assert len(rows) == sum(row.submitted_at is not None for row in portfolio.rows)
    assert {row["borrower_email"] for row in rows} == {"s•••@example.com"}


async def test_every_export_is_recorded_without_the_words(lending: Lending, portfolio: Portfolio) -> None:
    assert portfolio.rows
    senior = user(lending, Role.SENIOR_OFFICER)
    rows = rows_of(await export(lending, senior, q="brien", state="BOOKED", reason="for the regulator"))
    async with lending.application.connect() as owner:
        (kept,) = await owner.fetch("SELECT * FROM search.export WHERE filters LIKE '%BOOKED%'")
    assert (kept["caller"], kept["format"], kept["unmasked"]) == (MAKERS[0], "csv", True)
    assert (kept["reason"], kept["row_count"]) == ("for the regulator", len(rows))
    assert (kept["outcome"], kept["finished_at"] >= kept["started_at"]) == ("complete", True)
    assert "brien" not in kept["filters"]
    async with lending.application.connect("search") as search:
        privileges = await search.fetch(
            "SELECT p FROM unnest(ARRAY['UPDATE','DELETE','TRUNCATE']) AS p "
            "WHERE has_table_privilege('search.export', p)"
        )
        assert privileges == []


async def test_a_longer_export_ends_at_the_limit_and_says_so(lending: Lending, portfolio: Portfolio) -> None:
    assert portfolio.rows
    application = ApplicationDatabase.open(lending.application.url("search"), service="search", pool_size=2)
    search = lending.search._transport.app.state.search  # type: ignore[attr-defined]
    exports = Exports(application, search, ExportRepository(), most_rows=10)
    wish = Wish(Filters(), Order.NEWEST, Format.CSV, (), None)
    officer = Caller(MAKERS[0], "officer", frozenset({Role.OFFICER}), frozenset())
    content = b"".join([chunk async for chunk in await exports.begin(wish, START, by=officer)])
    await application.dispose()
    *_, last = content.decode().splitlines()
    assert last.startswith("# rows 10 incomplete")
    assert len(content.splitlines()) == 13


async def test_no_more_exports_run_than_may_however_many_begin_at_once(
    lending: Lending, portfolio: Portfolio
) -> None:
    assert portfolio.rows
    application = ApplicationDatabase.open(lending.application.url("search"), service="search", pool_size=8)
    search = lending.search._transport.app.state.search  # type: ignore[attr-defined]
    exports = Exports(application, search, ExportRepository())
    wish = Wish(Filters(), Order.NEWEST, Format.CSV, (), None)
    officer = Caller(MAKERS[0], "officer", frozenset({Role.OFFICER}), frozenset())

    async def begin() -> AsyncGenerator[bytes]:
        return await exports.begin(wish, START, by=officer)

    begun = await asyncio.gather(*(begin() for _ in range(MOST_AT_ONCE + 3)), return_exceptions=True)
    running = [one for one in begun if isinstance(one, AsyncGenerator)]
    assert len(running) == MOST_AT_ONCE
    assert {type(one) for one in begun if one not in running} == {TooManyExports}
    # Whether they are read or not, each frees its place.
    for one in running[1:]:
        await one.aclose()
    assert len([chunk async for chunk in running[0]]) > 2
    again = await begin()
    await again.aclose()
    await application.dispose()


async def test_a_bad_parameter_is_a_problem_and_no_file(lending: Lending, portfolio: Portfolio) -> None:
    assert portfolio.rows
    officer = user(lending, Role.OFFICER)
    assert_problem(await export(lending, officer, limit=5), 422, "/query/limit")
    assert_problem(await export(lending, officer, amount_min=2, amount_max=1), 422, "/query/amount_min")
    assert_problem(await lending.search.get("/applications.csv"), 401)
    assert (await lending.search.get("/applications.xlsx", headers=officer.headers)).status_code == 404


async def test_case_29_when_the_client_leaves_the_query_is_cancelled(
    lending: Lending, portfolio: Portfolio
) -> None:
    assert portfolio.rows
    app = lending.search._transport.app  # type: ignore[attr-defined]
    who, begun, left = user(lending, Role.OFFICER), asyncio.Event(), asyncio.Event()
    messages = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop()
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message.get("body"):
            begun.set()

    url = urlsplit("/applications.csv?sort=-amount")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": url.path,
        "raw_path": url.path.encode(),
        "query_string": url.query.encode(),
        "headers": [
            (name.lower().encode(), value.encode()) for name, value in {**who.headers, "Host": "test"}.items()
        ],
        "client": ("127.0.0.1", 1),
        "server": ("test", 80),
    }
    waiting = (
        "SELECT count(*) FROM pg_stat_activity WHERE usename = 'search' AND wait_event_type = 'Lock' "
        "AND datname = current_database()"
    )
    async with lending.application.connect() as owner, lending.application.connect() as watcher:
        transaction = owner.transaction()
        async with asyncio.timeout(30):
            await transaction.start()
            # The probe before the file needs the table: it is locked once the file has begun.
            served = asyncio.create_task(app(scope, receive, _locking(send, begun, owner)))
            await begun.wait()
            while not await watcher.fetchval(waiting):
                await asyncio.sleep(0.05)
            left.set()
            await served
            while await watcher.fetchval(waiting):
                await asyncio.sleep(0.05)
        await transaction.rollback()
        kept = await watcher.fetchrow("SELECT * FROM search.export ORDER BY started_at DESC LIMIT 1")
    assert (kept["outcome"], kept["row_count"]) == ("cut", 0)


def _locking(send: Any, begun: asyncio.Event, owner: Any) -> Any:
    async def sending(message: Any) -> None:
        if message.get("body") and not begun.is_set():
            await owner.execute("LOCK TABLE credit.application_party IN ACCESS EXCLUSIVE MODE")
        await send(message)

    return sending
