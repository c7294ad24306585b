"""The ASGI middleware that bounds what a request may send."""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class BodyLimit:
    """Refuses a body as soon as it is too large, whether its length was announced or not."""

    def __init__(self, app: ASGIApp, *, max_body_bytes: int) -> None:
        """Bodies of up to `max_body_bytes` are let through."""
        self._app = app
        self._max = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, counting what is read of its body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        received = 0

        async def count() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max:
                # FastAPI, which is reading the body, passes on this kind of exception only.
                raise HTTPException(413, f"Send at most {self._max} bytes.")
            return message

        await self._app(scope, count, send)
