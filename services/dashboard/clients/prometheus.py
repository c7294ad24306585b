"""What Prometheus knows: the newest values of an expression, alerts, and the processes that it asks.

Expressions come from our own code and files, never from a request. No user's token is sent.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from services.chassis.web.http import HttpClient, ServerUnavailable
from services.dashboard.clients.services import NOT_SET, ServiceFailed, said_by

NAME = "prometheus"
PATIENCE_SECONDS = 5.0
"""A part of a page waits for Prometheus for this long, repetitions included."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The newest value of one series."""

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Alert:
    """A rule that is broken; it fires once it has been for long enough."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    firing: bool
    since: str


@dataclass(frozen=True, slots=True)
class Target:
    """A process that Prometheus asks for its metrics; `up` is None before its first answer."""

    job: str
    up: bool | None
    error: str
    asked_at: str


class Prometheus:
    """A client of Prometheus's HTTP API."""

    def __init__(self, client: HttpClient | None) -> None:
        """`client`: of its address; None where none was set."""
        self._client = client

    async def aclose(self) -> None:
        """Close every connection."""
        if self._client is not None:
            await self._client.aclose()

    async def samples(self, expression: str) -> list[Sample]:
        """The newest values of an expression; raises ServiceFailed."""
        data = await self._read("/api/v1/query", query=expression, timeout=f"{PATIENCE_SECONDS:g}s")
        return [Sample(one["metric"], float(one["value"][1])) for one in data["result"]]

    async def value(self, expression: str) -> float | None:
        """The newest value of an expression that has at most one; raises ServiceFailed."""
        found = await self.samples(expression)
        return found[0].value if found else None

    async def alerts(self) -> list[Alert]:
        """Every alert that fires or is about to; raises ServiceFailed."""
        data = await self._read("/api/v1/alerts")
        return [
            Alert(one["labels"], one["annotations"], one["state"] == "firing", one["activeAt"])
            for one in data["alerts"]
        ]

    async def targets(self) -> list[Target]:
        """Every process that is asked; raises ServiceFailed."""
        data = await self._read("/api/v1/targets", state="active")
        known = {"up": True, "down": False}
        return [
            Target(one["labels"]["job"], known.get(one["health"]), one["lastError"], one["lastScrape"])
            for one in data["activeTargets"]
        ]

    async def _read(self, path: str, **parameters: str) -> Any:
        if self._client is None:
            raise ServiceFailed(NAME, NOT_SET)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                response = await self._client.get(path, params=parameters)
        except (httpx.TransportError, ServerUnavailable, TimeoutError) as error:
            raise ServiceFailed(NAME) from error
        if not response.is_success:
            raise ServiceFailed(NAME, *said_by(response))
        try:
            return response.json()["data"]
        except (ValueError, KeyError, TypeError) as error:
            # Another server, or a proxy before it, answers at this address.
            raise ServiceFailed(NAME) from error
