"""What a process of intake does beside its requests, again and again."""

import asyncio
from collections.abc import Awaitable, Callable

from sqlalchemy.exc import SQLAlchemyError

from services.chassis.error_names import error_name
from services.chassis.telemetry.logging import get_logger

_log = get_logger(__name__)


async def repeat(
    work: Callable[[], Awaitable[object]],
    *,
    seconds: float,
    failure: str,
    wanted: asyncio.Event | None = None,
) -> None:
    """Do `work` again and again; runs until it is cancelled.

    Args:
        work: one round of it.
        seconds: how long after a round the next one begins.
        failure: what the log says of a round that fails. Its error is named only: a message can have personal data.
        wanted: begins the next round at once.
    """
    wanted = wanted or asyncio.Event()
    while True:
        wanted.clear()
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - nobody awaits this task: it must log what ends a round, and go on
            is_transient = isinstance(error, SQLAlchemyError | OSError)
            (_log.warning if is_transient else _log.error)(failure, error=error_name(error))
        try:
            async with asyncio.timeout(seconds):
                await wanted.wait()
        except TimeoutError:
            continue
