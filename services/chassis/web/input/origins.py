"""The pages of other sites that may read answers (CORS): none, unless a setting names their origins.

Cookies play no part: a page sends a token that it has. An origin that is not listed gets the answers that everybody
gets, without the headers that would let its page read them.
"""

from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.chassis.deadline import HEADER

METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
REQUEST_HEADERS = (
    f"Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, {HEADER}, traceparent"
)
PREFLIGHT_SECONDS = 600
"""How long a browser may keep what a preflight has answered."""


class Origins:
    """The ASGI middleware that answers preflights of listed origins, and lets their pages read answers."""

    def __init__(self, app: ASGIApp, *, origins: Iterable[str]) -> None:
        """`origins`: each with its scheme, and with its port where that is not the scheme's own."""
        self._app = app
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or not self._origins:
            await self._app(scope, receive, send)
            return
        asked = Headers(scope=scope)
        origin = asked.get("origin", "")
        listed = origin in self._origins
        if listed and scope["method"] == "OPTIONS" and "access-control-request-method" in asked:
            await Response(status_code=204, headers=_preflight(origin))(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                # Also without an origin: a cache must not give one site the answer for another.
                headers.add_vary_header("Origin")
                if listed:
                    headers["Access-Control-Allow-Origin"] = origin
                    headers["Access-Control-Expose-Headers"] = "*"
            await send(message)

        await self._app(scope, receive, answer)


def _preflight(origin: str) -> dict[str, str]:
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Methods": METHODS,
        "Access-Control-Allow-Headers": REQUEST_HEADERS,
        "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
        "Vary": "Origin",
    }
