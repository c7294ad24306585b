"""Cases that the tests play for seconds and the soak for minutes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import signal
import uuid
from dataclasses import dataclass, field

import httpx
import psutil
from aiokafka.errors import KafkaError
from cryptography.fernet import Fernet

from services.chassis.messaging import close, open_consumer
from services.platform.components.mesh import run_once
from tests.conftest import Database
from tests.faults.writers import writing
from tests.integration.replicator.pipeline import Pipeline, until

TOPICS = ("credit.party", "credit.application")
PARTY_OF_ONE = """(id, kind, full_name, created_by, created_at, revision)
    VALUES (gen_random_uuid(), 'person', 'waits', gen_random_uuid(), clock_timestamp() AT TIME ZONE 'UTC', 1)"""
USER, PASSWORD = "mia", "a password that is long enough"


async def rebalance_storm(pipeline: Pipeline, *, seconds: float, seed: int, least: int = 0) -> int:
    """Case 11: three sinks, while others join their group and leave it and sinks are stopped and killed.

    It lasts for `seconds`, and longer until there were `least` rebalances: a busy machine starts processes slowly.

    Returns how often a member joined, left, was stopped or killed; each of these makes the group rebalance.
    """
    chance = random.Random(seed)
    await pipeline.start("relay")
    for number in range(3):
        await pipeline.start(f"sink{number}", "sink")
    ends = asyncio.get_running_loop().time() + seconds
    rebalances = 0
    async with writing(pipeline.lake_database, writers=4, seed=seed, pause=0.02):
        while rebalances < least or asyncio.get_running_loop().time() < ends:
            rebalances += 1
            sink = f"sink{chance.randrange(3)}"
            match chance.choices(("guest", "stop", "kill"), (8, 1, 1))[0]:
                case "guest":
                    await be_a_guest(pipeline, chance.uniform(0.2, 2))
                case "stop":
                    await pipeline.signal(sink, signal.SIGSTOP)
                    # Longer than its session lasts now and then, so that it comes back as a zombie.
                    await asyncio.sleep(chance.uniform(0.5, 8))
                    await pipeline.signal(sink, signal.SIGCONT)
                case _:
                    await pipeline.signal(sink, signal.SIGKILL)
                    await pipeline.start(sink, "sink")
    await pipeline.equal(120)
    for number in range(3):
        assert pipeline.processes[f"sink{number}"].returncode is None, pipeline.log(f"sink{number}")
    return rebalances


async def be_a_guest(pipeline: Pipeline, seconds: float) -> None:
    """Join the sinks' group, take partitions, do nothing with them, leave."""
    topics = [pipeline.prefix + table for table in TOPICS]
    with contextlib.suppress(KafkaError):
        guest = await open_consumer(
            pipeline.kafka, f"{pipeline.prefix}sink", "guest", topics, session_timeout_millis=6000
        )
        try:
            await asyncio.sleep(seconds)
        finally:
            await close(guest)


async def held_horizon(pipeline: Pipeline, *, seconds: float, seed: int) -> float:
    """Case 3: a transaction stays open and idle while others write; nothing of theirs may pass it.

    Returns for how long the relay says that it was held, in seconds.
    """
    await pipeline.start("relay")
    await pipeline.start("sink")
    async with (
        pipeline.lake_database.connect() as idle,
        writing(pipeline.lake_database, writers=2, seed=seed, pause=0.02),
    ):
        transaction = idle.transaction()
        await transaction.start()
        held = await idle.fetchval("INSERT INTO credit.party " + PARTY_OF_ONE + " RETURNING id")
        before = int(await idle.fetchval("SELECT max(position) FROM journal.change"))
        await asyncio.sleep(seconds)
        reported = await pipeline.metric("relay", "credit_replication_horizon_held_seconds")
        [row] = await pipeline.replica("SELECT max(position_major) AS reached FROM replication.sink_offset")
        assert row["reached"] < before, "something written behind the open transaction has passed it"
        await transaction.commit()
    await pipeline.equal(120)
    assert await pipeline.replica("SELECT 1 FROM credit.party WHERE id = $1", held)
    return reported


@dataclass
class Outage:
    """What was seen while the application database refused to be written to."""

    logins: set[int] = field(default_factory=set)
    """HTTP statuses of auth's answers to logins with the right password."""
    parties: set[int] = field(default_factory=set)
    """HTTP statuses of intake's answers to new parties, sent with a token from before."""
    lag_seconds: float = 0
    """How far the sink said, at the end, that it was behind."""
    peak_bytes: int = 0
    """The most that relay or sink held in memory."""


async def read_only(pipeline: Pipeline, *, seconds: float, seed: int) -> Outage:
    """Case 17: the application database takes no writes for a while, with the lake beside it on one server.

    Returns what was seen meanwhile; afterwards both sides are equal and a login succeeds.
    """
    application, lake = pipeline.application_database, pipeline.lake_database
    if isinstance(lake, Database):
        async with application.connect() as owner:
            # Above the server's own setting: the lake stays writable.
            await owner.execute(f'ALTER DATABASE "{lake.name}" SET default_transaction_read_only = off')
    await pipeline.start("relay")
    await pipeline.start("sink")
    client = await _start_lending(pipeline)
    seen = Outage()
    async with client, writing(lake, writers=2, seed=seed, pause=0.02):
        token = (await _log_in(client, pipeline)).json()["access_token"]
        await _set_read_only(application, read_only=True)
        try:
            ends = asyncio.get_running_loop().time() + seconds
            while asyncio.get_running_loop().time() < ends:
                seen.logins.add((await _log_in(client, pipeline)).status_code)
                seen.parties.add((await _new_party(client, pipeline, token)).status_code)
                seen.peak_bytes = max(
                    seen.peak_bytes, *(_memory(pipeline, name) for name in ("relay", "sink"))
                )
                await asyncio.sleep(0.5)
            seen.lag_seconds = await pipeline.metric("sink", "credit_replication_lag_seconds")
            assert await pipeline.replica("SELECT 1 FROM replication.sink_quarantine") == []
        finally:
            await _set_read_only(application, read_only=False)

        async def logged_in() -> bool:
            return (await _log_in(client, pipeline)).status_code == 200

        await until(logged_in, "nobody can log in", pipeline, "auth")
    await pipeline.equal(120)
    for name in ("relay", "sink", "auth", "intake"):
        assert pipeline.processes[name].returncode is None, pipeline.log(name)
    return seen


async def _start_lending(pipeline: Pipeline) -> httpx.AsyncClient:
    """Start auth, with a user, and intake; a client for both."""
    auth = pipeline.application_database.url("auth")
    user = {
        "username": USER,
        "display_name": "Mia Maker",
        "roles": ["maker"],
        "password": PASSWORD,
        "must_change_password": False,
    }
    await run_once(
        "services.auth.main", "create-users", environment={"APPLICATION_URL": auth}, stdin=json.dumps([user])
    )
    await pipeline.start_module(
        "auth",
        "services.auth.main",
        APPLICATION_URL=auth,
        AUTH_KEY_ENCRYPTION_KEY=Fernet.generate_key().decode(),
    )
    await pipeline.start_module(
        "intake",
        "services.intake.main",
        LAKE_URL=pipeline.lake_url("intake"),
        AUTH_JWKS_URL=f"http://127.0.0.1:{pipeline.ports['auth']}/.well-known/jwks.json",
        PERSON_TAG_KEY=Fernet.generate_key().decode(),
    )
    for name in ("auth", "intake"):
        await pipeline.ready(name)
    return httpx.AsyncClient(timeout=30)


async def _log_in(client: httpx.AsyncClient, pipeline: Pipeline) -> httpx.Response:
    url = f"http://127.0.0.1:{pipeline.ports['auth']}/token"
    return await client.post(url, data={"username": USER, "password": PASSWORD})


async def _new_party(client: httpx.AsyncClient, pipeline: Pipeline, token: str) -> httpx.Response:
    url = f"http://127.0.0.1:{pipeline.ports['intake']}/parties"
    body = {"kind": "person", "full_name": "Nguyễn Văn Đạt"}
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": str(uuid.uuid4())}
    return await client.post(url, json=body, headers=headers)


async def _set_read_only(application: Database, *, read_only: bool) -> None:
    async with application.connect() as owner:
        change = (
            "SET default_transaction_read_only = on" if read_only else "RESET default_transaction_read_only"
        )
        await owner.execute(f"ALTER SYSTEM {change}")
        await owner.execute("SELECT pg_reload_conf()")


def _memory(pipeline: Pipeline, name: str) -> int:
    return int(psutil.Process(pipeline.processes[name].pid).memory_info().rss)
