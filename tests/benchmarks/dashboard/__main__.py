"""Build a large warehouse, run the measures, print a table, write the JSON file; see docs/guides/benchmarks.md."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform as machine
import shutil
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from services.analytics.service import LOOK_AGAIN_SECONDS
from services.platform.platform import Platform
from services.platform.settings import PlatformSettings
from tests.benchmarks.builds import TUNED, build
from tests.benchmarks.commands import ROOT, run_loader, timed
from tests.benchmarks.dashboard.measures import Bench
from tests.benchmarks.landing import land_history
from tests.benchmarks.report import show
from tests.conftest import Database

PARTS = ("publication", "pages", "rows", "readers")

console = Console(highlight=False)


async def main(options: argparse.Namespace) -> None:
    """Measure what was asked for."""
    home = Path(tempfile.mkdtemp(prefix="creditmesh-bench-"))
    platform = Platform(PlatformSettings.on_free_ports(home, postgres_options=TUNED))
    result: dict[str, Any] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{os.cpu_count()} cores, {machine.machine()}, Python {machine.python_version()}",
        "seconds": options.seconds,
        "applications": options.applications,
    }
    try:
        await platform.up(["receiver", "auth", "users", "lake-schema", "serving-schema"])
        warehouse = Database(platform, "warehouse")
        await make_warehouse(platform, home, warehouse, options.applications)
        await platform.up(["analytics", "dashboard"])
        bench = Bench(platform, warehouse, options.seconds)
        runs: dict[str, list[dict[str, Any]]] = {part: [] for part in PARTS}
        for _ in range(options.runs):
            runs["publication"].append(await bench.publish())
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
            runs["pages"].append(await bench.pages())
            runs["rows"].append(await bench.rows())
            runs["readers"].append(await bench.readers())
        for part, measured in runs.items():
            show(console, part, measured)
        result |= runs
    finally:
        await platform.reset()
        shutil.rmtree(home, ignore_errors=True)
    path = ROOT / "var" / "bench" / "dashboard.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    console.print(f"written to {path.relative_to(ROOT)}")


async def make_warehouse(platform: Platform, home: Path, warehouse: Database, applications: int) -> None:
    """Land the history of many applications and build all layers, `ap` with its tests."""
    await run_loader(Database(platform, "lake"), warehouse)  # products and approval bands
    began = time.perf_counter()
    with Progress(console=console) as progress:
        bar = progress.add_task("applications", total=applications)
        await land_history(warehouse, 1, applications, lambda done: progress.advance(bar, done))
    console.print(
        f"landed in {time.perf_counter() - began:.0f} s; building, which takes some minutes a million"
    )
    built = await build(platform, warehouse, home)
    seconds, _ = await timed(
        *(str(ROOT / ".venv-airflow" / "bin" / "python"), "dbt/build.py"),
        *("--select", "path:models/ap", "--tests", "data"),
        WAREHOUSE_URL=warehouse.url("transformer"),
        DBT_TARGET_PATH=str(home / "dbt"),
    )
    console.print(f"built in {built.seconds:.0f} s, ap with its tests in {seconds:.0f} s")
    async with warehouse.connect() as owner:
        # The first build was without tests; the second is the one to publish.
        await owner.execute("DELETE FROM build.run WHERE tests_left > 0")


def options() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(prog="tests.benchmarks.dashboard", description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0, help="how long the readers read")
    parser.add_argument("--applications", type=int, default=1_000_000, help="in the warehouse")
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(main(options()))
