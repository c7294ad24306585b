"""Faults of running processes: stopped tables, failed flows, quarantined rows. Read from the processes themselves."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from typing import Any

import httpx

from services.platform.readiness import PROBE_SECONDS
from services.platform.settings import PlatformSettings

# Gauges of the warehouse's exporter and of Airflow's page that say by flow that a person must look, and what to say.
GAUGES = {
    "credit_warehouse_flow_failed": "the flow {flow} failed at its last run: see its log in Airflow",
    "credit_warehouse_quality_failed_checks": "{value} checks of the flow {flow} fail: docs/runbooks/load-failed.md",
    "credit_warehouse_quarantined_rows": "{value} rows of {table} are set aside: docs/runbooks/rows-set-aside.md",
    "credit_warehouse_definition_errors": "{value} flow files cannot be read: see the DAG processor's log",
}
_SAMPLE = re.compile(r"^(?P<name>\w+)(?:\{(?P<labels>[^}]*)\})? (?P<value>\S+)")
_LABEL = re.compile(r'(\w+)="([^"]*)"')


async def findings(settings: PlatformSettings) -> list[str]:
    """Give one sentence for each fault that needs a person; the readiness shows processes that do not answer."""
    pages = [f"{settings.http('exporter')}/metrics"]
    if settings.airflow:
        pages.append(f"{settings.http('airflow')}/flows/metrics")
    async with httpx.AsyncClient(timeout=PROBE_SECONDS, trust_env=False, verify=settings.trust()) as client:
        status, *metrics = await asyncio.gather(
            _get(client, f"{settings.http('verifier')}/status"), *(_get(client, page) for page in pages)
        )
    found = of_replication(status.json()) if status is not None else []
    for page in metrics:
        if page is not None:
            found += of_gauges(page.text)
    return found


def of_replication(status: dict[str, Any]) -> list[str]:
    """What the status of replication says of tables, records and rows that need a person."""
    found = []
    if fault := status.get("relay_fault"):
        found.append(f"no relay works: {fault}")
    found += [
        f"{table['table']} is stopped: {table['stopped']}; run: {table['command']}"
        for table in status["tables"]
        if table["stopped"]
    ]
    if status["quarantined"]:
        found.append(
            f"{status['quarantined']} records are in replication's quarantine: docs/runbooks/quarantine.md"
        )
    verified = status["verified"]
    if verified and verified["mismatches"]:
        found.append(f"the last verification found {verified['mismatches']} rows that differ")
    found += [
        f"the backfill of {backfill['table']} failed: {backfill['error']}"
        for backfill in status["backfills"]
        if backfill["error"]
    ]
    return found


def of_gauges(page: str) -> list[str]:
    """What a page of metrics says of flows that need a person."""
    found = []
    for line in page.splitlines():
        sample = _SAMPLE.match(line)
        if sample is None or sample["name"] not in GAUGES or not float(sample["value"]) > 0:
            continue
        labels = defaultdict(lambda: "?", _LABEL.findall(sample["labels"] or ""))
        labels["value"] = f"{float(sample['value']):g}"
        found.append(GAUGES[sample["name"]].format_map(labels))
    return found


async def _get(client: httpx.AsyncClient, url: str) -> httpx.Response | None:
    try:
        answer = await client.get(url)
    except httpx.HTTPError:
        return None
    return answer if answer.status_code == 200 else None
