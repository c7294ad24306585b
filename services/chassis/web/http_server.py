"""The HTTP/1.1 protocol of every server: uvicorn's, with limits on sizes and times.

httptools (llhttp) limits neither the URL nor the headers, and uvicorn waits for a request without a limit.
A request that is refused here never reaches the application: it has no span, and its problem has no trace id.
"""

from asyncio import TimerHandle, Transport
from http import HTTPStatus
from typing import Any

import orjson
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from services.chassis.web.security_headers import HEADER_LINES

MAX_URL_BYTES = 8 << 10
MAX_HEADERS = 64
MAX_HEADER_BYTES = 16 << 10
# Nothing else is known about an incomplete head.
MAX_HEAD_BYTES = MAX_URL_BYTES + MAX_HEADER_BYTES
# A request that was answered before its body arrived may send this many more bytes; then the connection is closed.
MAX_DRAINED_BYTES = 256 << 10
HEAD_SECONDS = 10.0
BODY_SECONDS = 20.0
MAX_CONNECTIONS = 800

_DETAILS = {
    400: "The request is not valid HTTP/1.1.",
    408: "The request did not arrive in time.",
    414: f"Send a URL of at most {MAX_URL_BYTES} bytes.",
    431: f"Send at most {MAX_HEADERS} headers of together {MAX_HEADER_BYTES} bytes.",
}


class _Refused(Exception):
    """Stops the parser."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection: its requests must arrive whole within limits of size and time."""

    head_seconds = HEAD_SECONDS
    body_seconds = BODY_SECONDS

    def __init__(self, *arguments: Any, **named: Any) -> None:
        """Takes uvicorn's arguments."""
        super().__init__(*arguments, **named)
        self._deadline: TimerHandle | None = None
        self._in_head = True
        self._head_bytes = self._header_bytes = self._drained = 0
        self._refusal = 400

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override] # as uvicorn declares it
        """Wait for the first request, for a bounded time."""
        super().connection_made(transport)
        self._wait(self.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse received data, unless its head is too large."""
        if self._deadline is None:
            # Also for bytes that begin no message: blank lines could otherwise keep a connection open without end.
            self._wait(self.head_seconds)
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self._refusal = 414 if not self.headers else 431
            self.send_400_response("")

    def on_message_begin(self) -> None:
        """Start to measure a request."""
        super().on_message_begin()
        self._in_head = True
        self._header_bytes = self._drained = 0
        if self._deadline is None:
            self._wait(self.head_seconds)

    def on_url(self, url: bytes) -> None:
        """Take a piece of the URL."""
        super().on_url(url)
        if len(self.url) > MAX_URL_BYTES:
            self._refuse(414)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header, or one trailer."""
        super().on_header(name, value)
        self._header_bytes += len(name) + len(value)
        if len(self.headers) > MAX_HEADERS or self._header_bytes > MAX_HEADER_BYTES:
            self._refuse(431)

    def on_headers_complete(self) -> None:
        """Start the request; its body has a time limit of its own."""
        self._in_head = False
        self._head_bytes = 0
        self._wait(self.body_seconds)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body; close the connection when an answered request does not end."""
        super().on_body(body)
        if self.cycle.response_complete:
            self._drained += len(body)
            if self._drained > MAX_DRAINED_BYTES:
                self.transport.close()

    def on_message_complete(self) -> None:
        """The request is complete: start the longer timeout for the next one."""
        self._stop_waiting()
        self._in_head = True
        self._head_bytes = 0
        super().on_message_complete()
        if self.cycle.response_complete:
            # uvicorn sets no timeout for the next request when it answered before the body arrived.
            self._wait(self.head_seconds)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's signature
        """Answer with the problem, 400 for invalid HTTP, and close the connection."""
        self._stop_waiting()
        if self.transport.is_closing():
            return
        if not self._is_answering():
            status = HTTPStatus(self._refusal)
            body = orjson.dumps(
                {
                    "type": "urn:creditmesh:problem:" + status.phrase.lower().replace(" ", "-"),
                    "title": status.phrase,
                    "status": int(status),
                    "detail": _DETAILS[status],
                }
            )
            self.transport.write(
                STATUS_LINE[status]
                + HEADER_LINES
                + b"content-type: application/problem+json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s"
                % (len(body), body)
            )
        self.transport.close()

    def _is_answering(self) -> bool:
        # The client would read an answer inside another one as a part of it.
        return self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete

    def _refuse(self, status: int) -> None:
        self._refusal = status
        raise _Refused

    def _wait(self, seconds: float) -> None:
        self._stop_waiting()
        self._deadline = self.loop.call_later(seconds, self._too_late, seconds)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self, seconds: float) -> None:
        self._deadline = None
        if self.transport.is_closing():
            return
        if self.flow.read_paused:
            # The server itself paused reading: the application has not asked for more.
            self._wait(seconds)
            return
        if self._in_head and not self._head_bytes:
            self.transport.close()
            return
        self._refusal = 408
        self.send_400_response("")
