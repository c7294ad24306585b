"""`make bench-replication`: this replication beside PostgreSQL's own logical replication, in one run.

Both carry the same rows between the same two databases of one server, on the same machine. What is measured and why
is in docs/guides/benchmarks.md; figures go to var/bench/replication.json and onto the screen. The collector that the
processes export their spans to only discards them: storing them is another machine's work.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform as machine
import shutil
import statistics
import tempfile
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from services.platform.platform import Platform
from services.platform.settings import PlatformSettings
from tests.benchmarks.measures import Bench
from tests.benchmarks.workload import make_templates

ROOT = Path(__file__).parents[2]

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
            ["kafka-logins", "databases", "lake-schema", "auth-schema", "search-schema", "replica-schema"]
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
    made.add_row("creditmesh", f"{ours:,.0f}", f"{median_of(runs, 'ratio'):.2f}")
    console.print(made)
    made = table("processor time a change, median", "microseconds")
    made.add_row("native: PostgreSQL", f"{median_of(runs, 'native_micros_a_change', 'postgres'):.1f}")
    for part in ("relay", "kafka", "sink", "postgres"):
        made.add_row(f"creditmesh: {part}", f"{median_of(runs, 'ours_micros_a_change', part):.1f}")
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
