"""What a process of intake does beside its requests, again and again."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from sqlalchemy.exc import SQLAlchemyError

from services.chassis.error_names import error_name
from services.chassis.telemetry.logging import get_logger

PAUSES = 100
"""How many times as long as a costly round the pause behind it is: it takes one hundredth of a processor."""

_log = get_logger(__name__)


async def repeat(
    work: Callable[[], Awaitable[object]],
    *,
    seconds: float,
    failure: str,
    costly: bool = False,
    wanted: asyncio.Event | None = None,
) -> None:
    """Do `work` again and again; runs until it is cancelled.

    Args:
        work: one round of it.
        seconds: how long after a round the next one begins, at least.
        failure: what the log says of a round that fails. Its error is named only: a message can have personal data.
        costly: `pause_after` says how long after a round the next one begins.
        wanted: begins the next round at once.
    """
    wanted = wanted or asyncio.Event()
    while True:
        began = time.monotonic()
        wanted.clear()
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - nobody awaits this task: it must log what ends a round, and go on
            is_transient = isinstance(error, SQLAlchemyError | OSError)
            (_log.warning if is_transient else _log.error)(failure, error=error_name(error))
        pause = pause_after(time.monotonic() - began, seconds) if costly else seconds
        try:
            async with asyncio.timeout(pause):
                await wanted.wait()
        except TimeoutError:
            continue


def pause_after(took: float, least: float) -> float:
    """The pause behind a costly round, in seconds: PAUSES times as long as it took, at least `least`."""
    return max(least, PAUSES * took)
