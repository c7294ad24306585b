"""`make bench-warehouse`: how fast the journal lands beside a plain COPY, and how fast dbt takes up what is new.

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
import sys
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
from tests.benchmarks.history import PAYMENTS, write_history
from tests.conftest import Database, migrated, new_database

ROOT = Path(__file__).parents[2]

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


async def timed(*command: str, **environment: str) -> tuple[float, dict[str, Any]]:
    """Run a command to its end; give its seconds, and the JSON of its last line."""
    started = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, said = await process.communicate()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}:\n{output.decode()[-4000:]}\n{said.decode()[-4000:]}")
    found: dict[str, Any] = json.loads(output.splitlines()[-1])
    return time.perf_counter() - started, found


async def run_loader(lake: Database, warehouse: Database) -> tuple[float, int]:
    """Load what is new, as Airflow does; give seconds and rows."""
    seconds, found = await timed(
        *(sys.executable, "-m", "services.loader.main", "run", "lake"),
        LAKE_URL=lake.url("loader"),
        WAREHOUSE_URL=warehouse.url("loader"),
    )
    return seconds, int(found["rows"])


async def build(warehouse: Database, home: Path) -> float:
    """Build every layer, without the tests; give the seconds."""
    seconds, _ = await timed(
        *(
            str(ROOT / ".venv-airflow" / "bin" / "python"),
            "dbt/build.py",
            "--select",
            "path:models path:seeds",
        ),
        *("--tests", "none"),
        WAREHOUSE_URL=warehouse.url("transformer"),
        DBT_TARGET_PATH=str(home / "dbt"),
    )
    return seconds


async def builds(platform: Platform, home: Path, applications: int, changes: int) -> dict[str, float]:
    """Build the whole history, then what came later: half of it new applications, half payments of old loans.

    Loading is not in the times; what is built is the same with both, by one command each.
    """
    async with migrated(platform, "lake") as lake, migrated(platform, "warehouse") as warehouse:
        async with lake.connect() as owner:
            with Progress(console=console) as progress:
                bar = progress.add_task("applications", total=applications)
                written = await write_history(
                    owner, 1, applications, lambda done: progress.advance(bar, done)
                )
            await owner.execute("VACUUM ANALYZE journal.change")
        await run_loader(lake, warehouse)
        full = await build(warehouse, home)
        console.print(f"{written:,} changes of {applications:,} applications built in {full:.0f} s")
        async with lake.connect() as owner:
            new = round(changes / 2 / (written / applications))
            later = await write_history(owner, applications + 1, applications + new)
            # One application in ten has a loan.
            later += await write_history(owner, 1, changes * 5, steps=PAYMENTS)
        await run_loader(lake, warehouse)
        incremental = await build(warehouse, home)
        nothing = await build(warehouse, home)
    return {
        "applications": applications,
        "changes": written,
        "later_changes": later,
        "full_seconds": full,
        "incremental_seconds": incremental,
        "nothing_new_seconds": nothing,
        "ratio": incremental / full,
    }


def show_builds(measured: dict[str, float]) -> None:
    """Print the times."""
    made = Table(box=None, pad_edge=False)
    for number, title in enumerate(("dbt, all layers", "changes", "seconds", "ratio")):
        made.add_column(title, justify="right" if number else "left")
    for title, changes, seconds in (
        ("full build", measured["changes"], measured["full_seconds"]),
        ("incremental", measured["later_changes"], measured["incremental_seconds"]),
        ("nothing new", 0, measured["nothing_new_seconds"]),
    ):
        made.add_row(title, f"{changes:,}", f"{seconds:.1f}", f"{seconds / measured['full_seconds']:.3f}")
    console.print(made)


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
    platform = Platform(PlatformSettings.on_free_ports(home))
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
            result["dbt"] = await builds(platform, home, asked.history, asked.changes)
            show_builds(result["dbt"])
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
