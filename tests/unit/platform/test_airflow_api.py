"""Following a flow over Airflow's API, when a scheduled run of it is under way as well."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from services.platform.components import airflow_api
from services.platform.components.airflow_api import AirflowApi, Run, load
from services.platform.platform import Platform
from services.platform.settings import PlatformSettings

EVENT = "2026-09-15T10:00:05Z"
# Airflow started a run of `ods` for the event of a scheduled load; this load's event came while it was waiting, and is
# not noted with it. The run before is of no use: it began too early to have read this load.
RUNS = {
    "lake": [("manual", "2026-09-15T10:00:00Z")],
    "ods": [
        ("early", "2026-09-15T10:00:01Z"),
        ("shared", "2026-09-15T10:00:07Z"),
        ("late", "2026-09-15T10:15:00Z"),
    ],
}


def answer(request: httpx.Request) -> httpx.Response:
    """What Airflow says."""
    path, asked = request.url.path, request.url.params
    body: Any
    if path == "/auth/token":
        body = {"access_token": "token"}
    elif path == "/api/v2/dags":
        body = {"dags": [{"dag_id": flow} for flow in RUNS]}
    elif path == "/api/v2/assets":
        consumers = [{"dag_id": "ods"}]
        body = {"assets": [{"producing_tasks": [{"dag_id": "lake"}], "scheduled_dags": consumers}]}
    elif path == "/api/v2/assets/events":
        made = {"timestamp": EVENT, "created_dagruns": []}
        body = {"asset_events": [made] if asked["source_dag_id"] == "lake" else []}
    elif request.method == "POST":
        body = {"dag_run_id": "manual"}
    elif path.endswith("/dagRuns"):
        runs = [run for run, start in RUNS[path.split("/")[-2]] if start >= asked["start_date_gte"]]
        assert asked["order_by"] == "start_date"
        body = {"dag_runs": [{"dag_run_id": run} for run in runs[: int(asked["limit"])]]}
    else:
        body = {"state": "success"}
    return httpx.Response(200, json=body)


async def test_a_load_is_followed_by_the_run_that_it_shares_with_a_scheduled_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = Platform(PlatformSettings.on_free_ports(tmp_path).model_copy(update={"airflow": True}))

    class Api(AirflowApi):
        def __init__(self, platform: Platform) -> None:
            super().__init__(platform)
            self._http = httpx.AsyncClient(base_url="http://airflow", transport=httpx.MockTransport(answer))

    monkeypatch.setattr(airflow_api, "AirflowApi", Api)
    monkeypatch.setattr(airflow_api, "password", lambda _home: "secret")
    monkeypatch.setattr(airflow_api, "PATIENCE_SECONDS", 5.0)

    assert await load(platform) == [Run("lake", "manual"), Run("ods", "shared")]
