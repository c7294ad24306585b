"""Alerts: Prometheus has the rules, and case 3 makes one fire, in the real Prometheus, by the relay's own metric."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from services.platform.components.prometheus import ALERTS, alerts
from services.platform.platform import Platform
from services.platform.settings import ROOT, PlatformSettings
from tests.conftest import beside_others
from tests.integration.replicator.pipeline import Pipeline, party_insert

METRICS = {
    entry["name"]
    for entry in yaml.safe_load((ROOT / "observability/schema/metrics.yaml").read_text())["metrics"]
}


def rules() -> list[dict[str, Any]]:
    """Every rule, as it is for a minute."""
    files = sorted(ALERTS.glob("*.yaml"))
    groups = [group for file in files for group in yaml.safe_load(alerts(file, after_seconds=60))["groups"]]
    return [rule for group in groups for rule in group["rules"]]


@dataclass(frozen=True)
class Watching:
    """A Prometheus of a test's own, which scrapes a relay on the port that its settings name."""

    settings: PlatformSettings

    async def ask(self, path: str) -> Any:
        async with httpx.AsyncClient(base_url=self.settings.http("prometheus")) as client:
            response = await client.get(f"/api/v1/{path}")
        response.raise_for_status()
        return response.json()["data"]

    async def firing(self) -> set[str]:
        """Names of the alerts that fire now."""
        return {
            alert["labels"]["alertname"]
            for alert in (await self.ask("alerts"))["alerts"]
            if alert["state"] == "firing"
        }


@asynccontextmanager
async def prometheus_alerting(home: Path, *, after_seconds: float) -> AsyncIterator[Watching]:
    """Run a Prometheus in `home` whose alerts fire after N seconds; skips where it is not available."""
    settings = beside_others(home).model_copy(update={"alert_after": after_seconds})
    platform = Platform(settings)
    try:
        await platform.up(["prometheus"])
        if "prometheus" not in platform.supervisor.all():
            pytest.skip("Prometheus is not available on this machine")
        yield Watching(settings)
    finally:
        await platform.reset()


@pytest.fixture
async def watching(tmp_path: Path) -> AsyncIterator[Watching]:
    """Alerts after two seconds."""
    async with prometheus_alerting(tmp_path / "platform", after_seconds=2) as made:
        yield made


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_a_rule_asks_for_declared_metrics_and_names_a_runbook(rule: dict[str, Any]) -> None:
    used = set(re.findall(r"\bcredit_\w+|\bup\b", rule["expr"])) - {"up"}
    assert used <= METRICS
    assert rule["annotations"]["summary"]
    assert (ROOT / rule["annotations"]["runbook"]).is_file()
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert "$" not in rule["expr"], "every time was filled in"


async def alert_on_an_idle_transaction(pipeline: Pipeline, watching: Watching) -> None:
    """Case 3: it raises an alert, and nothing is lost."""
    loaded = {
        rule["name"]: rule for group in (await watching.ask("rules"))["groups"] for rule in group["rules"]
    }
    assert loaded.keys() == {rule["alert"] for rule in rules()}

    await pipeline.start("relay", HTTP_PORT=str(watching.settings.relay_port))
    await pipeline.start("sink")
    await pipeline.lake(party_insert(10))
    await pipeline.equal()
    async with pipeline.lake_database.connect() as idle:
        transaction = idle.transaction()
        await transaction.start()
        await idle.execute(party_insert(5, "idle"))
        await pipeline.lake(party_insert(100, "behind"))
        while "ReplicationHorizonHeld" not in await watching.firing():
            await asyncio.sleep(0.2)
        seen = await pipeline.replica("SELECT count(*) AS n FROM credit.party")
        assert seen[0]["n"] == 10, "what was written behind the open transaction waits for it"
        await transaction.commit()
    await pipeline.equal()
    seen = await pipeline.replica("SELECT count(*) AS n FROM credit.party")
    assert seen[0]["n"] == 115
    while "ReplicationHorizonHeld" in await watching.firing():
        await asyncio.sleep(0.2)
    assert {
        rule["health"] for group in (await watching.ask("rules"))["groups"] for rule in group["rules"]
    } == {"ok"}


@pytest.mark.usefixtures("validator")
async def test_case_03_an_idle_open_transaction_raises_an_alert_and_nothing_is_lost(
    pipeline: Pipeline, watching: Watching
) -> None:
    await alert_on_an_idle_transaction(pipeline, watching)
