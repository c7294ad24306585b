"""A whole replication of a test's own: lake, topics, relay and sink as real processes, replica."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from pydantic import SecretStr

from services.chassis.kafka_access import KafkaAccess
from services.lake.database import Lake
from services.lake.journal.model import START
from services.lake.journal.reader import Change, JournalReader
from services.replicator.replica.connection import connect
from services.replicator.verification.verifier import Verification, Verifier

ROOT = Path(__file__).parents[3]


def free_port() -> int:
    """A TCP port that nobody listens on right now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass
class Pipeline:
    """Starts, kills and restarts the processes; compares both sides."""

    lake_database: Any
    application_database: Any
    kafka: KafkaAccess
    logs: Path
    prefix: str = field(default_factory=lambda: f"t{uuid.uuid4().hex[:10]}.")
    environment: dict[str, str] = field(default_factory=dict)
    processes: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)

    def lake_url(self, login: str) -> str:
        """SQLAlchemy URL of the lake for a login."""
        return str(self.lake_database.url(login))

    async def start(self, name: str, role: str | None = None, **environment: str) -> None:
        """Start `relay` or `sink` under `name` (default: the role); settings as upper-case variables."""
        role = role or name
        own = {
            "INSTANCE": name,
            "LAKE_URL": self.lake_url(role),
            "APPLICATION_URL": self.application_database.url(role),
            **self.kafka.environment(),
            "TOPIC_PREFIX": self.prefix,
            "SINK_GROUP": f"{self.prefix}sink",
            "TOPIC_PARTITIONS": "2",
            "SINK_SESSION_SECONDS": "6",
            "SINK_COMMAND_SECONDS": "10",
            "RELAY_COMMAND_SECONDS": "10",
            "RELAY_LEASE_SECONDS": "3",
            **self.environment,
        }
        await self.start_module(name, "services.replicator.main", role, **{**own, **environment})

    async def start_module(self, name: str, module: str, *arguments: str, **environment: str) -> None:
        """Start any process of ours under `name`, on a port of its own."""
        self.ports[name] = free_port()
        log = (self.logs / f"{name}.log").open("ab")
        self.processes[name] = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            module,
            *arguments,
            cwd=ROOT,
            stdout=log,
            stderr=log,
            env={**os.environ, "HTTP_PORT": str(self.ports[name]), **environment},
        )
        log.close()

    async def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a process; after SIGKILL wait until it is gone."""
        process = self.processes[name]
        process.send_signal(number)
        if number is signal.SIGKILL:
            await process.wait()

    async def died(self, name: str, seconds: float = 60) -> int:
        """Wait until a process is gone; its exit status."""
        return await asyncio.wait_for(self.processes[name].wait(), seconds)

    async def stands_still(self, name: str) -> None:
        """Wait until a process has been stopped by a signal."""
        stat = Path(f"/proc/{self.processes[name].pid}/stat")

        def stopped() -> bool:
            # The state follows the command's name, which is in brackets.
            return stat.read_text().rpartition(")")[2].split()[0] == "T"

        await until(stopped, f"{name} never stood still", self, name)

    async def stop(self) -> None:
        """End every process that still runs."""
        for process in self.processes.values():
            if process.returncode is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
                await process.wait()

    def log(self, name: str) -> str:
        """What a process has written."""
        return (self.logs / f"{name}.log").read_text()

    async def get(self, name: str, path: str) -> httpx.Response:
        """GET a path of a process, waiting until it listens."""
        async with httpx.AsyncClient() as client:
            for _ in range(200):
                with contextlib.suppress(httpx.TransportError):
                    return await client.get(f"http://127.0.0.1:{self.ports[name]}{path}", timeout=10)
                await asyncio.sleep(0.1)
        raise TimeoutError(f"{name} does not answer; its log:\n{self.log(name)}")

    async def ready(self, name: str) -> None:
        """Wait until a process says that it is ready."""

        async def is_ready() -> bool:
            return (await self.get(name, "/readyz")).status_code == 200

        await until(is_ready, f"{name} is not ready", self, name)

    async def metric(self, name: str, sample: str, **labels: str) -> float:
        """Sum of a process's samples of this name that carry `labels`."""
        families = text_string_to_metric_families((await self.get(name, "/metrics")).text)
        return sum(
            found.value
            for family in families
            for found in family.samples
            if found.name == sample and labels.items() <= found.labels.items()
        )

    async def relayed(self) -> None:
        """Wait until Kafka has everything that the lake has captured."""
        async with self.lake_database.connect() as connection:
            last = await connection.fetchval("SELECT max(position) FROM journal.change")
        for _ in range(600):
            rows = await self.replica("SELECT position_major FROM replication.relay")
            if rows[0]["position_major"] >= last:
                return
            await asyncio.sleep(0.05)
        raise TimeoutError(f"the relay did not reach {last}; its log:\n{self.log('relay')}")

    async def complete(self) -> None:
        """Wait until no other transaction of the server keeps the last change of the journal from being read."""
        async with self.lake_database.connect() as connection:
            last = await connection.fetchval("SELECT max(position) FROM journal.change") or 0
        lake = Lake.open(self.lake_url("verifier"), service="test-complete", pool_size=1)
        try:
            async with asyncio.timeout(60):
                while (await JournalReader(lake).last_position()).major < last:
                    await asyncio.sleep(0.05)
        finally:
            await lake.dispose()

    async def count_writes(self, table: str) -> None:
        """From now on count each row that is written to a table of the replica, in the same transaction."""
        async with self.application_database.connect() as connection:
            await connection.execute(
                f"""
                CREATE TABLE public.written (n bigint);
                CREATE FUNCTION public.count_write() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
                    'BEGIN INSERT INTO public.written VALUES (1); RETURN NULL; END';
                CREATE TRIGGER count_write AFTER INSERT OR UPDATE OR DELETE ON {table}
                    FOR EACH ROW EXECUTE FUNCTION public.count_write();
                """
            )

    async def writes(self) -> int:
        """How many rows were written since `count_writes`."""
        return int((await self.replica("SELECT count(*) AS n FROM public.written"))[0]["n"])

    async def verify(self, wait_seconds: float = 60) -> Verification:
        """Wait for the replica and compare it with the lake."""
        lake = Lake.open(self.lake_url("verifier"), service="test-verify", pool_size=2)
        connection = await connect(SecretStr(self.application_database.url("verifier")), name="test-verify")
        try:
            return await Verifier(lake, connection, wait_seconds=wait_seconds).run()
        finally:
            await connection.close()
            await lake.dispose()

    async def replica(self, statement: str, *arguments: Any) -> list[asyncpg.Record]:
        """Rows of a query on the application database, as its owner."""
        async with self.application_database.connect() as connection:
            return list(await connection.fetch(statement, *arguments))

    async def lake(self, statement: str, *arguments: Any) -> str:
        """Run one statement on the lake, as its owner and without any context: as a DBA would."""
        async with self.lake_database.connect() as connection:
            return str(await connection.execute(statement, *arguments))

    async def changes(self) -> AsyncIterator[Change]:
        """Every change of the journal, in order, once no writer writes any more."""
        lake = Lake.open(self.lake_url("relay"), service="test-changes", pool_size=2)
        try:
            journal = JournalReader(lake)
            after = START
            while read := await journal.read(after, 5000):
                for change in read:
                    yield change
                after = read[-1].position
        finally:
            await lake.dispose()

    async def equal(self, wait_seconds: float = 60, *, stopped: Sequence[str] = ()) -> None:
        """The oracle of every case: same rows on both sides, every table compared, nothing in the quarantine.

        Args:
            wait_seconds: how long the replica may take to catch up.
            stopped: tables (full names) whose replication the case has stopped: they alone are not compared.
        """
        await self.complete()
        result = await self.verify(wait_seconds)
        assert result.stopped == tuple(sorted(stopped))
        assert result.findings == ()
        entries = await self.replica(
            "SELECT reason FROM replication.sink_quarantine WHERE resolved_at IS NULL"
        )
        assert entries == []


async def until(
    holds: Callable[[], bool] | Callable[[], Awaitable[bool]],
    otherwise: str,
    pipeline: Pipeline,
    name: str,
    seconds: float = 60,
) -> None:
    """Wait until something holds.

    Raises:
        TimeoutError: saying `otherwise`, with the log of the process `name`.
    """
    ends = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < ends:
        answer = holds()
        if answer if isinstance(answer, bool) else await answer:
            return
        await asyncio.sleep(0.05)
    raise TimeoutError(f"{otherwise}; the log of {name}:\n{pipeline.log(name)}")


def party_insert(count: int, tag: str = "x") -> str:
    """SQL that inserts `count` parties."""
    return (
        "INSERT INTO credit.party (id, kind, full_name, created_by, created_at, revision) "
        f"SELECT gen_random_uuid(), 'person', '{tag} ' || n, gen_random_uuid(), "
        f"clock_timestamp() AT TIME ZONE 'UTC', 1 FROM generate_series(1, {count}) AS n"
    )
