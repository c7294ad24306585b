"""Liveness and readiness: /livez says that the process runs, /readyz says that it can work now."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from services.chassis.error_names import error_name
from services.chassis.telemetry.logging import get_logger
from services.chassis.telemetry.redaction import scrub

PATHS = frozenset({"/livez", "/readyz", "/metrics"})
"""What every process serves to its operators; neither traced nor limited."""
CACHE_SECONDS = 1.0
CHECK_TIMEOUT_SECONDS = 2.0

_log = get_logger(__name__)


class NotReady(Exception):
    """Why a process cannot work now; the text is public: no names of people, no secrets."""


class Check(NamedTuple):
    """One dependency of the process; `probe` raises when it is not available."""

    name: str
    probe: Callable[[], Awaitable[object]]


class Readiness:
    """The readiness of a process: its checks, their last results, and whether the process is stopping."""

    def __init__(self, checks: Sequence[Check]) -> None:
        """`checks` run side by side, each for at most `CHECK_TIMEOUT_SECONDS`."""
        self.stopping = False
        self._checks = [Check(*check) for check in checks]
        self._results: dict[str, str] = {}
        self._expires = 0.0
        self._lock = asyncio.Lock()

    async def report(self) -> tuple[bool, dict[str, str]]:
        """Whether the process is ready, and for each check `ok` or what is wrong; at most a second old."""
        async with self._lock:
            if time.monotonic() >= self._expires:
                outcomes = await asyncio.gather(*(self._run(check) for check in self._checks))
                self._results = dict(zip((check.name for check in self._checks), outcomes, strict=True))
                self._expires = time.monotonic() + CACHE_SECONDS
        ready = not self.stopping and all(outcome == "ok" for outcome in self._results.values())
        return ready, self._results

    async def _run(self, check: Check) -> str:
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
                await check.probe()
        except TimeoutError:
            return f"no answer within {CHECK_TIMEOUT_SECONDS:g} s"
        except NotReady as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 - a probe may fail in any way
            # The log gets the text; the answer gets only the kind and the code.
            _log.warning("readiness check failed", check=check.name, error=scrub(str(error)))
            return _kind(error)
        return "ok"


def _kind(error: Exception) -> str:
    cause = getattr(error, "orig", None) or error
    if isinstance(cause, OSError) and cause.errno is not None:
        return f"{type(cause).__name__}: {os.strerror(cause.errno)}"
    return error_name(error)


def health_router(readiness: Readiness) -> APIRouter:
    """The routes /livez and /readyz; not part of the API's documentation."""
    router = APIRouter(include_in_schema=False)

    @router.get("/livez")
    async def livez() -> dict[str, str]:
        return {"status": "ok"}

    @router.get("/readyz")
    async def readyz(_: Request) -> JSONResponse:
        ready, results = await readiness.report()
        status = "stopping" if readiness.stopping else "ok" if ready else "unready"
        return JSONResponse({"status": status, "checks": results}, status_code=200 if ready else 503)

    return router
