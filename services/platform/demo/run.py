"""The demo from a running platform to its report."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from services.chassis.telemetry.logging import set_level
from services.chassis.telemetry.spans import Telemetry
from services.platform.components.mesh import passwords, run_once
from services.platform.demo.client import Mesh
from services.platform.demo.feed import Feed, Ledger, people
from services.platform.demo.payments import record_payments
from services.platform.demo.report import counts, latencies, table_of
from services.platform.demo.showcase import show_apis
from services.platform.demo.warehouse import kpis, load_with_progress, table_of_kpis
from services.platform.platform import Platform

MAKERS = ("maker1", "maker2", "maker3")
CHECKERS = ("officer1", "officer2", "senior1", "senior2", "committee1", "committee2")
VERIFY_SECONDS = "120"


async def run_demo(platform: Platform, console: Console, limit: int | None = None) -> None:
    """Feed the applications, have them decided, verify the replica, and say what happened.

    Args:
        platform: which is up.
        console: to print on.
        limit: at most this many applications, for tests.

    Raises:
        PlatformError: an API refused what it should take, or the replica differs from the lake.
    """
    os.environ.setdefault("OTEL_EXPORTER_OTLP_ENDPOINT", platform.settings.http("receiver"))
    if certificates := platform.settings.certificates:
        # The exporter's HTTP library lets this variable of the shell go before the exporter's own.
        os.environ["REQUESTS_CA_BUNDLE"] = str(certificates.authority)
    telemetry = Telemetry.start("demo")
    set_level("ERROR")
    known = passwords(platform.home)
    progress = Progress(
        TextColumn("{task.description:<10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )
    total = min(950, limit or 950)
    bars = {name: progress.add_task(name, total=total) for name in ("submitted", "decided", "booked")}
    ledger = Ledger(platform.home.root / "demo.ndjson")
    before = set(ledger.submissions)
    async with AsyncExitStack() as stack:
        mesh = await stack.enter_async_context(Mesh(platform.settings))
        makers = [maker async for maker in people(mesh, known, MAKERS)]
        checkers = [checker async for checker in people(mesh, known, CHECKERS)]
        feed = Feed(mesh, telemetry.tracer, ledger, lambda name, more: progress.advance(bars[name], more))
        with progress:
            await feed.book_left_over(checkers[0])
            async with asyncio.TaskGroup() as tasks:
                submitting = tasks.create_task(feed.submit_all(makers, limit))
                tasks.create_task(feed.decide_all(checkers, submitting))
            for name, bar in bars.items():
                progress.update(bar, total=progress.tasks[bar].completed, description=name)
    await record_payments(platform, console)
    console.print("waiting until the replica is verified equal to the lake")
    console.print((await verified(platform)).strip(), markup=False)
    await show_apis(platform, console)
    if platform.settings.airflow:
        console.print("loading the warehouse by Airflow")
        await load_with_progress(platform, console, tracer=telemetry.tracer)
    await asyncio.to_thread(telemetry.shutdown)

    console.print(table_of(await counts(platform), feed.outcomes))
    fresh = [s for number, s in ledger.submissions.items() if number not in before]
    measured = await latencies(platform, fresh or list(ledger.submissions.values()))
    if measured is not None:
        console.print(
            f"from click to replica: median {measured.median * 1000:.0f} ms, slowest {measured.slowest * 1000:.0f} ms "
            f"({measured.count} applications)"
        )
        shown = max(ledger.submissions.values(), key=lambda submission: submission.clicked_at)
        await show_trace(platform, console, shown.trace_id)
    if platform.settings.airflow:
        console.print("the KPIs of the whole portfolio, as the warehouse has them in ap.kpi:")
        console.print(table_of_kpis(await kpis(platform)))


async def show_trace(platform: Platform, console: Console, trace_id: str) -> None:
    """Print where one application's trace is; the embedded store keeps traces only while it runs."""
    store = platform.settings.http("zipkin")
    async with httpx.AsyncClient(verify=platform.settings.trust()) as client:
        found = await client.get(f"{store}/api/v2/trace/{trace_id}")
    if found.status_code == 200:
        console.print(f"one application's trace: {trace_id}")
        console.print(f"  {store}/zipkin/traces/{trace_id}", soft_wrap=True)
    else:
        console.print(
            f"the trace {trace_id} went with the trace store, which keeps traces in memory; "
            "every call of an API makes a new one"
        )


async def verified(platform: Platform) -> str:
    """Run the replicator's `verify`; gives what it printed.

    Raises:
        PlatformError: rows differ, or the replica did not catch up; the message names them.
    """
    return await run_once(
        "services.replicator.main",
        "verify",
        "--wait-seconds",
        VERIFY_SECONDS,
        environment={
            "LAKE_URL": platform.database_url("lake", "verifier"),
            "APPLICATION_URL": platform.database_url("application", "verifier"),
        },
    )
