import asyncio
import json
import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx

from services.chassis.web.identity import TokenVerifier
from tests.integration.auth.conftest import bearer, log_in

ROOT = Path(__file__).parents[3]


async def _run(*arguments: str, environment: Mapping[str, str], stdin: bytes = b"") -> tuple[int, str, str]:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.auth.main",
        *arguments,
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await asyncio.wait_for(child.communicate(stdin), 60)
    assert child.returncode is not None
    return child.returncode, output.decode(), errors.decode()


async def test_from_an_empty_database_to_a_verified_token(
    application_url: str, encryption_key: bytes, tmp_path: Path, unused_tcp_port: int
) -> None:
    owner = {"APPLICATION_URL": application_url}
    many = [
        {
            "username": name,
            "display_name": name.title(),
            "roles": [role],
            "password": "a long enough password",
            "must_change_password": False,
        }
        for name, role in (("max", "maker"), ("berta", "administrator"))
    ]
    file = tmp_path / "adam.password"
    migrated = await _run("migrate", environment=owner)
    created = await _run(
        "create-user",
        "--username",
        "adam",
        "--role",
        "administrator",
        "--password-file",
        str(file),
        environment=owner,
    )
    more = await _run("create-users", stdin=json.dumps(many).encode(), environment=owner)
    short = await _run(
        "create-user", "--username", "x1", "--role", "maker", stdin=b"tiny\n", environment=owner
    )

    assert [migrated[0], created[0], more[0]] == [0, 0, 0], (migrated, created, more)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert short[0] == 1
    assert "password" in short[2]
    assert "tiny" not in short[2]

    server = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.auth.main",
        cwd=ROOT,
        env={
            **os.environ,
            **owner,
            "HTTP_PORT": str(unused_tcp_port),
            "HTTP_DRAIN_SECONDS": "0",
            "AUTH_KEY_ENCRYPTION_KEY": encryption_key.decode(),
        },
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{unused_tcp_port}") as client:
            await _ready(client)
            first = await log_in(client, "adam", file.read_text().strip())
            login = await log_in(client, "berta", "a long enough password")
            token = login.json()["access_token"]
            listed = await client.get("/users", headers=bearer(token))
            metrics = (await client.get("/metrics")).text
            documented = (await client.get("/openapi.json")).json()["paths"]
        caller = await TokenVerifier(
            "creditmesh", f"http://127.0.0.1:{unused_tcp_port}/.well-known/jwks.json"
        ).verify(token)
    finally:
        server.terminate()
        status = await asyncio.wait_for(server.wait(), 30)

    assert first.json()["password_change_required"], "who has read the file knows the password"
    assert (caller.username, [user["username"] for user in listed.json()["items"]]) == (
        "berta",
        ["adam", "berta", "max"],
    )
    assert 'auth_logins_total{outcome="accepted"} 2.0' in metrics
    assert {
        "/token",
        "/logout",
        "/me",
        "/me/password",
        "/users",
        "/users/{user_id}",
        "/.well-known/jwks.json",
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
        "/revocations",
        "/users/{user_id}/reset-codes",
        "/users/{user_id}/reset-codes/{code_id}/confirmation",
        "/password-resets",
        "/me/otp",
        "/me/otp/confirmation",
        "/me/otp/recovery-codes",
        "/me/otp/removal",
        "/users/{user_id}/otp",
        "/revoke",
        "/introspect",
        "/clients",
        "/clients/{client_id}",
        "/clients/{client_id}/secrets",
        "/clients/{client_id}/secrets/{secret_id}/confirmation",
        "/clients/{client_id}/secrets/{secret_id}/refusal",
        "/sessions",
        "/sessions/{session_id}",
        "/proposals",
        "/proposals/{proposal_id}",
        "/proposals/{proposal_id}/confirmation",
        "/proposals/{proposal_id}/refusal",
        "/events",
    } == set(documented)
    assert status == 0


async def test_bad_settings_are_all_named() -> None:
    status, _, errors = await _run(
        environment={"APPLICATION_URL": "", "AUTH_KEY_ENCRYPTION_KEY": "not-a-key-but-secret"}
    )

    assert status == 2
    assert "AUTH_KEY_ENCRYPTION_KEY is wrong" in errors
    assert "APPLICATION_URL is wrong" in errors
    assert "not-a-key-but-secret" not in errors


async def _ready(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                if (await client.get("/readyz")).status_code == 200:
                    return
            except httpx.TransportError:
                await asyncio.sleep(0.1)
