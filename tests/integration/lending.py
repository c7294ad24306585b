"""The lending services over one lake and one replica, each its real application behind HTTP."""

from __future__ import annotations

import asyncio
import base64
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import httpx
from fastapi import FastAPI
from pydantic import SecretStr

from services.approval import main as approval
from services.approval.settings import ApprovalSettings
from services.chassis.testing import TokenMaker, span_recorder
from services.intake import main as intake
from services.intake.settings import IntakeSettings
from services.lake.domain.roles import Role, scopes_of
from services.lake.journal.model import CapturedTable
from services.lake.samples.german_credit import read
from services.replicator.replica.tables import create_tables
from services.search import main as search
from services.search.settings import SearchSettings
from tests.conftest import Database

SAMPLE = next(read())
VALUE_DATE_DAYS_BACK = 1_100
APPLICATION: dict[str, Any] = {
    "product_code": "CONSUMER",
    "amount": "1169.00",
    "currency": "DEM",
    "term_months": 6,
    "purpose": "radio/television",
    "channel": "branch",
    "profile": dict(SAMPLE.profile),
}
"""What can be applied for, without the parties."""
TAG_KEY = "a key of a test that tags parties"
OBJECT_KEY = base64.urlsafe_b64encode(b"a key of a test, 32 bytes long..").decode()


@dataclass(frozen=True)
class User:
    """Somebody with an access token of their roles."""

    headers: Mapping[str, str]
    id: uuid.UUID

    def creating(self, key: str | None = None) -> dict[str, str]:
        """Headers of a request that creates something; without a `key` with a new one."""
        return {**self.headers, "Idempotency-Key": key or str(uuid.uuid4())}


@dataclass
class Lending:
    """Clients of the three services, and what tests do with them again and again."""

    lake: Database
    application: Database
    intake: httpx.AsyncClient
    approval: httpx.AsyncClient
    search: httpx.AsyncClient
    tokens: TokenMaker = field(default_factory=TokenMaker)

    @classmethod
    @asynccontextmanager
    async def over(cls, lake: Database, application: Database, **of_intake: Any) -> AsyncIterator[Self]:
        """Over these databases; `of_intake` are further settings of intake."""
        with TemporaryDirectory() as folder:
            stored = {
                "object_store_url": Path(folder).as_uri(),
                "object_store_keys": SecretStr(OBJECT_KEY),
                "person_tag_key": SecretStr(TAG_KEY),
            }
            async with cls._over(lake, application, {**stored, **of_intake}) as made:
                yield made

    @classmethod
    @asynccontextmanager
    async def _over(
        cls, lake: Database, application: Database, of_intake: Mapping[str, Any]
    ) -> AsyncIterator[Self]:
        tokens, telemetry = TokenMaker(), span_recorder().telemetry
        common: dict[str, Any] = {"http_port": 0, "auth_jwks_url": "http://127.0.0.1:1/unused"}
        apps = (
            intake.build(
                IntakeSettings(
                    lake_url=SecretStr(lake.url("intake")), loan_lock_wait_seconds=1, **common, **of_intake
                ),
                telemetry,
                tokens.verifier(),
            ),
            approval.build(
                ApprovalSettings(
                    lake_url=SecretStr(lake.url("approval")),
                    value_date_days_back=VALUE_DATE_DAYS_BACK,
                    **common,
                ),
                telemetry,
                tokens.verifier(),
            ),
            search.build(
                SearchSettings(
                    lake_url=SecretStr(lake.url("search")),
                    application_url=SecretStr(application.url("search")),
                    **common,
                ),
                telemetry,
                tokens.verifier(),
            ),
        )
        async with AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(client_of(app)) for app in apps]
            yield cls(lake, application, *clients, tokens=tokens)

    def user(self, *roles: str, id: uuid.UUID | None = None) -> User:  # noqa: A002 - what it is
        """Somebody with these roles and their scopes."""
        scopes = scopes_of(Role(role) for role in roles)
        user_id = id or uuid.uuid4()
        return User(self.tokens.headers(scopes=scopes, roles=roles, user=user_id), user_id)

    async def party(self, maker: User, *, key: str | None = None, **details: Any) -> str:
        """Put a party on record; its id."""
        body = {"kind": "person", "full_name": "Nguyễn Văn Đạt", **details}
        if body["kind"] == "person":
            body.setdefault("birth_date", "1980-02-29")
        response = await self.intake.post("/parties", json=body, headers=maker.creating(key))
        assert response.status_code == 201, response.text
        return str(response.json()["id"])

    async def content(self, maker: User, **changes: Any) -> dict[str, Any]:
        """What can be applied for, with a new borrower."""
        content = deepcopy(APPLICATION) | changes
        if "parties" not in content:
            content["parties"] = [{"party_id": await self.party(maker), "role": "borrower"}]
        return content

    async def post(self, maker: User, body: Mapping[str, Any], key: str | None = None) -> httpx.Response:
        """POST /applications."""
        return await self.intake.post("/applications", json=body, headers=maker.creating(key))

    async def submitted(self, maker: User, **changes: Any) -> dict[str, Any]:
        """Submit an application; its view."""
        response = await self.post(maker, await self.content(maker, **changes))
        assert response.status_code == 201, response.text
        view: dict[str, Any] = response.json()
        return view

    async def decide(
        self, officer: User, application_id: str, revision: int, outcome: str = "approve", **more: Any
    ) -> httpx.Response:
        """POST a decision on what the officer saw at `revision`."""
        return await self.approval.post(
            f"/applications/{application_id}/decisions",
            json={"outcome": outcome, **more},
            headers={**officer.headers, "If-Match": f'"{revision}"'},
        )

    async def act(
        self, client: httpx.AsyncClient, user: User, application_id: str, what: str, revision: int
    ) -> httpx.Response:
        """POST to `/applications/{id}/{what}` as somebody who saw `revision`."""
        headers = {**user.headers, "If-Match": f'"{revision}"'}
        return await client.post(f"/applications/{application_id}/{what}", headers=headers)

    async def booked(self, *, value_date: date | None = None, **changes: Any) -> dict[str, Any]:
        """Have an application that one officer may approve submitted, approved and booked; the loan's view."""
        view, officer = await self.submitted(self.user("maker"), **changes), self.user("officer")
        assert (await self.decide(officer, view["id"], 1)).status_code == 200
        body = {} if value_date is None else {"value_date": value_date.isoformat()}
        response = await self.book(officer, view["id"], 2, body)
        assert response.status_code == 200, response.text
        loan: dict[str, Any] = response.json()
        return loan

    async def book(
        self, officer: User, application_id: str, revision: int, body: Mapping[str, Any]
    ) -> httpx.Response:
        """POST a booking on what the officer saw at `revision`."""
        return await self.approval.post(
            f"/applications/{application_id}/booking",
            json=body,
            headers={**officer.headers, "If-Match": f'"{revision}"'},
        )

    async def propose(
        self, user: User, loan_id: str, kind: str, *, key: str | None = None, **body: Any
    ) -> httpx.Response:
        """POST a proposal under a loan; of money in the sample's currency."""
        if "amount" in body:
            body.setdefault("currency", "DEM")
        wanted = {"kind": kind, "reason": "as agreed with the committee", **body}
        return await self.intake.post(f"/loans/{loan_id}/proposals", json=wanted, headers=user.creating(key))

    async def settle(
        self, user: User, proposal_id: str, what: str = "confirmation", revision: int = 1
    ) -> httpx.Response:
        """POST the confirmation, rejection or withdrawal of a proposal that was seen at `revision`."""
        headers = {**user.headers, "If-Match": f'"{revision}"'}
        body = {"comment": "not yet"} if what == "rejection" else None
        # On a busy machine others may have the loan for longer than the service waits; then it is to be sent again.
        for _ in range(10):
            answer = await self.intake.post(f"/proposals/{proposal_id}/{what}", json=body, headers=headers)
            if answer.status_code != 503:
                break
            await asyncio.sleep(0.5)
        return answer

    async def by_two(self, user: User, loan_id: str, kind: str, **body: Any) -> httpx.Response:
        """Propose something and have the committee confirm it; the answer to the proposal where that is an error."""
        proposed = await self.propose(user, loan_id, kind, **body)
        if proposed.status_code != 201:
            return proposed
        return await self.settle(self.user("committee"), proposed.json()["id"])

    async def make_replica(self) -> None:
        """Create the replica's tables as the sink does."""
        async with self.lake.connect() as lake, self.application.connect("sink") as replica:
            rows = await lake.fetch("SELECT definition FROM journal.captured_table")
            await create_tables(replica, [CapturedTable.from_json(row["definition"]) for row in rows])

    async def replicate(self) -> None:
        """Make the replica's tables hold what the lake's hold."""
        async with self.lake.connect() as lake, self.application.connect("sink") as replica:
            tables = await lake.fetch("SELECT DISTINCT table_name FROM journal.captured_table")
            async with replica.transaction():
                for (name,) in tables:
                    rows = await lake.fetch(f"SELECT * FROM {name}")
                    await replica.execute(f"DELETE FROM {name}")
                    if rows:
                        schema, table = name.split(".")
                        await replica.copy_records_to_table(
                            table, schema_name=schema, records=rows, columns=list(rows[0].keys())
                        )


@asynccontextmanager
async def client_of(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application that runs in this process."""
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://test", timeout=60) as client,
    ):
        yield client


def assert_problem(response: httpx.Response, status: int, *pointers: str) -> dict[str, Any]:
    """The response is a problem of this status that points at `pointers`, in this order; gives its body."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["status"] == status
    assert body["title"]
    assert body["instance"]
    assert [error["pointer"] for error in body.get("errors", [])] == list(pointers)
    return body


async def rows_of(lending: Lending) -> dict[str, int]:
    """How many rows each table that intake writes has."""
    tables = [
        "credit.party",
        "credit.application",
        "credit.application_version",
        "credit.application_party",
        "credit.application_version_party",
        "credit.application_event",
        "intake.idempotency_key",
    ]
    async with lending.lake.connect() as connection:
        return {name: await connection.fetchval(f"SELECT count(*) FROM {name}") for name in tables}
