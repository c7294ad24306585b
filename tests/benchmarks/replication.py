"""`make bench-replication`: this replication beside PostgreSQL's own logical replication, in one run.

Both carry the same rows between the same two databases of one server, on the same machine. What is measured and why
is in docs/guides/benchmarks.md; figures go to var/bench/replication.json and onto the screen. The collector that the
processes export their spans to only discards them: storing them is another machine's work.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform as machine
import random
import shutil
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import psutil
import sqlalchemy as sa
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from services.platform.platform import Platform  # noqa: E402 - the root is put on the path above
from services.platform.postgres import create_database, owner_connection  # noqa: E402
from services.platform.settings import PlatformSettings  # noqa: E402
from services.replicator.settings import ReplicatorSettings  # noqa: E402
from tests.conftest import Database  # noqa: E402
from tests.integration.replicator.pipeline import Pipeline, party_insert  # noqa: E402

CHANGES_A_TRANSACTION = 100
SAMPLED = 0.1
FILLER = "x" * 150

INSERT = """
    INSERT INTO credit.party (id, kind, full_name, national_id, email, phone, created_by, created_at, revision)
    SELECT id, 'person', 'Applicant ' || id || $2, left(id::text, 20), id || '@example.com', '+49 30 555000001',
        '00000000-0000-7000-8000-000000000001', clock_timestamp() AT TIME ZONE 'UTC', 1 FROM unnest($1::uuid[]) AS id
"""
UPDATE = "UPDATE credit.party SET revision = revision + 1 WHERE id = ANY($1::uuid[])"
DELETE = "DELETE FROM credit.party WHERE id = ANY($1::uuid[])"
NATIVE = "native"

console = Console(highlight=False)


class Discard(BaseHTTPRequestHandler):
    """Takes spans and forgets them."""

    def do_POST(self) -> None:
        """Accept one export."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextlib.asynccontextmanager
async def databases(platform: Platform) -> AsyncIterator[tuple[Database, Database]]:
    """A fresh, migrated pair of lake and application database."""
    port, password = platform.settings.postgres_port, platform.home.database_password("creditmesh")
    pair = []
    async with owner_connection(port, password) as owner:
        for kind in ("lake", "application"):
            name = f"bench_{kind}_{random.randrange(10**9)}"
            await create_database(owner, name, kind, f"template_{kind}")
            pair.append(Database(platform, name))
    try:
        yield pair[0], pair[1]
    finally:
        async with owner_connection(port, password) as owner:
            for database in pair:
                await owner.execute(f'DROP DATABASE "{database.name}" WITH (FORCE)')


async def write_changes(lake: Database, changes: int) -> None:
    """70 % inserts, 25 % updates, 5 % deletes, in transactions of 100; one transaction in ten is sampled."""
    chance = random.Random(1)
    live: list[UUID] = []
    async with lake.connect() as connection:
        for _ in range(changes // CHANGES_A_TRANSACTION):
            new = [UUID(int=chance.getrandbits(128)) for _ in range(70)]
            live += new
            chosen = chance.sample(range(len(live)), 30)
            updated = [live[index] for index in chosen[:25]]
            deleted = [live[index] for index in chosen[25:]]
            async with connection.transaction():
                await set_context(connection, chance)
                await connection.execute(INSERT, new, FILLER)
                await connection.execute(UPDATE, updated)
                await connection.execute(DELETE, deleted)
            for index in sorted(chosen[25:], reverse=True):
                live[index] = live[-1]
                live.pop()


async def set_context(connection: asyncpg.Connection, chance: random.Random) -> None:
    """What the services' unit of work does at the beginning of a transaction."""
    flags = "01" if chance.random() < SAMPLED else "00"
    context = f"00-{chance.getrandbits(128):032x}-{chance.getrandbits(64):016x}-{flags}"
    await connection.execute(
        "SELECT set_config('journal.traceparent', $1, true), set_config('journal.actor', 'bench', true)",
        context,
    )


class Native:
    """PostgreSQL's logical replication of the same table, into a database of its own."""

    def __init__(self, lake: Database, target: Database) -> None:
        self.lake, self.target = lake, target

    async def prepare(self) -> None:
        """From now on keep what the lake writes, for a subscriber that comes later."""
        async with self.target.connect() as connection:
            # The apply worker commits under the publisher's timestamp, so the row must say when it was applied.
            await connection.execute(
                "ALTER TABLE credit.party ADD COLUMN applied_at timestamptz DEFAULT clock_timestamp()"
            )
        async with self.lake.connect() as connection:
            await connection.execute(f"CREATE PUBLICATION {NATIVE} FOR TABLE credit.party")
            # On one server the slot must exist before, or CREATE SUBSCRIPTION waits for its own transaction.
            await connection.execute(
                "SELECT pg_create_logical_replication_slot($1, 'pgoutput')", f"native_{self.lake.name}"
            )

    async def start(self) -> None:
        """Let the subscriber begin."""
        url = sa.make_url(self.lake.url())
        async with self.target.connect() as connection:
            await connection.execute(
                f"CREATE SUBSCRIPTION {NATIVE} CONNECTION "
                f"'host={url.host} port={url.port} user={url.username} password={url.password} dbname={url.database}' "
                f"PUBLICATION {NATIVE} WITH (create_slot = false, slot_name = 'native_{self.lake.name}', "
                "copy_data = false, synchronous_commit = on)"
            )

    async def caught_up(self, until: str) -> None:
        """Wait until the subscriber has confirmed a position of the write-ahead log."""
        async with self.lake.connect() as connection:
            while not await connection.fetchval(
                "SELECT confirmed_flush_lsn >= $1::text::pg_lsn FROM pg_replication_slots WHERE slot_name = $2",
                until,
                f"native_{self.lake.name}",
            ):
                await asyncio.sleep(0.005)

    async def stop(self) -> None:
        """Remove subscription, slot and publication."""
        async with self.target.connect() as connection:
            await connection.execute(f"DROP SUBSCRIPTION IF EXISTS {NATIVE}")
        async with self.lake.connect() as connection:
            await connection.execute(
                "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1",
                f"native_{self.lake.name}",
            )
            await connection.execute(f"DROP PUBLICATION IF EXISTS {NATIVE}")


class Bench:
    """One platform, measured several times."""

    def __init__(self, platform: Platform, otlp: str, logs: Path) -> None:
        self.platform, self.otlp, self.logs = platform, otlp, logs

    @contextlib.asynccontextmanager
    async def pipeline(self) -> AsyncIterator[tuple[Pipeline, Native]]:
        """Fresh databases and topics; relay and sink are not started yet."""
        async with databases(self.platform) as (lake, application), databases(self.platform) as (_, target):
            made = Pipeline(lake, application, self.platform.settings.kafka_bootstrap, self.logs)
            made.environment |= {
                "OTEL_EXPORTER_OTLP_ENDPOINT": self.otlp,
                "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
                "OTEL_TRACES_SAMPLER_ARG": str(SAMPLED),
                "TOPIC_PARTITIONS": str(ReplicatorSettings.model_fields["topic_partitions"].default),
                "SINK_SESSION_SECONDS": "30",
                # The relay stands still while the changes are written, and keeps its lease.
                "RELAY_LEASE_SECONDS": "600",
                "LOG_LEVEL": "WARNING",
            }
            native = Native(lake, target)
            try:
                yield made, native
            finally:
                await native.stop()
                await made.stop()

    async def catch_up(self, changes: int) -> dict[str, float]:
        """Changes a second while both have everything to do and nothing is written any more."""
        async with self.pipeline() as (pipeline, native):
            # Up and settled first: starting a process is not what is measured.
            await pipeline.start("relay")
            await pipeline.start("sink")
            await pipeline.lake(party_insert(1))
            await pipeline.verify()
            await pipeline.signal("relay", signal.SIGSTOP)
            await native.prepare()
            await write_changes(pipeline.lake_database, changes)
            async with pipeline.lake_database.connect() as connection:
                last = await connection.fetchval("SELECT max(position) FROM journal.change")
                rows = await connection.fetchval("SELECT count(*) FROM journal.change")
                size = await connection.fetchval(
                    "SELECT avg(octet_length(image)) FROM journal.change WHERE image IS NOT NULL"
                )
                end = await connection.fetchval("SELECT pg_current_wal_flush_lsn()::text")
                await connection.execute("CHECKPOINT")
            async with pipeline.application_database.connect() as replica:
                began = time.perf_counter()
                await pipeline.signal("relay", signal.SIGCONT)
                while (
                    await replica.fetchval("SELECT max(position_major) FROM replication.sink_offset") < last
                ):
                    await asyncio.sleep(0.005)
                # The last partition to finish need not be the one that holds the last position.
                while not await replica.fetchval(
                    "SELECT bool_and(o.position_major >= (sent ->> place)::numeric) FROM replication.relay "
                    "CROSS JOIN jsonb_object_keys(sent) AS place "
                    "JOIN replication.sink_offset AS o ON place = o.topic || '/' || o.partition"
                ):
                    await asyncio.sleep(0.005)
                ours = time.perf_counter() - began
            await pipeline.equal()
            began = time.perf_counter()
            await native.start()
            await native.caught_up(end)
            theirs = time.perf_counter() - began
        return {
            "changes": changes,
            "journal_rows": rows,
            "image_bytes": float(size),
            "ours_per_second": changes / ours,
            "native_per_second": changes / theirs,
            "ratio": theirs / ours,
        }

    async def latency(self, seconds: int, rate: int) -> dict[str, dict[str, float]]:
        """Milliseconds from the commit in the lake to the commit in the target, at a steady rate."""
        found: dict[str, dict[str, float]] = {}
        for which in ("ours", "native"):
            async with self.pipeline() as (pipeline, native):
                if which == "ours":
                    await pipeline.start("relay")
                    await pipeline.start("sink")
                    await pipeline.verify()
                    target = pipeline.application_database
                else:
                    await native.prepare()
                    await native.start()
                    await asyncio.sleep(1)
                    target = native.target
                await self._write_steadily(pipeline.lake_database, seconds, rate)
                if which == "ours":
                    await pipeline.equal()
                else:
                    async with pipeline.lake_database.connect() as connection:
                        end = await connection.fetchval("SELECT pg_current_wal_flush_lsn()::text")
                    await native.caught_up(end)
                applied = "pg_xact_commit_timestamp(xmin)" if which == "ours" else "applied_at"
                found[which] = await self._commit_to_commit(pipeline.lake_database, target, applied)
        return found

    async def _write_steadily(self, lake: Database, seconds: int, rate: int) -> None:
        chance = random.Random(2)

        async def write(connection: asyncpg.Connection, share: int) -> None:
            began = time.perf_counter()
            for number in range(seconds * rate // share):
                await asyncio.sleep(max(0.0, began + number * share / rate - time.perf_counter()))
                async with connection.transaction():
                    await set_context(connection, chance)
                    await connection.execute(INSERT, [UUID(int=chance.getrandbits(128))], FILLER)

        async with contextlib.AsyncExitStack() as stack:
            connections = [await stack.enter_async_context(lake.connect()) for _ in range(4)]
            await asyncio.gather(*(write(connection, len(connections)) for connection in connections))

    async def _commit_to_commit(self, lake: Database, target: Database, applied: str) -> dict[str, float]:
        async with lake.connect() as source, target.connect() as replica:
            query = "SELECT id, pg_xact_commit_timestamp(xmin) AS at FROM credit.party"
            written = {row["id"]: row["at"] for row in await source.fetch(query)}
            query = f"SELECT id, {applied} AS at FROM credit.party"
            seen = {row["id"]: row["at"] for row in await replica.fetch(query)}
        millis = sorted((seen[key] - at).total_seconds() * 1000 for key, at in written.items())
        cut = statistics.quantiles(millis, n=100)
        return {"p50": cut[49], "p99": cut[98], "max": millis[-1], "changes": len(millis)}

    async def capture_cost(self, seconds: float) -> dict[str, dict[str, float]]:
        """Rows a second into the lake with the triggers on, and off."""
        found: dict[str, dict[str, float]] = {}
        for shape, rows in (("single", 1), ("bulk", 10_000)):
            async with databases(self.platform) as (lake, _), lake.connect() as connection:
                rates: dict[str, list[float]] = {"off": [], "on": []}
                for number in range(6):
                    state = ("off", "on")[number % 2]
                    verb = "DISABLE" if state == "off" else "ENABLE"
                    await connection.execute(f"ALTER TABLE credit.party {verb} TRIGGER USER")
                    await connection.execute("CHECKPOINT")
                    count, began = 0, time.perf_counter()
                    while time.perf_counter() - began < seconds:
                        ids = [uuid4() for _ in range(rows)]
                        await connection.execute(INSERT, ids, FILLER)
                        count += rows
                    rates[state].append(count / (time.perf_counter() - began))
            on, off = statistics.median(rates["on"]), statistics.median(rates["off"])
            found[shape] = {"on_per_second": on, "off_per_second": off, "ratio": on / off}
        return found

    async def memory(self, rows: int) -> dict[str, float]:
        """Peak resident memory of relay and sink, in MiB, while one transaction of `rows` rows passes."""
        async with self.pipeline() as (pipeline, _):
            await pipeline.start("relay")
            await pipeline.start("sink")
            await pipeline.verify()
            peaks = {"relay": 0.0, "sink": 0.0}

            async def watch() -> None:
                while True:
                    for name, peak in peaks.items():
                        resident = psutil.Process(pipeline.processes[name].pid).memory_info().rss / 2**20
                        peaks[name] = max(peak, resident)
                    await asyncio.sleep(0.02)

            watching = asyncio.create_task(watch())
            async with pipeline.lake_database.connect() as connection, connection.transaction():
                for _ in range(rows // 10_000):
                    await connection.execute(INSERT, [uuid4() for _ in range(10_000)], FILLER)
            await pipeline.equal(600)
            watching.cancel()
        return {"rows": rows, "relay_mib": peaks["relay"], "sink_mib": peaks["sink"]}


async def main(options: argparse.Namespace) -> None:
    """Run what was asked for, print a table, write the JSON file."""
    collector = ThreadingHTTPServer(("127.0.0.1", 0), Discard)
    threading.Thread(target=collector.serve_forever, daemon=True).start()
    home = Path(tempfile.mkdtemp(prefix="creditmesh-bench-"))
    platform = Platform(PlatformSettings.on_free_ports(home))
    result: dict[str, Any] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{os.cpu_count()} cores, {machine.machine()}, Python {machine.python_version()}",
    }
    try:
        await platform.up(
            ["kafka", "databases", "lake-schema", "auth-schema", "search-schema", "replica-schema"]
        )
        await make_templates(platform)
        bench = Bench(platform, f"http://127.0.0.1:{collector.server_port}", home)
        if "catch-up" in options.only:
            result["catch_up"] = [await bench.catch_up(options.changes) for _ in range(options.runs)]
            show_catch_up(result["catch_up"])
        if "latency" in options.only:
            result["latency"] = [
                await bench.latency(options.seconds, options.rate) for _ in range(options.runs)
            ]
            show_latency(result["latency"])
        if "capture" in options.only:
            result["capture_cost"] = await bench.capture_cost(3.0)
            show_capture(result["capture_cost"])
        if "memory" in options.only:
            result["memory"] = await bench.memory(options.rows)
            console.print(result["memory"])
    finally:
        await platform.reset()
        shutil.rmtree(home, ignore_errors=True)
        collector.shutdown()
    path = ROOT / "var" / "bench" / "replication.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    console.print(f"written to {path.relative_to(ROOT)}")


async def make_templates(platform: Platform) -> None:
    """Keep the freshly migrated databases as templates for every run."""
    async with owner_connection(
        platform.settings.postgres_port, platform.home.database_password("creditmesh")
    ) as owner:
        for kind in ("lake", "application"):
            await owner.execute(f"ALTER DATABASE {kind} RENAME TO template_{kind}")


def table(*titles: str) -> Table:
    """A plain table whose first column holds names."""
    made = Table(box=None, pad_edge=False)
    for number, title in enumerate(titles):
        made.add_column(title, justify="right" if number else "left")
    return made


def median_of(runs: Sequence[Any], *path: str) -> float:
    """The median of one figure over the runs."""
    values = []
    for run in runs:
        for name in path:
            run = run[name]  # noqa: PLW2901 - walking down
        values.append(run)
    return statistics.median(values)


def show_catch_up(runs: Sequence[dict[str, float]]) -> None:
    """Print throughput."""
    made = table("catch-up, median", "changes/s", "ratio")
    ours, native = median_of(runs, "ours_per_second"), median_of(runs, "native_per_second")
    made.add_row("native logical replication", f"{native:,.0f}", "1.00")
    made.add_row("creditmesh", f"{ours:,.0f}", f"{ours / native:.2f}")
    console.print(made)


def show_latency(runs: Sequence[dict[str, dict[str, float]]]) -> None:
    """Print commit-to-commit latency."""
    made = table("commit to commit, median of runs", "p50 ms", "p99 ms", "max ms")
    for name, title in (("native", "native logical replication"), ("ours", "creditmesh")):
        made.add_row(title, *(f"{median_of(runs, name, each):.1f}" for each in ("p50", "p99", "max")))
    console.print(made)


def show_capture(cost: dict[str, dict[str, float]]) -> None:
    """Print what capture costs the lake."""
    made = table("inserts into the lake", "without capture", "with capture", "ratio")
    for shape, each in cost.items():
        made.add_row(
            f"{shape} rows",
            f"{each['off_per_second']:,.0f}/s",
            f"{each['on_per_second']:,.0f}/s",
            f"{each['ratio']:.2f}",
        )
    console.print(made)


def options() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    everything = ("catch-up", "latency", "capture", "memory")
    parser.add_argument("--only", nargs="+", choices=everything, default=everything)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--changes", type=int, default=200_000)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--rate", type=int, default=1_000)
    parser.add_argument("--rows", type=int, default=1_000_000)
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(main(options()))
