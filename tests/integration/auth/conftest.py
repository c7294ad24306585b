import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from argon2 import PasswordHasher
from cryptography.fernet import Fernet
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import URL, make_url

from services.auth.accounts.passwords import Passwords
from services.auth.accounts.users import Users
from services.auth.domain import NewUser
from services.auth.main import build_app
from services.auth.settings import AuthSettings
from services.chassis.database import ApplicationDatabase
from services.chassis.testing import span_recorder
from services.lake.domain.roles import Role
from tests.conftest import Database

PASSWORD = "correct horse battery staple"


@dataclass
class Clock:
    """A clock that is moved by hand."""

    offset: timedelta = field(default_factory=timedelta)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.offset


class Wire:
    """A connection to a server that can be cut and mended."""

    def __init__(self, target: URL) -> None:
        self._target = target
        self._port = 0
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    @classmethod
    @asynccontextmanager
    async def to(cls, url: str) -> AsyncIterator["Wire"]:
        wire = cls(make_url(url))
        await wire.mend()
        yield wire
        await wire.cut()

    @property
    def url(self) -> str:
        return self._target.set(port=self._port).render_as_string(hide_password=False)

    async def mend(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        assert self._server
        self._server.close()
        for writer in self._open:
            writer.transport.abort()
        await self._server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection(self._target.host, self._target.port)
        self._open |= {writer, there[1]}
        await asyncio.gather(self._copy(reader, there[1]), self._copy(there[0], writer))

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()
        self._open.discard(writer)


def settings(url: str, key: bytes) -> AuthSettings:
    return AuthSettings(
        http_port=0,
        application_url=SecretStr(url),
        auth_key_encryption_key=SecretStr(key.decode()),
    )


def quick_passwords() -> Passwords:
    """Passwords whose hashes take no time; tests/unit/auth has the real parameters, test_process the real process."""
    return Passwords(PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))


@pytest.fixture(scope="session")
def encryption_key() -> bytes:
    return Fernet.generate_key()


@pytest.fixture
async def users(fresh_application: Database) -> AsyncIterator[Users]:
    database = ApplicationDatabase.open(fresh_application.url("auth"), service="test", pool_size=2)
    users = Users(database, quick_passwords())
    for name, role in (
        ("ann", Role.MAKER),
        ("adam", Role.ADMINISTRATOR),
        ("berta", Role.ADMINISTRATOR),
        ("ida", Role.AUDITOR),
    ):
        await users.add(NewUser(name, name.title(), PASSWORD, frozenset({role}), must_change_password=False))
    yield users
    await database.dispose()


@asynccontextmanager
async def served(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client of `app`, which has its keys."""
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://auth") as client,
    ):
        while (await client.get("/.well-known/jwks.json")).status_code == 503:
            await asyncio.sleep(0.01)
        yield client


@pytest.fixture
async def app(users: Users, fresh_application: Database, encryption_key: bytes) -> FastAPI:
    assert await users.find("ann")
    return build_app(
        settings(fresh_application.url("auth"), encryption_key),
        span_recorder().telemetry,
        passwords=quick_passwords(),
    )


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with served(app) as client:
        yield client


def elsewhere(app: FastAPI, address: str) -> httpx.AsyncClient:
    """A client at another address; `app` is served already."""
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app, client=(address, 1)), base_url="http://auth", timeout=30
    )


async def log_in(client: httpx.AsyncClient, username: str, password: str = PASSWORD) -> httpx.Response:
    return await client.post("/token", data={"username": username, "password": password})


async def headers(client: httpx.AsyncClient, username: str, password: str = PASSWORD) -> dict[str, str]:
    response = await log_in(client, username, password)
    assert response.status_code == 200, response.text
    return bearer(response.json()["access_token"])


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
