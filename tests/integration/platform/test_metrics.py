"""Prometheus scrapes what the platform runs, exemplars included."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from services.platform.platform import Platform


async def asked(prometheus: str, path: str, **params: str) -> Any:
    async with httpx.AsyncClient(base_url=prometheus) as client:
        response = await client.get(f"/api/v1/{path}", params=params)
    response.raise_for_status()
    return response.json()["data"]


async def until_some(prometheus: str, path: str, key: str, **params: str) -> list[Any]:
    """What the API answers under `key`, once it is not empty."""
    for _ in range(200):
        found: list[Any] = (await asked(prometheus, path, **params))[key]
        if found:
            return found
        await asyncio.sleep(0.1)
    raise AssertionError(f"{path} {params} stayed empty")


async def test_every_process_is_a_job(platform: Platform, prometheus: str) -> None:
    targets = await until_some(prometheus, "targets", "activeTargets")
    jobs = {target["labels"]["job"]: target["scrapeUrl"] for target in targets}
    assert jobs.keys() >= {
        "auth",
        "intake",
        "approval",
        "search",
        "dashboard",
        "lineage",
        "relay",
        "sink",
        "verifier",
        "receiver",
        "zipkin",
    }
    assert jobs["intake"] == f"{platform.settings.http('intake')}/metrics"


async def test_metrics_of_a_process_arrive(otlp: str, prometheus: str) -> None:
    del otlp
    query = 'otlp_receiver_spans_accepted_total{job="receiver"}'
    assert await until_some(prometheus, "query", "result", query=query)


async def test_exemplars_are_kept(prometheus: str) -> None:
    flags = await asked(prometheus, "status/flags")
    configuration = (await asked(prometheus, "status/config"))["yaml"]
    assert flags["enable-feature"] == "exemplar-storage"
    assert "max_exemplars: 100000" in configuration
