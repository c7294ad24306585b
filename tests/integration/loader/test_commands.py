"""The output of the flows for people and for Prometheus."""

from __future__ import annotations

import asyncio
import json
import signal

import httpx

from tests.conftest import beside_others
from tests.integration.loader.loading import Loading, party
from tests.telemetry.registry import load


async def test_plan_status_and_metrics_tell_the_same(loading: Loading) -> None:
    await loading.change(party(1), party(2))
    changes = len(await loading.journal())
    plan = await loading.command("plan", "lake")
    output, said = await plan.communicate()
    assert plan.returncode == 0, said.decode()
    planned = json.loads(output)
    assert planned["waiting"]["credit_party"] == 2
    assert sum(planned["waiting"].values()) == changes
    assert await loading.watermark() is None

    never = await loading.command("status", "lake", "--json")
    output, _ = await never.communicate()
    assert never.returncode == 1
    assert json.loads(output)[0]["stale"] is True

    await loading.run()
    status = await loading.command("status", "--json")
    output, said = await status.communicate()
    assert status.returncode == 0, said.decode()
    lake = next(flow for flow in json.loads(output) if flow["flow"] == "lake")
    assert (lake["rows"], lake["batches"], lake["stale"]) == (changes, 1, False)

    port = beside_others(loading.lake.platform.home.data).relay_port
    exporter = await loading.command("exporter", HTTP_PORT=str(port))
    try:
        text = await _metrics(port)
        assert load().metric_faults("exporter", text, complete=False) == []
        values = {
            line.split("{")[0]: float(line.rsplit(" ", 1)[1])
            for line in text.splitlines()
            if '{flow="lake"}' in line
        }
        assert values["credit_warehouse_load_rows"] == changes
        assert values["credit_warehouse_load_batches"] == 1
        assert values["credit_warehouse_load_stale"] == 0
        assert values["credit_warehouse_load_age_seconds"] >= 0
        assert values["credit_warehouse_quality_failed_checks"] == 0
    finally:
        exporter.send_signal(signal.SIGTERM)
        _, said = await exporter.communicate()
    assert exporter.returncode == 0, said.decode()


async def _metrics(port: int) -> str:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client, asyncio.timeout(60):
        while True:
            try:
                text = (await client.get("/metrics")).text
            except httpx.TransportError:
                text = ""
            if "credit_warehouse_load_rows{" in text:
                return text
            await asyncio.sleep(0.1)


async def test_a_flow_that_is_not_there_ends_with_status_2(loading: Loading) -> None:
    process = await loading.command("run", "nothing")
    _, said = await process.communicate()
    assert process.returncode == 2
    assert "there is no flow 'nothing' in airflow/flows; there are: " in said.decode()
