"""A platform that speaks TLS: every listener that can, and every client of theirs."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate

from services.platform.components.certificates import Certificates
from services.platform.components.mesh import passwords
from services.platform.platform import Platform
from services.platform.settings import HOST
from tests.conftest import UNSYNCED, Database, beside_others

STARTED = ("intake", "relay", "sink", "verifier", "users", "receiver", "prometheus")
LISTENERS = ("auth", "intake", "relay", "sink", "verifier", "receiver", "zipkin", "kafka", "kafka_controller")
PATIENCE_SECONDS = 60.0
TLS_ALERT = 0x15


@pytest.fixture(scope="module")
async def encrypted(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    """A platform of its own, as far as a change needs it on its way from intake to the replica."""
    home = tmp_path_factory.mktemp("tls")
    platform = Platform(beside_others(home, tls=True, samples=False, postgres_options=UNSYNCED))
    try:
        await platform.up(STARTED)
        yield platform
    finally:
        await platform.reset()


@pytest.fixture
def certificates(encrypted: Platform) -> Certificates:
    made = encrypted.settings.certificates
    assert made is not None
    return made


def listeners(platform: Platform) -> tuple[str, ...]:
    """What listens, without the one process that may be missing where it is."""
    prometheus = ("prometheus",) if "prometheus" in platform.supervisor.all() else ()
    return LISTENERS + prometheus


async def log_in(platform: Platform, **options: Any) -> httpx.Response:
    form = {"username": "maker1", "password": passwords(platform.home)["maker1"]}
    async with httpx.AsyncClient(base_url=platform.settings.http("auth"), **options) as client:
        return await client.post("/token", data=form)


async def test_all_that_was_started_is_ready(encrypted: Platform) -> None:
    statuses = {status.name: status for status in await encrypted.status() if status.state != "STOPPED"}
    assert statuses.keys() >= {"postgres", "auth", "kafka", "zipkin"} | set(STARTED) - {"users", "prometheus"}
    assert [status for status in statuses.values() if not status.ready] == []


async def test_who_looks_without_the_option_is_told_that_nothing_is_ready(encrypted: Platform) -> None:
    plain = Platform(encrypted.settings.model_copy(update={"tls": False}))
    running = [status for status in await plain.status() if status.state == "RUNNING"]
    assert [status.name for status in running if status.ready] == ["postgres"]


async def test_a_login_needs_the_authority(encrypted: Platform, certificates: Certificates) -> None:
    assert encrypted.settings.http("auth").startswith("https://")
    answer = await log_in(encrypted, verify=certificates.client_context())
    assert answer.status_code == 200
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        await log_in(encrypted)
    token = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    async with httpx.AsyncClient(verify=certificates.client_context(), headers=token) as client:
        # Intake has the keys from auth, by the same authority.
        assert (await client.get(f"{encrypted.settings.http('intake')}/products")).status_code == 200


async def test_every_listener_serves_the_certificate(encrypted: Platform, certificates: Certificates) -> None:
    expected = load_pem_x509_certificate(certificates.server.read_bytes()).public_bytes(Encoding.DER)
    for name in listeners(encrypted):
        port = encrypted.settings.port_of(f"{name}_port")
        _, writer = await asyncio.open_connection(HOST, port, ssl=certificates.client_context())
        served = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        assert served == expected, name


async def test_no_listener_understands_plain_text(encrypted: Platform) -> None:
    for name in listeners(encrypted):
        answer = await plain_answer(encrypted.settings.port_of(f"{name}_port"))
        # Prometheus' library says in plain text what is wrong, and nothing else.
        assert not answer or answer[0] == TLS_ALERT or answer.startswith(b"HTTP/1.0 400 "), (name, answer)


async def test_kafka_takes_a_login_over_tls_alone(encrypted: Platform) -> None:
    right = encrypted.kafka_access("relay")
    assert right.protocol == "SASL_SSL"
    for wrong in (replace(right, protocol="SASL_PLAINTEXT"), replace(right, ca_file=None)):
        admin = AIOKafkaAdminClient(**wrong.client(), request_timeout_ms=4000)
        with pytest.raises(KafkaConnectionError):
            await admin.start()
        await admin.close()


async def test_a_change_reaches_the_replica(encrypted: Platform) -> None:
    party = uuid.uuid4()
    async with Database(encrypted, "lake").connect() as lake:
        await lake.execute(
            "INSERT INTO credit.party (id, kind, full_name, created_by, created_at, revision) "
            "VALUES ($1, 'person', 'Over TLS', gen_random_uuid(), clock_timestamp() AT TIME ZONE 'UTC', 1)",
            party,
        )
    async with Database(encrypted, "application").connect() as replica:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await replica.fetchval("SELECT count(*) FROM credit.party WHERE id = $1", party):
                await asyncio.sleep(0.1)


async def test_spans_and_metrics_arrive(encrypted: Platform, certificates: Certificates) -> None:
    settings = encrypted.settings
    async with (
        httpx.AsyncClient(verify=certificates.client_context()) as client,
        asyncio.timeout(PATIENCE_SECONDS),
    ):
        while not {"auth", "intake"} <= set(
            (await client.get(f"{settings.http('zipkin')}/api/v2/services")).json()
        ):
            await asyncio.sleep(0.2)
        if "prometheus" in listeners(encrypted):
            while {"auth", "relay", "zipkin", "prometheus"} - await scraped(
                client, settings.http("prometheus")
            ):
                await asyncio.sleep(0.2)


async def scraped(client: httpx.AsyncClient, prometheus: str) -> set[str]:
    """The jobs whose last scrape went well."""
    answer = await client.get(f"{prometheus}/api/v1/query", params={"query": "up == 1"})
    return {sample["metric"]["job"] for sample in answer.json()["data"]["result"]}


async def plain_answer(port: int) -> bytes:
    """What a listener says to somebody who does not speak TLS, until it hangs up."""
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()
