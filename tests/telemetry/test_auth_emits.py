"""What the auth service emits, against the registry."""

import asyncio

import httpx
from cryptography.fernet import Fernet
from pydantic import SecretStr

from services.auth.accounts.passwords import Passwords
from services.auth.accounts.users import Users
from services.auth.domain import NewUser
from services.auth.main import build_app
from services.auth.settings import AuthSettings
from services.chassis.database import ApplicationDatabase
from services.chassis.testing import span_recorder
from services.lake.domain.roles import Role
from tests.conftest import Database
from tests.telemetry.emitted import emitted
from tests.telemetry.registry import Registry

PASSWORD = "correct horse battery staple"
SPANS_A_LOGIN = 4


async def test_auth_emits_what_is_declared_and_all_of_it(
    registry: Registry, fresh_application: Database
) -> None:
    recorder = span_recorder()
    url = fresh_application.url("auth")
    database = ApplicationDatabase.open(url, service="test", pool_size=1)
    await Users(database, Passwords()).add(
        NewUser("ann", "Ann", PASSWORD, frozenset({Role.MAKER}), must_change_password=False)
    )
    await database.dispose()
    settings = AuthSettings(
        http_port=0,
        application_url=SecretStr(url),
        auth_key_encryption_key=SecretStr(Fernet.generate_key().decode()),
    )
    app = build_app(settings, recorder.telemetry)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://auth") as client,
    ):
        while (await client.get("/readyz")).status_code != 200:
            await asyncio.sleep(0.05)
        recorder.clear()
        token = await client.post("/token", data={"username": "ann", "password": PASSWORD})
        login = len(recorder.spans)
        await client.get("/me", headers={"Authorization": f"Bearer {token.json()['access_token']}"})
        await client.get("/nowhere")
        exposition = (await client.get("/metrics")).text

    spans = emitted(recorder.spans, "auth")
    assert registry.span_faults(spans) == []
    assert registry.silent_spans(spans, ["auth"]) == []
    assert login <= SPANS_A_LOGIN
    # Other tests of this run have used metrics of other services; their samples are declared too.
    assert registry.metric_faults("auth", exposition) == []
