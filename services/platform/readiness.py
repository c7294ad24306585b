"""Probes: does a process answer?"""

from __future__ import annotations

import asyncio
import ssl

import httpx

from services.platform.errors import NotReadyYet
from services.platform.settings import HOST

PROBE_SECONDS = 2.0
# Probes are plain HTTP on the loopback: loading the certificates of the world would cost each 20 ms.
_NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


async def accepts(port: int) -> None:
    """Return when something accepts connections on the port.

    Raises:
        OSError: nothing does.
    """
    async with asyncio.timeout(PROBE_SECONDS):
        _, writer = await asyncio.open_connection(HOST, port)
    writer.close()
    await writer.wait_closed()


async def answers(url: str) -> None:
    """Return when a GET of `url` answers 200.

    Raises:
        NotReadyYet: it does not; the message is what the process says about it.
    """
    try:
        async with httpx.AsyncClient(
            timeout=PROBE_SECONDS, trust_env=False, verify=_NO_CERTIFICATES
        ) as client:
            response = await client.get(url)
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
