"""Calls to other services over HTTP: timeouts, tracing, a metric, and retries within a budget."""

import os
from collections.abc import Mapping
from time import perf_counter
from types import TracebackType
from typing import Any, Self

import httpx
import stamina
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor

from services.chassis.deadline import HEADER, seconds_left
from services.chassis.resilience import Breaker, RetryBudget
from services.chassis.telemetry.metrics import (
    HTTP_CLIENT_BREAKER_STATE,
    HTTP_CLIENT_DURATION,
    HTTP_CLIENT_RETRIES,
)
from services.chassis.telemetry.spans import exemplar
from services.chassis.web.problems import Unavailable

# By default the instrumentation still writes the attribute names from before 2023. It asks once, at its first client,
# which may be made before the telemetry of the process.
os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http")

CONNECT_SECONDS = 2.0
ATTEMPTS = 3
RETRIED_STATUSES = frozenset({429, 502, 503, 504})
IDEMPOTENT_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
IDEMPOTENCY_HEADER = "idempotency-key"


class ServerUnavailable(Unavailable):
    """Another service does not answer at the moment."""


class HttpClient:
    """An HTTP client for one server.

    Idempotent calls (safe methods, PUT, DELETE, and calls with an Idempotency-Key) are repeated on
    connection errors and on 429, 502, 503 and 504, at most twice and within the budget. Everything else is
    sent once. While too many calls fail, a breaker refuses further calls immediately.
    """

    def __init__(
        self,
        base_url: str,
        *,
        timeout_seconds: float = 10.0,
        headers: Mapping[str, str] | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        budget: RetryBudget | None = None,
        breaker: Breaker | None = None,
    ) -> None:
        """Calls go to `base_url`; `timeout_seconds` bounds each attempt; `transport` replaces the network.

        `budget` and `breaker` are this client's own unless given.
        """
        self._client = httpx.AsyncClient(
            base_url=base_url,
            headers=headers,
            timeout=httpx.Timeout(timeout_seconds, connect=min(CONNECT_SECONDS, timeout_seconds)),
            transport=_MeasuredTransport(transport or httpx.AsyncHTTPTransport()),
        )
        HTTPXClientInstrumentor.instrument_client(self._client)
        self._server = self._client.base_url.host
        self._budget = budget or RetryBudget()
        self._breaker = breaker or Breaker(changed=HTTP_CLIENT_BREAKER_STATE.labels(self._server).set)

    async def __aenter__(self) -> Self:
        """Open the client."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close its connections."""
        await self.aclose()

    async def aclose(self) -> None:
        """Close its connections."""
        await self._client.aclose()

    async def get(self, url: str, **options: Any) -> httpx.Response:
        """GET `url`; the options are those of `request`."""
        return await self.request("GET", url, **options)

    async def post(self, url: str, **options: Any) -> httpx.Response:
        """POST to `url`; the options are those of `request`."""
        return await self.request("POST", url, **options)

    async def request(self, method: str, url: str, **options: Any) -> httpx.Response:
        """The response to one call, whatever its status; options are those of `httpx.AsyncClient.request`.

        Raises httpx.TransportError when the server could not be reached or did not answer in time, and
        ServerUnavailable (a problem) while the breaker is open.
        """
        request = self._client.build_request(method, url, **options)
        self._budget.earn()
        if method not in IDEMPOTENT_METHODS and IDEMPOTENCY_HEADER not in request.headers:
            return await self._attempt(request)
        try:
            async for attempt in stamina.retry_context(
                on=self._may_retry,
                attempts=ATTEMPTS,
                timeout=None,
                wait_initial=0.1,
                wait_max=1.0,
                wait_jitter=0.2,
            ):
                with attempt:
                    response = await self._attempt(request)
                    _refuse(response)
                    return response
        except _RefusedError as refused:
            return refused.response
        raise AssertionError("a retry context ends with a return or an exception")

    async def _attempt(self, request: httpx.Request) -> httpx.Response:
        # A repeated attempt has less time left than the first one.
        left = seconds_left()
        if left is not None:
            request.headers[HEADER] = str(max(1, int(left * 1000)))
        if not self._breaker.allows():
            raise ServerUnavailable(f"{self._server} has failed too often just now; try again shortly.")
        try:
            response = await self._client.send(request)
        except httpx.TransportError:
            self._breaker.record(failed=True)
            raise
        self._breaker.record(failed=response.is_server_error)
        return response

    def _may_retry(self, error: Exception) -> bool:
        if not isinstance(error, httpx.TransportError | _RefusedError):
            return False
        granted = self._budget.spend()
        HTTP_CLIENT_RETRIES.labels(self._server, "sent" if granted else "forbidden").inc()
        return granted


class _RefusedError(Exception):
    def __init__(self, response: httpx.Response) -> None:
        super().__init__(response.status_code)
        self.response = response


def _refuse(response: httpx.Response) -> None:
    if response.status_code in RETRIED_STATUSES:
        raise _RefusedError(response)


class _MeasuredTransport(httpx.AsyncBaseTransport):
    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        started = perf_counter()
        status, error_type = "", ""
        try:
            response = await self._inner.handle_async_request(request)
            status = str(response.status_code)
            error_type = status if response.is_error else ""
        except Exception as error:
            error_type = type(error).__name__
            raise
        else:
            return response
        finally:
            HTTP_CLIENT_DURATION.labels(request.method, request.url.host, status, error_type).observe(
                perf_counter() - started, exemplar()
            )

    async def aclose(self) -> None:
        await self._inner.aclose()
