"""The warehouse by Airflow: a failure and a stale flow raise their alerts, what is emitted is declared, and
stopping leaves nothing behind. How an application gets there is in test_application_journey.py."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import psutil
import pytest

from services.platform.components.airflow_api import AirflowApi
from tests.e2e.conftest import PROCESSES, Warehouse
from tests.e2e.warehouse_journey import LAYERS
from tests.telemetry.registry import load as load_registry

pytestmark = pytest.mark.timeout(1200)


async def firing(warehouse: Warehouse) -> set[tuple[str, str]]:
    """The alerts that fire: name and flow."""
    async with httpx.AsyncClient(base_url=warehouse.platform.settings.http("prometheus")) as client:
        answer = (await client.get("/api/v1/alerts")).json()["data"]["alerts"]
    return {
        (alert["labels"]["alertname"], alert["labels"].get("flow", ""))
        for alert in answer
        if alert["state"] == "firing"
    }


async def page(warehouse: Warehouse) -> str:
    """Airflow's page of metrics."""
    async with httpx.AsyncClient(base_url=warehouse.platform.settings.http("airflow")) as client:
        answer = await client.get("/flows/metrics")
    answer.raise_for_status()
    return answer.text


async def until(condition: Any, what: str) -> Any:
    """Ask until the answer is true."""
    for _ in range(240):
        if found := await condition():
            return found
        await asyncio.sleep(1)
    raise AssertionError(f"there was no {what}")


async def test_a_flow_whose_source_is_down_raises_both_alerts_and_is_posted(warehouse: Warehouse) -> None:
    async def both() -> bool:
        wanted = {("WarehouseFlowFailed", "unreachable"), ("WarehouseStale", "unreachable")}
        return wanted <= await firing(warehouse)

    await until(both, "alert on the failed and stale flow")
    posted = [alert for alert in warehouse.alerts if alert["flow"] == "unreachable"]
    assert [(alert["task"], alert["attempts"]) for alert in posted] == [("load", 1)]
    assert len(posted[0]["trace_id"]) == 32
    assert not {flow for name, flow in await firing(warehouse) if name == "WarehouseStale"} - {"unreachable"}


async def test_what_the_page_tells_is_declared_and_the_other_way_round(warehouse: Warehouse) -> None:
    good = [
        f'credit_warehouse_flow_failed{{flow="{name}",layer="{"dl" if name == "lake" else name}"}} 0.0'
        for name in LAYERS
    ]

    async def all_told() -> bool:
        text = await page(warehouse)
        return all(line in text for line in good)

    # A layer has metrics after its first run; each run triggers the next layer.
    await until(all_told, f"page that tells of {LAYERS}")
    text = await page(warehouse)
    assert load_registry().metric_faults("airflow", text) == []
    assert 'credit_warehouse_flow_failed{flow="unreachable",layer="dl"} 1.0' in text
    assert "credit_warehouse_definition_errors 0" in text


async def test_airflow_runs_the_command_that_expires_applications(warehouse: Warehouse) -> None:
    async with AirflowApi(warehouse.platform) as airflow:
        run = await airflow.trigger("expire_applications")

        async def ended() -> bool:
            state = await airflow.state(run)
            assert state != "failed"
            return state == "success"

        await until(ended, "run of expire_applications that succeeded")


async def test_stopping_airflow_leaves_no_process_behind(warehouse: Warehouse) -> None:
    home = str(warehouse.platform.home.root / "airflow")
    for name in PROCESSES:
        await asyncio.to_thread(warehouse.platform.supervisor.stop, name)

    def left() -> list[str]:
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("AIRFLOW_HOME") == home:
                    found.append(" ".join(process.cmdline()))
            except psutil.Error:
                continue
        return found

    assert left() == []
