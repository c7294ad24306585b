"""The deadline of a request: when it passes, the work is cancelled and the answer is 504.

Cancelling ends calls to other services, waits for a connection, and statements on PostgreSQL; the transaction is rolled
back. SQL Server's driver cannot be cancelled: there, transactions bound their waits for locks themselves.
"""

import asyncio
import re

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.chassis.deadline import HEADER, ends_in
from services.chassis.web.health import PATHS
from services.chassis.web.problems import BadRequest, DeadlineExceeded, problem_response

LONGEST_SECONDS = 60
_NAME = HEADER.lower().encode()
_NUMBER = re.compile(rb"[1-9][0-9]{0,4}")


class Deadlines:
    """The ASGI middleware that gives every request a deadline."""

    def __init__(self, app: ASGIApp, *, default_seconds: float, named_by_clients: bool = True) -> None:
        """`default_seconds` hold for a request that names no time, and for every one unless `named_by_clients`."""
        self._app = app
        self._default = default_seconds
        self._named_by_clients = named_by_clients

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; an answer that has begun, such as a long export, is not cut off."""
        if scope["type"] != "http" or scope["path"] in PATHS:
            await self._app(scope, receive, send)
            return
        asked = [value for name, value in scope["headers"] if name == _NAME and self._named_by_clients]
        if any(not _is_time(value) for value in asked) or len(asked) > 1:
            refusal = BadRequest(f"Send {HEADER} once, as 1 to {LONGEST_SECONDS * 1000} milliseconds.")
            await problem_response(scope, refusal)(scope, receive, send)
            return
        seconds = int(asked[0]) / 1000 if asked else self._default
        timeout = asyncio.timeout(seconds)

        async def watch(message: Message) -> None:
            # A cancellation that was swallowed on its way leaves a deadline that has passed, and an answer.
            if message["type"] == "http.response.start" and not timeout.expired():
                timeout.reschedule(None)
            await send(message)

        try:
            async with timeout:
                with ends_in(seconds):
                    await self._app(scope, receive, watch)
        except TimeoutError:
            if not timeout.expired():
                raise
            late = DeadlineExceeded(
                "Nothing was changed, or all of it was: read it again, or repeat the request with more time"
                " and, where it creates something, with the same Idempotency-Key."
            )
            await problem_response(scope, late)(scope, receive, send)


def _is_time(value: bytes) -> bool:
    return _NUMBER.fullmatch(value) is not None and int(value) <= LONGEST_SECONDS * 1000
