"""The second part of the journey: one application from the journal through every layer of the warehouse."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

import httpx

from services.platform.components.airflow_api import load
from services.platform.platform import Platform
from tests.conftest import Database

SCHEDULED_SECONDS = 600
LAYERS = ["lake", "ods", "dw", "dm", "ap"]
COUNTED = """
    SELECT k.numerator AS approved, k.denominator AS decided
    FROM ap.kpi AS k
    WHERE k.kpi = 'approval_rate' AND k.grain = 'month_of_decision' AND k.dimension = 'all'
      AND k.currency = $1 AND k.period_start = date_trunc('month', $2::date)::date
"""
RECOUNTED = """
    SELECT count(*) FILTER (WHERE decision = 'approved') AS approved, count(*) AS decided
    FROM dm.fact_decision
    WHERE decision <> 'none' AND currency = $1
      AND date_trunc('month', decided_on) = date_trunc('month', $2::date)
"""


class Traces(Protocol):
    """What is asked of the trace store."""

    trace_id: str
    click: str

    async def linking(self, service: str, name: str, span: dict[str, Any]) -> dict[str, Any]:
        """A span of another trace that links to `span`."""
        ...

    async def ancestors(self, span: dict[str, Any]) -> list[str]:
        """Names of the spans above `span` in its trace, up to one that has none."""
        ...


def _span(traceparent: str) -> dict[str, Any]:
    _, trace_id, span_id, _ = traceparent.split("-")
    return {"traceId": trace_id, "id": span_id}


async def scheduled_run_ended(platform: Platform) -> None:
    """Wait until the run that the clock started has gone through every layer."""
    async with httpx.AsyncClient(base_url=platform.settings.http("airflow"), timeout=30) as client:
        for _ in range(SCHEDULED_SECONDS):
            page = (await client.get("/flows/metrics")).text
            if 'credit_warehouse_flow_failed{flow="ap",layer="ap"} 0.0' in page:
                return
            await asyncio.sleep(1)
    raise AssertionError("the run that the clock started did not get to ap")


async def through_the_warehouse(
    platform: Platform, journey: Traces, application_id: str, submission: dict[str, Any]
) -> None:
    """Load, find the application in every layer, and the way back by links to `submission`, its lake transaction."""
    await scheduled_run_ended(platform)
    click = {"traceId": journey.trace_id, "id": journey.click}
    runs = await load(platform, traceparent=f"00-{click['traceId']}-{click['id']}-01")
    assert [run.flow for run in runs] == LAYERS

    async with Database(platform, "warehouse").connect() as warehouse:
        landed = await warehouse.fetchrow(
            "SELECT c.traceparent, b.traceparent AS batch FROM dl.credit_application AS c "
            "JOIN dl.batch AS b USING (batch_id) WHERE c.row_key = $1 AND c.operation = 'c'",
            f'["{application_id}"]',
        )
        assert landed["traceparent"].split("-")[1] == journey.trace_id
        states = await warehouse.fetch(
            "SELECT state FROM ods.credit_application WHERE id::text = $1 ORDER BY position_major, position_minor",
            application_id,
        )
        assert [states[0]["state"], states[-1]["state"]] == ["SUBMITTED", "BOOKED"]
        fact = await warehouse.fetchrow(
            "SELECT state, decision, currency, decided_on, requested_amount, loan_id FROM dm.fact_decision "
            "WHERE application_id::text = $1",
            application_id,
        )
        assert (fact["state"], fact["decision"], fact["requested_amount"]) == ("BOOKED", "approved", 2500)
        assert fact["loan_id"]
        period = (fact["currency"], fact["decided_on"])
        counted = await warehouse.fetchrow(COUNTED, *period)
        assert dict(counted) == dict(await warehouse.fetchrow(RECOUNTED, *period))
        assert counted["approved"] >= 1

    # The way back: Airflow's run links to who asked for it; the load links to the change; dbt links to the load.
    await journey.linking("airflow", "worker.load", click)
    loaded = await journey.linking("loader", "load lake", submission)
    batch = _span(landed["batch"])
    assert loaded["id"] == batch["id"]
    await journey.linking("airflow", "worker.build", batch)
    model = await journey.linking("dbt", "dbt model ods.credit_application", batch)
    assert await journey.ancestors(model) == ["dbt build", "worker.build", "task_run.build", "dag_run.ods"]
