"""What `make bench-replication` measures, each measure on databases and topics of its own."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import statistics
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil

from services.platform.platform import Platform
from services.replicator.settings import ReplicatorSettings
from tests.benchmarks.native import Native
from tests.benchmarks.workload import (
    FILLER,
    INSERT,
    SAMPLED,
    databases,
    write_changes,
    write_steadily,
)
from tests.conftest import Database
from tests.integration.replicator.pipeline import Pipeline, party_insert

WATCHED_EVERY_SECONDS = 0.02


class Processor:
    """The processor time that each part has used since this was made."""

    def __init__(self, parts: dict[str, int]) -> None:
        """`parts` are names and process ids; a part's children count with it."""
        self._parts = {name: psutil.Process(pid) for name, pid in parts.items()}
        self._began = self._used()

    def _used(self) -> dict[tuple[str, int], float]:
        used = {}
        for name, process in self._parts.items():
            for each in (process, *process.children(recursive=True)):
                with contextlib.suppress(psutil.NoSuchProcess):
                    times = each.cpu_times()
                    used[name, each.pid] = times.user + times.system
        return used

    def micros_each(self, count: int) -> dict[str, float]:
        """Microseconds by part, for each of `count` things done."""
        totals = dict.fromkeys(self._parts, 0.0)
        for (name, pid), seconds in self._used().items():
            totals[name] += (seconds - self._began.get((name, pid), 0.0)) * 1e6 / count
        return totals


class Bench:
    """One platform, measured several times."""

    def __init__(self, platform: Platform, otlp: str, logs: Path) -> None:
        self.platform, self.otlp, self.logs = platform, otlp, logs

    @contextlib.asynccontextmanager
    async def pipeline(self) -> AsyncIterator[tuple[Pipeline, Native]]:
        """Fresh databases and topics; relay and sink are not started yet."""
        async with databases(self.platform) as (lake, application), databases(self.platform) as (_, target):
            made = Pipeline(lake, application, self.platform.kafka_access(), self.logs)
            made.environment |= {
                "OTEL_EXPORTER_OTLP_ENDPOINT": self.otlp,
                "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
                "OTEL_TRACES_SAMPLER_ARG": str(SAMPLED),
                "TOPIC_PARTITIONS": str(ReplicatorSettings.model_fields["topic_partitions"].default),
                "SINK_SESSION_SECONDS": "30",
                # The relay pauses while the changes are written, and keeps its lease.
                "RELAY_LEASE_SECONDS": "600",
                "LOG_LEVEL": "WARNING",
            }
            native = Native(lake, target)
            try:
                yield made, native
            finally:
                await native.stop()
                await made.stop()

    async def catch_up(self, changes: int) -> dict[str, Any]:
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
            servers = {name: info.pid for name, info in self.platform.supervisor.all().items()}
            stores = {name: servers[name] for name in ("kafka", "postgres")}
            running = {name: process.pid for name, process in pipeline.processes.items()}
            async with pipeline.application_database.connect() as replica:
                processor = Processor(stores | running)
                began = time.perf_counter()
                await pipeline.signal("relay", signal.SIGCONT)
                while (
                    await replica.fetchval("SELECT max(position_major) FROM replication.sink_offset") < last
                ):
                    self._both_run(pipeline)
                    await asyncio.sleep(WATCHED_EVERY_SECONDS)
                # The last partition to finish need not be the one that holds the last position.
                while not await replica.fetchval(
                    "SELECT bool_and(o.position_major >= (sent ->> place)::numeric) FROM replication.relay "
                    "CROSS JOIN jsonb_object_keys(sent) AS place "
                    "JOIN replication.sink_offset AS o ON place = o.topic || '/' || o.partition"
                ):
                    await asyncio.sleep(0.005)
                ours = time.perf_counter() - began
                our_processor = processor.micros_each(changes)
            await pipeline.equal()
            for name in list(pipeline.processes):
                await pipeline.signal(name, signal.SIGKILL)
            processor = Processor({"postgres": servers["postgres"]})
            began = time.perf_counter()
            await native.start()
            await native.caught_up(end)
            theirs = time.perf_counter() - began
            their_processor = processor.micros_each(changes)
        return {
            "changes": changes,
            "journal_rows": rows,
            "image_bytes": float(size),
            "ours_per_second": changes / ours,
            "native_per_second": changes / theirs,
            "ratio": theirs / ours,
            "ours_micros_a_change": our_processor,
            "native_micros_a_change": their_processor,
        }

    @staticmethod
    def _both_run(pipeline: Pipeline) -> None:
        for name, process in pipeline.processes.items():
            if process.returncode is not None:
                raise RuntimeError(f"{name} ended with {process.returncode}; its log:\n{pipeline.log(name)}")

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
                await write_steadily(pipeline.lake_database, seconds, rate)
                if which == "ours":
                    await pipeline.equal()
                else:
                    async with pipeline.lake_database.connect() as connection:
                        end = await connection.fetchval("SELECT pg_current_wal_flush_lsn()::text")
                    await native.caught_up(end)
                applied = "pg_xact_commit_timestamp(xmin)" if which == "ours" else "applied_at"
                found[which] = await self._commit_to_commit(pipeline.lake_database, target, applied)
        return found

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
