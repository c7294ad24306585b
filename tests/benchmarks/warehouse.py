"""`make bench-warehouse`: how fast the journal lands compared with a plain COPY, and how fast dbt adds new rows.

Lake and warehouse are databases of one server on one machine, so both share its processors. What is measured and why is
in docs/guides/benchmarks.md; figures go to var/bench/warehouse.json and onto the screen.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import platform as machine
import shutil
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from services.platform.platform import Platform
from services.platform.settings import PlatformSettings
from tests.benchmarks.builds import TUNED, builds, show_builds
from tests.benchmarks.commands import ROOT, run_loader
from tests.benchmarks.history import write_history
from tests.conftest import Database, migrated, new_database

console = Console(highlight=False)


async def loads(platform: Platform, applications: int, runs: int) -> list[dict[str, float]]:
    """Load one journal several times, each into a warehouse of its own, and copy the same rows plainly beside."""
    measured = []
    async with migrated(platform, "lake") as lake, migrated(platform, "warehouse") as template:
        async with lake.connect() as owner:
            with Progress(console=console) as progress:
                bar = progress.add_task("applications", total=applications)
                await write_history(owner, 1, applications, lambda done: progress.advance(bar, done))
            await owner.execute("VACUUM ANALYZE journal.change")
        for _ in range(runs):
            async with new_database(platform, "warehouse", template.name) as warehouse:
                measured.append(await one_load(lake, warehouse))
                console.print({name: round(value, 2) for name, value in measured[-1].items()})
    return measured


async def one_load(lake: Database, warehouse: Database) -> dict[str, float]:
    """Run the loader as Airflow does, then copy what has landed into tables of the same shape.

    The plain copy is one transaction, from memory; the loader's time is of the command, from its start to its end, and
    of the batches alone.
    """
    command_seconds, rows = await run_loader(lake, warehouse)
    async with warehouse.connect() as owner:
        batch_seconds = float(
            await owner.fetchval("SELECT extract(epoch FROM sum(loaded_at - started_at)) FROM dl.batch")
        )
        copies: dict[str, bytes] = {}
        for row in await owner.fetch("SELECT DISTINCT target FROM dl.batch_target ORDER BY target"):
            buffer = io.BytesIO()
            await owner.copy_from_table(row["target"], schema_name="dl", output=buffer)
            copies[row["target"]] = buffer.getvalue()
            await owner.execute(
                f"CREATE TABLE public.{row['target']} (LIKE dl.{row['target']} INCLUDING ALL)"
            )
        await owner.execute("CHECKPOINT")
        started = time.perf_counter()
        async with owner.transaction():
            for table, text in copies.items():
                await owner.copy_to_table(table, schema_name="public", source=io.BytesIO(text))
        copy_seconds = time.perf_counter() - started
    return {
        "rows": rows,
        "bytes_a_row": sum(map(len, copies.values())) / rows,
        "loader_per_second": rows / command_seconds,
        "batches_per_second": rows / batch_seconds,
        "copy_per_second": rows / copy_seconds,
        "ratio": copy_seconds / command_seconds,
    }


def show_loads(measured: list[dict[str, float]]) -> None:
    """Print the medians."""
    made = Table(box=None, pad_edge=False)
    for number, title in enumerate(("journal to warehouse, median", "rows/s", "ratio")):
        made.add_column(title, justify="right" if number else "left")

    def median(name: str) -> float:
        return statistics.median(run[name] for run in measured)

    made.add_row("plain COPY of the same rows", f"{median('copy_per_second'):,.0f}", "1.00")
    made.add_row("loader, its batches", f"{median('batches_per_second'):,.0f}", "")
    made.add_row("loader, the whole command", f"{median('loader_per_second'):,.0f}", f"{median('ratio'):.2f}")
    console.print(made)


async def main(asked: argparse.Namespace) -> None:
    """Run what was asked for, print a table, write the JSON file."""
    home = Path(tempfile.mkdtemp(prefix="creditmesh-bench-"))
    platform = Platform(PlatformSettings.on_free_ports(home, postgres_options=TUNED))
    result: dict[str, Any] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{os.cpu_count()} cores, {machine.machine()}, Python {machine.python_version()}",
    }
    try:
        await platform.up(["databases"])
        if "loader" in asked.only:
            result["loader"] = await loads(platform, asked.applications, asked.runs)
            show_loads(result["loader"])
        if "dbt" in asked.only:
            result["dbt"] = await builds(platform, home, asked.history, asked.changes, console)
            show_builds(result["dbt"], console)
    finally:
        await platform.reset()
        shutil.rmtree(home, ignore_errors=True)
    path = ROOT / "var" / "bench" / "warehouse.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    console.print(f"written to {path.relative_to(ROOT)}")


def options() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    everything = ("loader", "dbt")
    parser.add_argument("--only", nargs="+", choices=everything, default=everything)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--applications", type=int, default=120_000, help="to load; about 8.4 changes each")
    parser.add_argument("--history", type=int, default=1_000_000, help="applications that are built fully")
    parser.add_argument("--changes", type=int, default=10_000, help="that are built incrementally")
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(main(options()))
