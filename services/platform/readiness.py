"""Probes: does a process answer?"""

from __future__ import annotations

import asyncio

import httpx

from services.platform.errors import NotReadyYet
from services.platform.settings import HOST, PlatformSettings

PROBE_SECONDS = 2.0


async def accepts(port: int) -> None:
    """Return when something accepts connections on the port.

    Raises:
        OSError: nothing does.
    """
    async with asyncio.timeout(PROBE_SECONDS):
        _, writer = await asyncio.open_connection(HOST, port)
    writer.close()
    await writer.wait_closed()


async def answers(settings: PlatformSettings, name: str, path: str) -> None:
    """Return when a GET of `path` at the process whose port setting is `<name>_port` answers 200.

    Raises:
        NotReadyYet: it does not; the message is what the process says about it.
    """
    try:
        async with httpx.AsyncClient(
            timeout=PROBE_SECONDS, trust_env=False, verify=settings.trust()
        ) as client:
            response = await client.get(settings.http(name) + path)
    except httpx.HTTPError as error:
        raise NotReadyYet(str(error) or type(error).__name__) from error
    if response.status_code != 200:
        raise NotReadyYet(f"{response.status_code} {_reason(response)}")


def _reason(response: httpx.Response) -> str:
    """The failing checks of our own processes, else the beginning of what was answered."""
    try:
        checks = response.json()["checks"]
    except (ValueError, KeyError, TypeError):
        return response.text[:100]
    return ", ".join(f"{name}: {outcome}" for name, outcome in checks.items() if outcome != "ok")
