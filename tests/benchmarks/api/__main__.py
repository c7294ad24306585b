"""Run the measures, print a table, write the JSON file. What is measured is in docs/guides/benchmarks.md."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform as machine
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from services.lake.journal.model import CapturedTable
from services.platform.platform import Platform
from services.platform.settings import PlatformSettings
from services.replicator.replica.tables import create_tables
from tests.benchmarks.api import portfolio
from tests.benchmarks.api.measures import Bench
from tests.benchmarks.report import show
from tests.conftest import Database

ROOT = Path(__file__).parents[3]
PARTS = ("login", "refresh", "verify", "submit", "search", "export")

console = Console(highlight=False)


async def main(options: argparse.Namespace) -> None:
    """Measure what was asked for."""
    home = Path(tempfile.mkdtemp(prefix="creditmesh-bench-"))
    platform = Platform(PlatformSettings.on_free_ports(home))
    result: dict[str, Any] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{os.cpu_count()} cores, {machine.machine()}, Python {machine.python_version()}",
        "seconds": options.seconds,
        "applications": options.applications,
    }
    try:
        await platform.up(
            ["receiver", "auth", "users", "intake", "approval", "search-schema", "replica-schema"]
        )
        lake, application = Database(platform, "lake"), Database(platform, "application")
        bench = Bench(platform, options.seconds)
        measures: dict[str, Callable[[], Awaitable[dict[str, Any]]]] = {
            "login": bench.log_ins,
            "refresh": bench.refreshes,
            "verify": bench.verifications,
            "submit": lambda: bench.submissions(lake),
        }
        if {"search", "export"} & set(options.only):
            await make_replica(lake, application)
            console.print(f"making {options.applications:,} applications in the replica")
            some = await portfolio.write(application, options.applications)
            await platform.up(["search"])
            measures["search"] = lambda: bench.finds(application, some)
            measures["export"] = bench.export
        for part in options.only:
            runs = [await measures[part]() for _ in range(options.runs)]
            result[part] = runs
            show(console, part, runs)
        result["memory_mib"] = bench.memory()
        console.print(f"memory, MiB: {result['memory_mib']}")
    finally:
        await platform.reset()
        shutil.rmtree(home, ignore_errors=True)
    path = ROOT / "var" / "bench" / "api.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    console.print(f"written to {path.relative_to(ROOT)}")


async def make_replica(lake: Database, application: Database) -> None:
    """Create the replica's tables as the sink does."""
    async with lake.connect() as source, application.connect("sink") as replica:
        rows = await source.fetch("SELECT definition FROM journal.captured_table")
        await create_tables(replica, [CapturedTable.from_json(row["definition"]) for row in rows])


def options() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(prog="tests.benchmarks.api", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each part is measured")
    parser.add_argument("--applications", type=int, default=1_000_000, help="in the replica that is searched")
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(main(options()))
