"""A client of Airflow's REST API: runs a flow and follows the runs that it triggers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Self

import httpx

from services.platform.components.airflow import USER, logins_file, password
from services.platform.components.command_environments import by_hand
from services.platform.errors import PlatformError
from services.platform.platform import Platform

FIRST = "lake"
"""The flow that loads the lake's changes; every layer follows from it."""
POLL_SECONDS = 1.0
PATIENCE_SECONDS = 1800.0

Told = Callable[[str, str], None]
"""Called with every change of a run: flow and state."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run of one flow."""

    flow: str
    run_id: str


class AirflowApi:
    """Airflow's API with a login."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._http = httpx.AsyncClient(
            base_url=platform.settings.http("airflow"),
            timeout=30,
            trust_env=False,
            verify=platform.settings.trust(),
        )

    async def __aenter__(self) -> Self:
        """Log in.

        Raises:
            PlatformError: Airflow does not answer, or does not take the password.
        """
        login = {"username": USER, "password": password(self._platform.home)}
        token = (await self._call("POST", "/auth/token", json=login))["access_token"]
        self._http.headers["Authorization"] = f"Bearer {token}"
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def trigger(self, flow: str, traceparent: str | None = None) -> Run:
        """Ask for a run of a flow; the run's task links to `traceparent`.

        Raises:
            PlatformError: there is no such flow, or not yet.
        """
        conf = {"traceparent": traceparent} if traceparent else {}
        body = {"logical_date": None, "conf": conf}
        made = await self._call("POST", f"/api/v2/dags/{flow}/dagRuns", json=body)
        return Run(flow, made["dag_run_id"])

    async def state(self, run: Run) -> str:
        """`queued`, `running`, `success` or `failed`."""
        return str((await self._call("GET", f"/api/v2/dags/{run.flow}/dagRuns/{run.run_id}"))["state"])

    async def behind(self, run: Run, followers: Collection[str]) -> list[Run]:
        """For each follower its first run, if any, that began after this run had produced its asset.

        This may differ from the run that Airflow records with the event. When a follower already waits because of
        another event, its next run belongs to both events, and Airflow records it for the earlier one only.
        """
        parameters: dict[str, Any] = {"source_dag_id": run.flow, "source_run_id": run.run_id}
        events = (await self._call("GET", "/api/v2/assets/events", params=parameters))["asset_events"]
        if not events:
            return []
        made = max(event["timestamp"] for event in events)
        found = []
        for flow in sorted(followers):
            parameters = {"start_date_gte": made, "order_by": "start_date", "limit": 1}
            runs = (await self._call("GET", f"/api/v2/dags/{flow}/dagRuns", params=parameters))["dag_runs"]
            found += [Run(flow, one["dag_run_id"]) for one in runs]
        return found

    async def consumers(self) -> dict[str, set[str]]:
        """By flow, the flows that run after it."""
        assets = (await self._call("GET", "/api/v2/assets", params={"limit": 1000}))["assets"]
        return {
            producer["dag_id"]: {consumer["dag_id"] for consumer in asset["scheduled_dags"]}
            for asset in assets
            for producer in asset["producing_tasks"]
        }

    async def flows(self) -> set[str]:
        """The flows that Airflow has read."""
        return {dag["dag_id"] for dag in (await self._call("GET", "/api/v2/dags"))["dags"]}

    async def _call(self, method: str, path: str, **options: Any) -> Any:
        try:
            answer = await self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise PlatformError(
                f"Airflow does not answer ({str(error) or type(error).__name__}); see `make status`"
            ) from error
        if answer.is_error:
            raise PlatformError(f"Airflow: {method} {path}: {answer.status_code} {answer.text[:300]}")
        return answer.json()


async def load(
    platform: Platform,
    flow: str = FIRST,
    *,
    traceparent: str | None = None,
    told: Told = lambda _flow, _state: None,
) -> list[Run]:
    """Run a flow and wait until it, and all that it sets off, has ended well; gives the runs in their order.

    Args:
        platform: which is up, Airflow included.
        flow: the first one.
        traceparent: what the first run links to.
        told: called with every change.

    Raises:
        PlatformError: a run failed, or it took longer than half an hour; the message says where to look. Or Airflow is
            left out of the platform; the message has the commands that do the same.
    """
    if not platform.settings.airflow:
        raise PlatformError(
            "Airflow is left out of this platform (CREDITMESH_AIRFLOW=false). Start with it, or run instead\n"
            "  .venv/bin/python -m services.platform.main build\n"
            f"or for the flow {flow} alone, and all of the warehouse:\n{by_hand(platform.home, flow)}"
        )
    deadline = time.monotonic() + PATIENCE_SECONDS
    async with AirflowApi(platform) as api:
        while flow not in await api.flows():
            _in_time(deadline, f"Airflow has not read the flow {flow!r}")
            told(flow, "waiting until Airflow has read it")
            await asyncio.sleep(POLL_SECONDS)
        followers = await api.consumers()
        waiting = [await api.trigger(flow, traceparent)]
        done: list[Run] = []
        while waiting:
            run = waiting.pop(0)
            await _ended(platform, api, run, told, deadline)
            done.append(run)
            expected = followers.get(run.flow, set())
            set_off = await api.behind(run, expected)
            while not expected <= {follower.flow for follower in set_off}:
                _in_time(deadline, f"{run.flow} has not set off all of {', '.join(sorted(expected))}")
                await asyncio.sleep(POLL_SECONDS)
                set_off = await api.behind(run, expected)
            waiting += [follower for follower in set_off if follower not in (*done, *waiting)]
    return done


async def _ended(platform: Platform, api: AirflowApi, run: Run, told: Told, deadline: float) -> None:
    while (state := await api.state(run)) != "success":
        told(run.flow, state)
        if state == "failed":
            logs = platform.home.logs / "airflow" / f"dag_id={run.flow}" / f"run_id={run.run_id}"
            raise PlatformError(
                f"the flow {run.flow} failed; its log is below {logs}, and at {platform.settings.http('airflow')}"
                f"/dags/{run.flow}/runs/{run.run_id} (user {USER}, password in {logins_file(platform.home)})"
            )
        _in_time(deadline, f"the flow {run.flow} is still {state}")
        await asyncio.sleep(POLL_SECONDS)
    told(run.flow, "success")


def _in_time(deadline: float, what: str) -> None:
    if time.monotonic() > deadline:
        raise PlatformError(
            f"after {PATIENCE_SECONDS / 60:.0f} minutes {what}; see docs/runbooks/warehouse-stale.md"
        )
