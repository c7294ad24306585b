"""The dashboard over a real auth and a database of its own; the lending services behind it are played."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher
from cryptography.fernet import Fernet
from fastapi import FastAPI
from pydantic import SecretStr

from services.auth.accounts.passwords import Passwords
from services.auth.accounts.users import Users
from services.auth.domain import NewUser
from services.auth.main import build_app
from services.auth.settings import AuthSettings
from services.chassis.database import ApplicationDatabase
from services.chassis.testing import span_recorder
from services.dashboard.main import build
from services.dashboard.settings import DashboardSettings
from services.lake.domain.roles import Role
from tests.conftest import Database

PASSWORD = "correct horse battery staple"
ORIGIN = "http://127.0.0.1:17100"
PEOPLE = {
    "mia": Role.MAKER,
    "olga": Role.OFFICER,
    "ada": Role.AUDITOR,
    "ann": Role.ADMINISTRATOR,
}

PLAYED = ("intake", "approval", "search", "analytics", "prometheus", "traces")


@dataclass
class Clock:
    """A clock that is moved by hand."""

    offset: timedelta = field(default_factory=timedelta)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.offset


@dataclass
class Desk:
    """The dashboard's application, and what it stands on."""

    app: FastAPI
    auth: httpx.AsyncClient
    database: Database
    clock: Clock
    called: list[httpx.Request]

    def browser(self, **options: Any) -> Browser:
        """A browser that nobody has used."""
        return Browser(
            httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url=ORIGIN, timeout=30, **options)
        )

    async def logged_in(self, username: str) -> Browser:
        """A browser in which somebody is logged in."""
        browser = self.browser()
        answer = await browser.log_in(username)
        assert answer.status_code == 303, answer.text
        return browser


@dataclass
class Browser:
    """What a browser does without running a script."""

    http: httpx.AsyncClient

    async def form_token(self) -> str:
        """Open the login; the token of its form."""
        page = await self.http.get("/login")
        assert page.status_code == 200
        found = re.search(r'name="token" value="([0-9a-f]+)"', page.text)
        assert found
        return found.group(1)

    async def post(self, path: str, headers: dict[str, str] | None = None, **fields: str) -> httpx.Response:
        """Send a form of ours."""
        return await self.http.post(
            path, data=fields, headers={"Sec-Fetch-Site": "same-origin", **(headers or {})}
        )

    async def log_in(self, username: str, password: str = PASSWORD, **fields: str) -> httpx.Response:
        """Fill in the login and send it."""
        token = await self.form_token()
        return await self.post("/login", username=username, password=password, token=token, **fields)

    async def call(self, body: Any, headers: dict[str, str] | None = None) -> httpx.Response:
        """Send a callback."""
        return await self.http.post(
            "/_dash-update-component",
            json=body,
            headers={"Sec-Fetch-Site": "same-origin", **(headers or {})},
        )


def request_for(output: str, callback: dict[str, Any]) -> dict[str, Any]:
    """A request for a callback as the browser sends it, without values."""
    names = output.strip(".").split("...") if output.startswith("..") else [output]
    outputs = [dict(zip(("id", "property"), name.rsplit(".", 1), strict=True)) for name in names]
    return {
        "output": output,
        "outputs": outputs if output.startswith("..") else outputs[0],
        "inputs": [dict(one) for one in callback["inputs"]],
        "state": [dict(one) for one in callback["state"]],
        "changedPropIds": [],
    }


Transports = Mapping[str, httpx.AsyncBaseTransport]


@pytest.fixture(scope="module")
async def desk(application: Database) -> AsyncIterator[Desk]:
    """The dashboard with one user a role."""
    async with desk_over(application) as made:
        yield made


@asynccontextmanager
async def desk_over(
    application: Database,
    real: Callable[[Mapping[str, Any]], Transports] = lambda _: {},
    people: Mapping[str, Role] = PEOPLE,
) -> AsyncIterator[Desk]:
    """The dashboard with these people; `real` gives the services that are not played, for the keys of auth's tokens."""
    passwords = Passwords(PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    database = ApplicationDatabase.open(application.url("auth"), service="test", pool_size=2)
    users = Users(database, passwords)
    for name, role in people.items():
        await users.add(NewUser(name, name.title(), PASSWORD, frozenset({role}), must_change_password=False))
    await database.dispose()
    auth = build_app(
        AuthSettings(
            http_port=0,
            application_url=SecretStr(application.url("auth")),
            auth_key_encryption_key=SecretStr(Fernet.generate_key().decode()),
        ),
        span_recorder().telemetry,
        passwords=passwords,
    )
    called: list[httpx.Request] = []

    def play(request: httpx.Request) -> httpx.Response:
        called.append(request)
        return httpx.Response(200, json={"items": [], "next": None})

    clock = Clock()
    played = httpx.MockTransport(play)
    async with (
        auth.router.lifespan_context(auth),
        httpx.AsyncClient(transport=httpx.ASGITransport(auth), base_url="http://auth") as client,
    ):
        while (keys := await client.get("/.well-known/jwks.json")).status_code == 503:
            await asyncio.sleep(0.01)
        dashboard = build(
            DashboardSettings(
                application_url=SecretStr(application.url("dashboard")),
                dashboard_url=ORIGIN,
                dashboard_session_keys=SecretStr(Fernet.generate_key().decode()),
                **{f"{name}_url": f"http://{name}" for name in ("auth", *PLAYED)},
            ),
            span_recorder().telemetry,
            {
                "auth": httpx.ASGITransport(auth),
                **dict.fromkeys(PLAYED, played),
                **real(keys.json()),
            },
            clock=clock,
        )
        async with dashboard.router.lifespan_context(dashboard):
            yield Desk(dashboard, client, application, clock, called)
