"""Servers that are frozen: they take connections and answer nothing. Nothing may call itself ready meanwhile."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.faults.proxy import Proxy
from tests.faults.servers import Servers
from tests.integration.replicator.pipeline import Pipeline, party_insert, until
from tests.integration.replicator.test_alerts import prometheus_alerting


@asynccontextmanager
async def frozen(servers: Servers, name: str) -> AsyncIterator[None]:
    """Stop a server with SIGSTOP, and let it go on in the end."""
    pid = (await asyncio.to_thread(servers.platform.supervisor.all))[name].pid
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def unready(pipeline: Pipeline, name: str, *, because: str) -> None:
    """Wait until a process says that it is not ready, and why."""

    async def says() -> bool:
        answer = await pipeline.get(name, "/readyz")
        return answer.status_code == 503 and because in answer.text

    await until(says, f"{name} never said {because!r}", pipeline, name)


async def test_while_kafka_is_frozen_relay_and_sink_are_not_ready_and_the_lag_grows(
    pipeline: Pipeline, servers: Servers
) -> None:
    for name in ("relay", "sink", "verifier"):
        await pipeline.start(name)
    await pipeline.lake(party_insert(10))
    await pipeline.equal()
    async with frozen(servers, "kafka"):
        await pipeline.lake(party_insert(10, "meanwhile"))
        await unready(pipeline, "relay", because="Kafka has acknowledged nothing for")
        await unready(pipeline, "sink", because="Kafka has not answered for")
        status = (await pipeline.get("verifier", "/status")).json()
        assert status["relay_alive"] is False
        [party] = [table for table in status["tables"] if table["table"] == "credit.party"]
        assert party["lag_rows"] == 10
        first = await pipeline.metric("relay", "credit_replication_relay_backlog_seconds")
        await asyncio.sleep(2)
        assert await pipeline.metric("relay", "credit_replication_relay_backlog_seconds") > first + 1
    for name in ("relay", "sink"):
        await pipeline.ready(name)
    await pipeline.equal(120)
    assert await pipeline.metric("relay", "credit_replication_relay_backlog_seconds") == 0
    assert (await pipeline.get("verifier", "/status")).json()["relay_fault"] is None


@pytest.mark.long
async def test_while_kafka_is_frozen_the_backlog_is_an_alert_also_of_a_relay_that_has_just_begun(
    pipeline: Pipeline, servers: Servers, tmp_path: Path
) -> None:
    async with prometheus_alerting(tmp_path / "platform", after_seconds=2) as watching:
        port = str(watching.settings.relay_port)
        await pipeline.start("relay", HTTP_PORT=port)
        await pipeline.start("sink")
        await pipeline.lake(party_insert(10))
        await pipeline.equal()
        while "ReplicationRelayBacklog" in await watching.firing():
            await asyncio.sleep(0.2)
        async with frozen(servers, "kafka"):
            await pipeline.signal("relay", signal.SIGKILL)
            await pipeline.lake(party_insert(10, "meanwhile"))
            # It has sent nothing, and cannot: what waits is known by the journal alone.
            await pipeline.start("relay", HTTP_PORT=port)
            while "ReplicationRelayBacklog" not in await watching.firing():
                await asyncio.sleep(0.2)
        await pipeline.equal(120)
        while "ReplicationRelayBacklog" in await watching.firing():
            await asyncio.sleep(0.2)


@pytest.mark.long
async def test_while_kafka_is_frozen_an_idle_relay_is_not_ready_either(
    pipeline: Pipeline, servers: Servers
) -> None:
    await pipeline.start("relay")
    await pipeline.ready("relay")

    async def has_saved() -> bool:
        [row] = await pipeline.replica("SELECT acknowledged_at FROM replication.relay")
        return row["acknowledged_at"] is not None

    await until(has_saved, "the relay never saved", pipeline, "relay")
    async with frozen(servers, "kafka"):
        await unready(pipeline, "relay", because="Kafka has acknowledged nothing for")
        [row] = await pipeline.replica(
            "SELECT clock_timestamp() - acknowledged_at AS age FROM replication.relay"
        )
        assert row["age"].total_seconds() > 5
    await pipeline.ready("relay")


@pytest.mark.long
async def test_a_relay_that_dies_at_each_start_is_never_ready(pipeline: Pipeline) -> None:
    await pipeline.start("relay")
    await pipeline.lake(party_insert(10))
    await pipeline.relayed()
    await pipeline.signal("relay", signal.SIGKILL)
    [before] = await pipeline.replica("SELECT incarnation FROM replication.relay")
    await pipeline.replica("UPDATE replication.relay SET incarnation = gen_random_uuid()")
    for _ in range(3):
        await pipeline.start("relay")
        while pipeline.processes["relay"].returncode is None:
            try:
                assert (await pipeline.get("relay", "/readyz")).status_code == 503
            except TimeoutError:
                break
            await asyncio.sleep(0.02)
        assert await pipeline.died("relay") == 1
    await pipeline.replica("UPDATE replication.relay SET incarnation = $1", before["incarnation"])


@pytest.mark.long
async def test_while_its_database_is_silent_the_verifier_is_not_ready(
    pipeline: Pipeline, proxy: Proxy
) -> None:
    await pipeline.start("relay")
    await pipeline.start("verifier", APPLICATION_URL=proxy.url(pipeline.application_database.url("verifier")))
    await pipeline.ready("verifier")
    # New connections too: each reading of the status opens one.
    proxy.stall()
    await unready(pipeline, "verifier", because="lake and replica have not both answered for")
