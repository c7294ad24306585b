"""The demo's way on from the replica: a load by Airflow, and the KPIs as the warehouse has them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg
from opentelemetry.trace import SpanKind, Tracer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from services.chassis.telemetry.spans import current_traceparent
from services.platform.components.airflow_api import FIRST, load
from services.platform.platform import Platform

KPIS = """
SELECT kpi, currency, period_start, numerator, denominator, value
FROM (
    SELECT kpi.*, row_number() OVER (
        PARTITION BY kpi, currency ORDER BY (grain = 'as_of') DESC, as_of_date DESC, period_start DESC
    ) AS newest
    FROM ap.kpi AS kpi
    WHERE dimension = 'all' AND value IS NOT NULL
) AS ranked
WHERE newest = 1
ORDER BY currency, kpi
"""


async def load_with_progress(
    platform: Platform, console: Console, *, flow: str = FIRST, tracer: Tracer | None = None
) -> None:
    """Run a flow and what follows from it, and show how far it is.

    Raises:
        PlatformError: a flow failed.
    """
    progress = Progress(
        SpinnerColumn(),
        TextColumn("{task.description:<12}{task.fields[state]}"),
        TimeElapsedColumn(),
        console=console,
    )
    bars: dict[str, Any] = {}
    began = time.monotonic()

    def told(name: str, state: str) -> None:
        if name not in bars:
            bars[name] = progress.add_task(name, total=1, state=state)
            if not console.is_terminal:
                console.print(f"{time.monotonic() - began:6.1f} s  {name:<12}{state}")
        progress.update(bars[name], state=state, completed=1 if state == "success" else 0)
        if state == "success" and not console.is_terminal:
            console.print(f"{time.monotonic() - began:6.1f} s  {name:<12}{state}")

    with progress:
        if tracer is None:
            await load(platform, flow, told=told)
        else:
            with tracer.start_as_current_span("click load", kind=SpanKind.INTERNAL):
                await load(platform, flow, traceparent=current_traceparent(), told=told)


async def kpis(platform: Platform) -> Sequence[Mapping[str, Any]]:
    """Every KPI of the whole portfolio as schema `ap` has it, the newest period of each, read as the analyst."""
    connection = await asyncpg.connect(platform.database_url("warehouse", "analyst").replace("+asyncpg", ""))
    try:
        return [dict(row) for row in await connection.fetch(KPIS)]
    finally:
        await connection.close()


def table_of_kpis(rows: Sequence[Mapping[str, Any]]) -> Table:
    """The KPIs, for people."""
    table = Table(box=None, pad_edge=False)
    for title in ("KPI", "of", "currency", "numerator", "denominator", "value"):
        table.add_column(title, justify="right" if title in ("numerator", "denominator", "value") else "left")
    for row in rows:
        table.add_row(
            row["kpi"],
            str(row["period_start"]),
            row["currency"],
            *(
                _number(row[name], digits)
                for name, digits in (("numerator", 2), ("denominator", 2), ("value", 4))
            ),
        )
    return table


def _number(value: Any, digits: int) -> str:
    return "" if value is None else f"{value:,.{digits}f}"
