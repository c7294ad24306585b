"""The ASGI middleware that restricts what browsers and caches may do with an answer."""

import re
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

DOCS_PATH = "/docs"
CLOSED_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""For an answer that is data: if a browser renders it as a page, the page can do nothing."""
HSTS = "max-age=63072000; includeSubDomains"

ALWAYS: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
}
UNLESS_SAID: Mapping[str, str] = {
    # Nearly every answer has personal data, or shows who may see it.
    "Cache-Control": "no-store",
    "Content-Security-Policy": CLOSED_POLICY,
}

HEADER_LINES = "".join(f"{name}: {value}\r\n" for name, value in {**ALWAYS, **UNLESS_SAID}.items()).encode()
"""The same as bytes, for answers before a request is parsed."""

_INLINE_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


class SecurityHeaders:
    """Adds the headers to every answer, also to errors and refusals."""

    def __init__(self, app: ASGIApp) -> None:
        """`app`: the wrapped application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        held: list[Message] = []

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                _add(message, secure=scope.get("scheme") == "https")
            if scope["path"] != DOCS_PATH:
                await send(message)
                return
            # The API's documentation page has an inline script: its policy allows only that script.
            held.append(message)
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                page = b"".join(one.get("body", b"") for one in held)
                MutableHeaders(scope=held[0])["Content-Security-Policy"] = _policy_of(page)
                for one in held:
                    await send(one)

        await self._app(scope, receive, answer)


def _add(start: Message, *, secure: bool) -> None:
    headers = MutableHeaders(scope=start)
    headers.update(ALWAYS)
    for name, value in UNLESS_SAID.items():
        headers.setdefault(name, value)
    if secure:
        headers["Strict-Transport-Security"] = HSTS
    # Do not reveal the server's software.
    for name in ("Server", "X-Powered-By"):
        if name in headers:
            del headers[name]


def _policy_of(page: bytes) -> str:
    digests = (b64encode(sha256(script).digest()).decode() for script in _INLINE_SCRIPT.findall(page))
    scripts = " ".join(("'self'", *(f"'sha256-{digest}'" for digest in digests)))
    return (
        f"{CLOSED_POLICY}; script-src {scripts}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; font-src 'self'; connect-src 'self'"
    )
