"""The ASGI middleware: one SERVER span and one histogram observation for each request."""

from time import perf_counter
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.chassis.telemetry.metrics import HTTP_SERVER_DURATION
from services.chassis.telemetry.spans import exemplar, parent_from
from services.chassis.web.health import PATHS, Readiness

UNMATCHED = "(unmatched)"
_METHODS = frozenset(
    {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY"}
)


class RequestTelemetry:
    """The outermost middleware: spans, duration and, while the process stops, `Connection: close`."""

    def __init__(self, app: ASGIApp, *, tracer: Tracer, readiness: Readiness) -> None:
        """`readiness` says whether the process is being stopped."""
        self._app = app
        self._tracer = tracer
        self._readiness = readiness

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; continues an incoming traceparent."""
        if scope["type"] != "http" or scope["path"] in PATHS:
            await self._app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        status = 500
        started = perf_counter()

        async def observe(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if self._readiness.stopping:
                    # Otherwise the client could send its next request on a connection that the server is closing.
                    message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            await send(message)

        with self._tracer.start_as_current_span(
            method,
            context=parent_from(_header(scope, b"traceparent")),
            kind=SpanKind.SERVER,
            attributes=_request_attributes(scope, method),
            set_status_on_exception=False,
        ) as span:
            try:
                await self._app(scope, receive, observe)
            finally:
                route = _route(scope)
                if span.is_recording():
                    _describe(span, method, route, status)
                HTTP_SERVER_DURATION.labels(method, route or UNMATCHED, status).observe(
                    perf_counter() - started, exemplar()
                )


def _describe(span: trace.Span, method: str, route: str | None, status: int) -> None:
    span.set_attribute("http.response.status_code", status)
    if route is not None:
        span.update_name(f"{method} {route}")
        span.set_attribute("http.route", route)
    if status >= 500:
        span.set_attribute("error.type", str(status))
        span.set_status(Status(StatusCode.ERROR))


def _request_attributes(scope: Scope, method: str) -> dict[str, Any]:
    # No url.query: it may contain names and national ids.
    attributes: dict[str, Any] = {
        "http.request.method": method,
        "url.scheme": scope["scheme"],
        "url.path": scope["path"],
    }
    if server := scope.get("server"):
        attributes["server.address"], attributes["server.port"] = server[0], server[1] or 0
    if client := scope.get("client"):
        attributes["client.address"] = client[0]
    return attributes


def _route(scope: Scope) -> str | None:
    """The template of the matched route, prefixes of included routers in front."""
    included = scope.get("fastapi", {}).get("effective_route_context")
    path = getattr(included or scope.get("route"), "path", None)
    return path if isinstance(path, str) else None


def _header(scope: Scope, name: bytes) -> str | None:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), None)
