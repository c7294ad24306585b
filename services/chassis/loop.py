"""Runs a process's event loop; separate from the HTTP application, so that commands start without it."""

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` to its end on uvloop (asyncio's own loop on Windows)."""
    if sys.platform == "win32":
        return asyncio.run(main)
    import uvloop  # noqa: PLC0415 - not available on Windows

    return uvloop.run(main)
