"""Gauges of services that run in the test's own process."""

from __future__ import annotations

import asyncio

from prometheus_client import REGISTRY


async def gauge_becomes(name: str, value: float) -> None:
    """Wait until a gauge without labels has a value: its worker measures once a round."""
    for _ in range(300):
        if REGISTRY.get_sample_value(name) == value:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{name} is {REGISTRY.get_sample_value(name)}, not {value}")
