from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from cryptography.fernet import Fernet
from fastapi import FastAPI
from pydantic import SecretStr

from services.auth.domain import NewUser, Role
from services.auth.main import build_app
from services.auth.passwords import Passwords
from services.auth.service import Users
from services.auth.settings import AuthSettings
from services.chassis.database import ApplicationDatabase
from services.chassis.testing import span_recorder
from tests.conftest import Database

PASSWORD = "correct horse battery staple"


@dataclass
class Clock:
    """A clock that is moved by hand."""

    offset: timedelta = field(default_factory=timedelta)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.offset


def settings(database: Database, key: bytes) -> AuthSettings:
    return AuthSettings(
        http_port=0,
        application_url=SecretStr(database.url("auth")),
        auth_key_encryption_key=SecretStr(key.decode()),
    )


@pytest.fixture(scope="session")
def encryption_key() -> bytes:
    return Fernet.generate_key()


@pytest.fixture
async def users(fresh_application: Database) -> AsyncIterator[Users]:
    database = ApplicationDatabase.open(fresh_application.url("auth"), service="test", pool_size=2)
    users = Users(database, Passwords())
    for name, role in (("ann", Role.MAKER), ("adam", Role.ADMINISTRATOR)):
        await users.create(NewUser(name, name.title(), PASSWORD, frozenset({role})))
    yield users
    await database.dispose()


@pytest.fixture
async def app(users: Users, fresh_application: Database, encryption_key: bytes) -> AsyncIterator[FastAPI]:
    assert await users.find("ann")
    app = build_app(settings(fresh_application, encryption_key), span_recorder().telemetry)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://auth") as client:
        while (await client.get("/.well-known/jwks.json")).status_code == 503:
            pass
        yield client


async def log_in(client: httpx.AsyncClient, username: str, password: str = PASSWORD) -> httpx.Response:
    return await client.post("/token", data={"username": username, "password": password})


async def headers(client: httpx.AsyncClient, username: str) -> dict[str, str]:
    response = await log_in(client, username)
    assert response.status_code == 200, response.text
    return {"Authorization": f"Bearer {response.json()['access_token']}"}
