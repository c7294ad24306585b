"""Rate limits: how many requests of a class a client may make, and the answer 429 to those beyond.

A client is who its token names, and without a valid token its address. Every request counts as `read` or `write` by its
method. What costs more counts as something else besides: the route says so by `count`.
"""

import time
from collections.abc import Callable, Collection, Mapping
from enum import StrEnum

from fastapi import Request
from limits import RateLimitItem, parse
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.chassis.settings import ServiceSettings
from services.chassis.telemetry.logging import get_logger
from services.chassis.telemetry.metrics import RATE_LIMIT_STORE_FAILURES, RATE_LIMITED
from services.chassis.web.health import PATHS
from services.chassis.web.identity import identify
from services.chassis.web.limits.addresses import network_of
from services.chassis.web.limits.windows import LocalWindows, Standing, Store, StoreUnavailable
from services.chassis.web.problems import TooManyRequests, problem_response

LOCAL_SECONDS = 5.0
"""How long requests are counted in the process after the shared store has failed."""
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
# The attributes of a request for its client, and for the limits that it counted for.
_CLIENT = "creditmesh.client"
_COUNTED = "creditmesh.rates"
_log = get_logger(__name__)


class RouteClass(StrEnum):
    """What a request counts as."""

    READ = "read"
    WRITE = "write"
    EXPORT = "export"
    LOGIN = "login"


class RateExceeded(TooManyRequests):
    """The client makes too many requests."""

    def __init__(self, route_class: RouteClass, item: RateLimitItem, standing: Standing) -> None:
        """`item`: the limit; `standing`: when it admits the next request."""
        super().__init__(
            f"At most {item.amount} requests of the class {route_class} in {item.get_expiry()} s; "
            "wait for the seconds of Retry-After.",
            retry_after=standing.reset_seconds,
        )


class RateLimits:
    """The limits of a service, and how its clients stand with them."""

    def __init__(
        self,
        service: str,
        limits: Mapping[RouteClass, str],
        store: Store | None = None,
        *,
        local: LocalWindows | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Clients of `service` are counted apart from those of others.

        Args:
            service: its name, which is part of the keys in the store.
            limits: the limit of each class, such as 50/second.
            store: counts for all processes of the service; without it each process counts on its own.
            local: counts without a store, and while the store is down.
            clock: returns seconds, for how long the store is left alone after a failure.
        """
        self._service = service
        self._items = {route_class: parse(limits[route_class]) for route_class in RouteClass}
        self._policies = {
            route_class: f'"{route_class}";q={item.amount};w={item.get_expiry()}'
            for route_class, item in self._items.items()
        }
        self._store = store
        self._local = local or LocalWindows(clock=clock)
        self._clock = clock
        self._local_until = 0.0

    @classmethod
    def of(cls, service: str, settings: ServiceSettings) -> "RateLimits":
        """The limits that the settings name."""
        url = settings.rate_limit_store
        limits = {
            RouteClass.READ: settings.rate_limit_read,
            RouteClass.WRITE: settings.rate_limit_write,
            RouteClass.EXPORT: settings.rate_limit_export,
            RouteClass.LOGIN: settings.rate_limit_login,
        }
        return cls(service, limits, _store_at(url.get_secret_value()) if url else None)

    async def aclose(self) -> None:
        """Close the connections to the store."""
        if self._store is not None:
            await self._store.aclose()

    async def hit(self, route_class: RouteClass, client: str) -> Standing:
        """Count a request of `client`, in the process while the store is down."""
        item = self._items[route_class]
        if self._store is not None and self._clock() >= self._local_until:
            try:
                return await self._store.hit(item, f"{self._service}:{route_class}", client)
            except StoreUnavailable as error:
                self._local_until = self._clock() + LOCAL_SECONDS
                RATE_LIMIT_STORE_FAILURES.inc()
                _log.warning("rate limits are counted in the process: the store is down", error=str(error))
        return self._local.hit(item, route_class, client)

    async def admit(self, scope: Scope, route_class: RouteClass) -> None:
        """Count the request of `scope`; its answer gets the headers.

        Raises RateExceeded when the client has made as many requests as it may.
        """
        # A token of somebody must not be one more try of another's password.
        client = _address(scope) if route_class is RouteClass.LOGIN else scope[_CLIENT]
        standing = await self.hit(route_class, client)
        scope.setdefault(_COUNTED, []).append((route_class, standing))
        if not standing.admitted:
            RATE_LIMITED.labels(route_class).inc()
            raise RateExceeded(route_class, self._items[route_class], standing)

    def describe(self, headers: MutableHeaders, scope: Scope) -> None:
        """Say in `headers` how the client stands with each limit that the request of `scope` counted for."""
        counted: list[tuple[RouteClass, Standing]] = scope.get(_COUNTED, [])
        headers["RateLimit-Policy"] = ", ".join(self._policies[route_class] for route_class, _ in counted)
        headers["RateLimit"] = ", ".join(
            f'"{route_class}";r={standing.remaining};t={standing.reset_seconds}'
            for route_class, standing in counted
        )


class LimitedRates:
    """The ASGI middleware that counts every request, and refuses those beyond the limit of their method."""

    def __init__(self, app: ASGIApp, *, limits: RateLimits, uncounted: Collection[str] = ()) -> None:
        """`limits`: those of the service; `uncounted`: paths that nobody is refused at."""
        self._app = app
        self._limits = limits
        self._uncounted = PATHS | set(uncounted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, unless it is one too many."""
        if scope["type"] != "http" or scope["path"] in self._uncounted:
            await self._app(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._limits.describe(MutableHeaders(scope=message), scope)
            await send(message)

        caller = await identify(scope)
        scope[_CLIENT] = _address(scope) if caller is None else str(caller.id)
        try:
            await self._limits.admit(
                scope, RouteClass.READ if scope["method"] in _READING else RouteClass.WRITE
            )
        except RateExceeded as refusal:
            await problem_response(scope, refusal)(scope, receive, answer)
            return
        await self._app(scope, receive, answer)


async def count(request: Request, route_class: RouteClass) -> None:
    """Count a request, beside its method, as something that costs more; raises RateExceeded."""
    limits: RateLimits = request.app.state.rate_limits
    await limits.admit(request.scope, route_class)


def _store_at(url: str) -> Store:
    from services.chassis.web.limits.store import SharedWindows  # noqa: PLC0415 - 21 MiB that few processes need

    return SharedWindows(url)


def _address(scope: Scope) -> str:
    address = scope.get("client")
    return (network_of(address[0]) or str(address[0])) if address else "unknown"
