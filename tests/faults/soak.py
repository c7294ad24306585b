"""`make test-faults`: hundreds of random faults under random writers, then the long variants of the cases.

SEED repeats a run's faults and changes (not their timing), KILLS says how many faults; both are printed. ONLY names
the beginning of the one part to run. The result goes to var/faults/soak.json and onto the screen; the exit status is
0 only when everything held.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from services.platform.platform import Platform  # noqa: E402 - the root is put on the path above
from services.platform.settings import PlatformSettings  # noqa: E402
from tests.conftest import Database, migrated, new_database  # noqa: E402
from tests.faults.chaos import Chaos  # noqa: E402
from tests.faults.proxy import Proxy  # noqa: E402
from tests.faults.scenarios import held_horizon, read_only, rebalance_storm  # noqa: E402
from tests.faults.servers import Servers  # noqa: E402
from tests.faults.validator import Validator  # noqa: E402
from tests.faults.writers import writing  # noqa: E402
from tests.integration.replicator.pipeline import Pipeline  # noqa: E402
from tests.integration.replicator.test_backfill import backfill_under_kills  # noqa: E402

WRITERS = 4
WRITER_PAUSE_SECONDS = 0.1
COMPARE_EVERY = 40
"""Faults after which both sides are compared while the writers go on."""
CATCH_UP_SECONDS = 240.0
LOGS = ROOT / "var" / "faults" / "logs"

console = Console(highlight=False)
Figures = dict[str, Any]
Tell = Callable[[str], None]
Part = Callable[[Tell], Awaitable[Figures]]


@dataclass
class Soak:
    """One run: its servers, its seed, and what it found."""

    servers: Servers
    templates: tuple[Database, Database]
    seed: int
    progress: Progress
    results: dict[str, Figures] = field(default_factory=dict)

    @asynccontextmanager
    async def replication(
        self, name: str, *, watched: bool = True
    ) -> AsyncIterator[tuple[Pipeline, Validator]]:
        """A pipeline over databases of its own, and what validates it."""
        await self.servers.up()
        logs = LOGS / name
        shutil.rmtree(logs, ignore_errors=True)
        logs.mkdir(parents=True)
        lake_template, application_template = self.templates
        platform = self.servers.platform
        async with (
            new_database(platform, "lake", lake_template.name) as lake,
            new_database(platform, "application", application_template.name) as application,
        ):
            pipeline = Pipeline(lake, application, self.servers.kafka, logs)
            validator = Validator(pipeline)
            if watched:
                await validator.watch()
            try:
                yield pipeline, validator
            finally:
                await pipeline.stop()
                await self.servers.up()

    async def step(self, name: str, work: Part) -> None:
        """Do one part of the run, time it, and keep what it gives or how it failed."""
        task = self.progress.add_task(name)
        began = time.monotonic()

        def tell(what: str) -> None:
            self.progress.update(task, description=f"{name}: {what}")

        try:
            figures = await work(tell)
        except Exception as error:  # noqa: BLE001 - the others are still worth running, and all are reported
            figures = {"failed": _reasons(error)}
            console.print("".join(traceback.format_exception(error)), markup=False)
        self.results[name] = {"seconds": round(time.monotonic() - began, 1), **figures}
        verdict = "failed" if "failed" in figures else "held"
        tell(verdict)
        console.print(f"{datetime.now(UTC):%T}  {name}: {verdict}")

    async def kills(self, count: int, tell: Tell) -> Figures:
        """Faults at random under random writers."""
        async with (
            self.replication("kills") as (pipeline, validator),
            Proxy.before(self.servers.platform.settings.postgres_port) as proxy,
        ):
            chaos = Chaos(pipeline, self.servers, proxy, self.seed)
            await chaos.start()
            done = 0

            def told(fault: str) -> None:
                nonlocal done
                done += 1
                tell(f"{done} of {count}, {fault}")

            async with writing(
                pipeline.lake_database, writers=WRITERS, seed=self.seed, pause=WRITER_PAUSE_SECONDS
            ) as written:
                while done < count:
                    await chaos.run(min(COMPARE_EVERY, count - done), told)
                    await chaos.end()
                    tell(f"{done} of {count}, comparing")
                    await pipeline.equal(CATCH_UP_SECONDS)
                    console.print(f"{datetime.now(UTC):%T}  equal after {done} faults")
            tell("comparing everything")
            await pipeline.equal(CATCH_UP_SECONDS)
            chaos.check_alive()
            tell("validating")
            counts = await validator.validate()
            return {"faults": dict(chaos.done), "writers": dict(written), "validated": dict(counts)}

    async def storm(self, seconds: float) -> Figures:
        """Case 11 for minutes."""
        async with self.replication("case 11") as (pipeline, validator):
            rebalances = await rebalance_storm(pipeline, seconds=seconds, seed=self.seed)
            return {"rebalances": rebalances, "validated": dict(await validator.validate())}

    async def held(self, seconds: float) -> Figures:
        """Case 3 for a minute."""
        async with self.replication("case 3") as (pipeline, validator):
            reported = await held_horizon(pipeline, seconds=seconds, seed=self.seed)
            assert reported > seconds / 2, f"the relay says that the horizon was held for {reported:.1f} s"
            return {"held seconds": round(reported), "validated": dict(await validator.validate())}

    async def backfill(self, rows: int, kills: int) -> Figures:
        """Case 18 with a large table. Its writes are not witnessed, only what was sent."""
        async with self.replication("case 18", watched=False) as (pipeline, validator):
            await backfill_under_kills(pipeline, rows=rows, kills=kills, page_rows=2000, seed=self.seed)
            return {"rows": rows, "kills": kills, "validated": dict(await validator.validate_order())}

    async def outage(self, seconds: float) -> Figures:
        """Case 17 for minutes."""
        async with self.replication("case 17") as (pipeline, validator):
            seen = await read_only(pipeline, seconds=seconds, seed=self.seed)
            assert (seen.logins, seen.parties) == ({503}, {201}), seen
            return {
                "lag seconds": round(seen.lag_seconds),
                "peak MiB": seen.peak_bytes >> 20,
                "validated": dict(await validator.validate()),
            }


async def main() -> int:
    """Run everything; the exit status."""
    seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(2**32))
    kills = int(os.environ.get("KILLS") or 200)
    only = os.environ.get("ONLY", "")
    console.print(f"SEED={seed} KILLS={kills}")
    # Its clients here lose the broker too, and say so at length.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    began = datetime.now(UTC)
    with tempfile.TemporaryDirectory(prefix="creditmesh-soak-") as folder:
        platform = Platform(PlatformSettings.on_free_ports(Path(folder) / "platform"))
        servers = Servers(platform)
        columns = (SpinnerColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
        try:
            with Progress(*columns, console=console) as progress:
                await servers.up()
                async with (
                    migrated(platform, "lake") as lake,
                    migrated(platform, "application") as application,
                ):
                    soak = Soak(servers, (lake, application), seed, progress)
                    parts: dict[str, Part] = {
                        "kills": lambda tell: soak.kills(kills, tell),
                        "case 3, one minute": lambda _: soak.held(60),
                        "case 11, five minutes": lambda _: soak.storm(300),
                        "case 17, two minutes": lambda _: soak.outage(120),
                        "case 18, a million rows": lambda _: soak.backfill(1_000_000, 10),
                    }
                    for name, part in parts.items():
                        if name.startswith(only):
                            await soak.step(name, part)
        finally:
            await platform.reset()
    report(soak.results, seed, began)
    return int(any("failed" in figures for figures in soak.results.values()))


def report(results: dict[str, Figures], seed: int, began: datetime) -> None:
    """Print what was done, and write it to var/faults/soak.json."""
    table = Table("part", "seconds", "result", "figures")
    for name, figures in results.items():
        rest = {k: v for k, v in figures.items() if k not in {"seconds", "failed"}}
        told = "\n".join(f"{what}: {_in_words(value)}" for what, value in rest.items())
        table.add_row(name, str(figures["seconds"]), "failed" if "failed" in figures else "held", told)
    console.print(table)
    path = ROOT / "var" / "faults" / "soak.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {"seed": seed, "began": began.isoformat(), "parts": results}
    path.write_text(json.dumps(document, indent=2) + "\n")
    console.print(f"written to {path.relative_to(ROOT)}")


def _reasons(error: BaseException) -> list[str]:
    """What failed; of a group, each of its errors."""
    if isinstance(error, BaseExceptionGroup):
        return [reason for inner in error.exceptions for reason in _reasons(inner)]
    return [f"{type(error).__name__}: {error}"]


def _in_words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{count:,} {what}" for what, count in sorted(value.items(), key=lambda i: -i[1]))
    return str(value)


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
