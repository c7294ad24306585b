"""How fast dbt builds a long history, and then adds new rows."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from services.platform.platform import Platform
from tests.benchmarks.commands import ROOT, run_loader, timed
from tests.benchmarks.history import NEW_LATELY, PAID_LATE, PAID_LATELY, STEPS
from tests.benchmarks.landing import land_history
from tests.conftest import Database, migrated

LAYERS = ("seeds", "ods", "dw", "dm", "ap")
TUNED = {
    "shared_buffers": "6GB",
    "effective_cache_size": "14GB",
    "work_mem": "128MB",
    "maintenance_work_mem": "1GB",
    "max_wal_size": "16GB",
    "checkpoint_timeout": "30min",
    "wal_compression": "on",
    "random_page_cost": "1.1",
    "effective_io_concurrency": "64",
    "jit": "off",
}
"""As an operator would set a warehouse on a machine of 24 GiB and two processors; of the lake's measures, nothing."""
COUNTED = ("ods.credit_application_event", "dw.sat_application", "dm.fact_decision", "dm.fact_loan_month")
TITLES = {
    "full": "full build",
    "incremental": "of the last days",
    "late": "of any time",
    "nothing_new": "nothing new",
}
AFFECTED = (500, 11_000, 60_000)
"""How many applications the last builds are about: a model whose time grows by more than these do is quadratic."""
SLOWEST = 12
WATCHED_EVERY_SECONDS = 2.0


@dataclass(slots=True)
class Built:
    """One build: the seconds of the whole command, of its layers (of its nodes, added up), and of each node."""

    seconds: float
    nodes: dict[str, float] = field(default_factory=dict)
    layers: dict[str, float] = field(default_factory=dict)
    peak_memory: int = 0


class Memory:
    """The most that the server and its children have held, in bytes, what they share counted once."""

    def __init__(self, pid: int) -> None:
        self._server = psutil.Process(pid)
        self.peak = 0

    def look(self) -> None:
        """Add up the proportional sizes."""
        held = 0
        for process in (self._server, *self._server.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                held += process.memory_full_info().pss
        self.peak = max(self.peak, held)

    async def watch(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.to_thread(self.look)
            await asyncio.sleep(WATCHED_EVERY_SECONDS)


@contextlib.asynccontextmanager
async def watched(pid: int) -> AsyncIterator[Memory]:
    """Watch the memory of a server for a block."""
    memory = Memory(pid)
    task = asyncio.create_task(memory.watch())
    try:
        yield memory
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def build(platform: Platform, warehouse: Database, home: Path) -> Built:
    """Build every layer by one command, without the tests."""
    server = platform.supervisor.all()["postgres"].pid
    async with watched(server) as memory:
        seconds, _ = await timed(
            *(str(ROOT / ".venv-airflow" / "bin" / "python"), "dbt/build.py"),
            *("--select", "path:models path:seeds"),
            *("--exclude-resource-type", "test", "--exclude-resource-type", "unit_test"),
            WAREHOUSE_URL=warehouse.url("transformer"),
            DBT_TARGET_PATH=str(home / "dbt"),
        )
    built = Built(seconds, peak_memory=memory.peak)
    target = home / "dbt" / "path-models-path-seeds"
    nodes = json.loads((target / "manifest.json").read_text(encoding="utf-8"))["nodes"]
    for result in json.loads((target / "run_results.json").read_text(encoding="utf-8"))["results"]:
        node = nodes.get(result["unique_id"])
        if node is None:
            continue  # an exposure
        layer = "seeds" if node["resource_type"] == "seed" else node["path"].split("/")[0]
        built.nodes[node["name"]] = result["execution_time"]
        built.layers[layer] = built.layers.get(layer, 0.0) + result["execution_time"]
    return built


async def builds(
    platform: Platform, home: Path, applications: int, changes: int, console: Console
) -> dict[str, Any]:
    """Build the whole history, then what a day brings, what comes late, and nothing.

    Of each of the two one half are new applications, one half payments of loans that are there. What lands is in no
    time. Everything is built by the same command.
    """
    async with migrated(platform, "lake") as lake, migrated(platform, "warehouse") as warehouse:
        await run_loader(lake, warehouse)  # products and approval bands
        started = time.perf_counter()
        with Progress(console=console) as progress:
            bar = progress.add_task("applications", total=applications)
            written = await land_history(warehouse, 1, applications, lambda done: progress.advance(bar, done))
        console.print(f"{written:,} changes have landed, in {time.perf_counter() - started:.0f} s")
        new = round(changes / 2 / (written / applications))
        landed = {"full": written, "nothing_new": 0}
        measured: dict[str, Built] = {}

        async def measure(name: str) -> None:
            measured[name] = await build(platform, warehouse, home)
            console.print(
                f"{title_of(name)}: {landed[name]:,} changes built in {measured[name].seconds:.0f} s"
            )

        await measure("full")
        for number, (name, submitted, paid) in enumerate(
            (("incremental", NEW_LATELY, PAID_LATELY), ("late", STEPS, PAID_LATE))
        ):
            first = applications + number * new + 1
            landed[name] = await land_history(warehouse, first, first + new - 1, steps=submitted)
            # One application in ten has a loan.
            landed[name] += await land_history(warehouse, 1, min(changes * 5, applications), steps=paid)
            await measure(name)
        await measure("nothing_new")
        first = applications + 2 * new + 1
        for count in AFFECTED:
            name = f"affected_{count}"
            landed[name] = await land_history(warehouse, first, first + count - 1)
            first += count
            await measure(name)
        async with warehouse.connect() as owner:
            size = await owner.fetchval("SELECT pg_database_size(current_database())")
            rows = {name: await owner.fetchval(f"SELECT count(*) FROM {name}") for name in COUNTED}
    return {
        "applications": applications,
        "postgresql": TUNED,
        "database_bytes": size,
        "rows": rows,
        "peak_memory_bytes": max(each.peak_memory for each in measured.values()),
        **{
            name: {
                "changes": landed[name],
                "seconds": each.seconds,
                "ratio": each.seconds / measured["full"].seconds,
                "layers": each.layers,
                "nodes": each.nodes,
            }
            for name, each in measured.items()
        },
    }


def title_of(name: str) -> str:
    """What a build is called on the screen."""
    return TITLES.get(name) or f"{int(name.rpartition('_')[2]):,} applications"


def show_builds(measured: dict[str, Any], console: Console) -> None:
    """Print the times, the layers' and the slowest models'."""
    made = Table(box=None, pad_edge=False)
    for number, title in enumerate(("dbt, all layers", "changes", "seconds", "ratio", *LAYERS)):
        made.add_column(title, justify="right" if number else "left")
    titles = {name: title_of(name) for name in (*TITLES, *(f"affected_{count}" for count in AFFECTED))}
    for name, title in titles.items():
        built = measured[name]
        made.add_row(
            *(title, f"{built['changes']:,}", f"{built['seconds']:.1f}", f"{built['ratio']:.3f}"),
            *(f"{built['layers'].get(layer, 0.0):.1f}" for layer in LAYERS),
        )
    console.print(made)
    slowest = Table(box=None, pad_edge=False)
    for number, title in enumerate(("the slowest models", *titles.values())):
        slowest.add_column(title, justify="right" if number else "left")
    nodes = [measured[name]["nodes"] for name in titles]
    for model in sorted(nodes[1], key=nodes[1].__getitem__, reverse=True)[:SLOWEST]:
        slowest.add_row(model, *(f"{each[model]:.2f}" for each in nodes))
    console.print(slowest)
    console.print(
        f"{measured['database_bytes'] / 2**30:.1f} GiB of database, "
        f"{measured['peak_memory_bytes'] / 2**30:.1f} GiB of memory at most"
    )
