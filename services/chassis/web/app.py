"""The web application of every process: how it is built, run and stopped."""

import asyncio
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from types import FrameType

import uvicorn
from fastapi import APIRouter, FastAPI, Response
from fastapi.routing import APIRoute, iter_route_contexts
from fastapi_swagger import patch_fastapi
from prometheus_client import REGISTRY
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.types import ASGIApp

from services.chassis import loop
from services.chassis.settings import ServiceSettings
from services.chassis.telemetry.logging import get_logger, set_level
from services.chassis.telemetry.spans import Telemetry
from services.chassis.web.health import Check, Readiness, health_router
from services.chassis.web.http_server import MAX_CONNECTIONS, BoundedProtocol
from services.chassis.web.identity import OtherIssuer, TokenVerifier
from services.chassis.web.input.body_limit import LARGEST_BODY_BYTES, BodyLimit, BoundedRoute
from services.chassis.web.input.hosts import Hosts
from services.chassis.web.input.origins import Origins
from services.chassis.web.keys import IssuerKeys
from services.chassis.web.limits.deadlines import Deadlines
from services.chassis.web.limits.rates import LimitedRates, RateLimits
from services.chassis.web.openapi import complete
from services.chassis.web.paging import CursorKey
from services.chassis.web.problems import add_problem_handlers, default_responses
from services.chassis.web.request_telemetry import RequestTelemetry
from services.chassis.web.revocations import Revocations
from services.chassis.web.security_headers import SecurityHeaders

# Requests that are still running after the drain have this time to finish.
FINISH_SECONDS = 20
FLUSH_SECONDS = 5.0

_log = get_logger(__name__)
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def create_app(
    *,
    service: str,
    title: str,
    summary: str,
    settings: ServiceSettings,
    telemetry: Telemetry,
    routers: Sequence[APIRouter],
    checks: Sequence[Check] = (),
    lifespan: Lifespan | None = None,
    verifier: TokenVerifier | None = None,
    scopes_of: Callable[[Iterable[str]], frozenset[str]] | None = None,
    max_body_bytes: int = LARGEST_BODY_BYTES,
    deadlines_by_clients: bool = True,
    uncounted: Collection[str] = (),
    gate: Callable[[ASGIApp], ASGIApp] | None = None,
) -> FastAPI:
    """The application of one process: `routers` plus /livez, /readyz and /metrics.

    With routers it also serves /docs and /openapi.json; a process without an API passes none. `checks` decide
    about readiness; `lifespan` opens and closes what the routes use; `verifier` is needed by
    routes that `require` a scope (built from `auth_jwks_url` when not given). `scopes_of` gives all scopes
    of some roles; with it, tokens of `auth_issuers` are accepted, and it raises ValueError for a role that they
    cannot give. Requests with more than
    `max_body_bytes` are refused with 413; routes have smaller limits of their own. `deadlines_by_clients`: whether
    X-Request-Timeout-Ms counts. `uncounted`: paths without a rate limit. `gate`: a layer of the
    process's own that decides on a request before anything reads it. Raises TypeError for a route that
    does not authenticate before it reads: build routers by `bounded_router`.
    """
    set_level(settings.log_level)
    app = FastAPI(
        title=title,
        summary=summary,
        version="1",
        lifespan=_lifespan(lifespan),
        responses=default_responses(),
        # FastAPI's own instrumentation makes up to four spans for each request; RequestTelemetry makes one.
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
        # FastAPI's own page fetches its scripts from the internet.
        docs_url=None,
        swagger_ui_oauth2_redirect_url=None,
        openapi_url="/openapi.json" if routers else None,
        redoc_url=None,
    )
    if routers:
        patch_fastapi(app, "/docs", redirect_from_root_to_docs=False)
    readiness = Readiness(checks)
    app.state.service = service
    app.state.telemetry = telemetry
    app.state.readiness = readiness
    app.state.cursor_key = CursorKey(settings.cursor_key)
    if verifier is None and settings.auth_jwks_url is not None:
        revocations = Revocations(settings.revocations_url) if settings.revocations_url else None
        others = [] if scopes_of is None else _others(settings, scopes_of)
        verifier = TokenVerifier(
            settings.auth_issuer, settings.auth_jwks_url, revocations=revocations, others=others
        )
    app.state.verifier = verifier
    for router in routers:
        app.include_router(router)
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if isinstance(route, APIRoute) and route.include_in_schema and not isinstance(route, BoundedRoute):
            raise TypeError(f"build the router of {route.path} by bounded_router")
    app.include_router(health_router(readiness))
    app.add_api_route("/metrics", _metrics, include_in_schema=False)
    app.add_middleware(BodyLimit, max_body_bytes=max_body_bytes)
    if verifier is not None:
        # Only who has callers limits them: a collector of traces must take what comes.
        app.state.rate_limits = RateLimits.of(service, settings)
        app.add_middleware(LimitedRates, limits=app.state.rate_limits, uncounted=uncounted)
    add_problem_handlers(app)
    complete(app, deadlines_by_clients=deadlines_by_clients, limits_rates=verifier is not None)
    app.add_middleware(
        Deadlines, default_seconds=settings.http_deadline_seconds, named_by_clients=deadlines_by_clients
    )
    app.add_middleware(Origins, origins=settings.cors_origins)
    if gate is not None:
        app.add_middleware(gate)
    app.add_middleware(Hosts, names=settings.hosts)
    # Added last, so outermost: the span and the headers cover every answer.
    app.add_middleware(RequestTelemetry, tracer=telemetry.tracer, readiness=readiness)
    app.add_middleware(SecurityHeaders)
    return app


def serve(app: FastAPI, settings: ServiceSettings) -> None:
    """Serve `app` until SIGTERM or SIGINT; exits with status 3 when it cannot start.

    When stopped: unready, a drain of `http_drain_seconds`, no new requests, the running ones finish, the
    lifespan ends, telemetry is flushed.
    """
    loop.run(_serve(app, settings))


async def run_with_operations(
    app: FastAPI, settings: ServiceSettings, main: Callable[[asyncio.Event], Awaitable[None]]
) -> int:
    """Run `main` beside the server of `app`; returns the exit status of the process.

    SIGTERM and SIGINT make the process unready and set the event that `main` received. `main` then returns when its
    work is safe. When it returns (0) or raises (1, logged), the server ends and telemetry is flushed.
    """
    stop = asyncio.Event()

    def on_signal() -> None:
        app.state.readiness.stopping = True
        stop.set()

    server = _Server(app, settings, on_signal)
    serving = asyncio.create_task(server.serve(), name="operations")
    working = asyncio.create_task(_await(main(stop)), name="main")
    try:
        await asyncio.wait({serving, working}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            _log.error("the operations server ended before the process did", port=settings.http_port)
            stop.set()
        failed = serving.done()
        try:
            await working
        except Exception:  # noqa: BLE001 - reported, and turned into an exit status
            # For every error, the process must log it, flush telemetry and exit with a status.
            _log.exception("the process failed", service=app.state.service)
            failed = True
        server.should_exit = True
        await serving
        return 1 if failed else 0
    finally:
        await _flush(app)


class _Server(uvicorn.Server):
    """uvicorn, with signals that start our own way of stopping."""

    def __init__(self, app: FastAPI, settings: ServiceSettings, on_signal: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=settings.http_host,
                port=settings.http_port,
                http=BoundedProtocol,
                ssl_certfile=settings.http_tls_certificate_file,
                ssl_keyfile=settings.http_tls_key_file,
                limit_concurrency=MAX_CONNECTIONS,
                ws="none",
                lifespan="on",
                access_log=False,
                log_config=None,
                server_header=False,
                # Anybody can write this header; its address counts only behind a proxy that sets it.
                proxy_headers=bool(settings.http_trusted_proxies),
                forwarded_allow_ips=settings.http_trusted_proxies or None,
                timeout_graceful_shutdown=FINISH_SECONDS,
            )
        )
        self._on_signal = on_signal
        self._loop = asyncio.get_running_loop()
        self._signalled = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        # Not recorded as captured: uvicorn would raise the signal again, and the process would end before the flush.
        if self._signalled and sig == signal.SIGINT:
            self.force_exit = True
        self._signalled = True
        self._loop.call_soon_threadsafe(self._on_signal)


async def _serve(app: FastAPI, settings: ServiceSettings) -> None:
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        app.state.readiness.stopping = True
        loop.call_later(settings.http_drain_seconds, setattr, server, "should_exit", True)

    server = _Server(app, settings, on_signal)
    try:
        await server.serve()
    finally:
        await _flush(app)


async def _flush(app: FastAPI) -> None:
    telemetry: Telemetry = app.state.telemetry
    await asyncio.to_thread(telemetry.shutdown, FLUSH_SECONDS)


async def _await(awaitable: Awaitable[None]) -> None:
    await awaitable


def _others(
    settings: ServiceSettings, scopes_of: Callable[[Iterable[str]], frozenset[str]]
) -> list[OtherIssuer]:
    for one in settings.auth_issuers:
        # Now, not at the first login: it raises for a role that there is not.
        scopes_of(one.roles.values())
    return [OtherIssuer(one, IssuerKeys(one.jwks_url), scopes_of) for one in settings.auth_issuers]


def _lifespan(inner: Lifespan | None) -> Lifespan:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        limits: RateLimits | None = getattr(app.state, "rate_limits", None)
        async with AsyncExitStack() as stack:
            if limits is not None:
                stack.push_async_callback(limits.aclose)
            await stack.enter_async_context(_polled(app.state.verifier))
            if inner is not None:
                await stack.enter_async_context(inner(app))
            _log.info("started", version=app.version)
            yield
            _log.info("stopping")

    return lifespan


@asynccontextmanager
async def _polled(verifier: TokenVerifier | None) -> AsyncGenerator[None]:
    """Poll the ended sessions while the application runs."""
    if verifier is None or verifier.revocations is None:
        yield
        return
    polling = asyncio.create_task(verifier.revocations.keep(), name="poll-revocations")
    try:
        yield
    finally:
        polling.cancel()
        with suppress(asyncio.CancelledError):
            await polling


async def _metrics() -> Response:
    exposition = generate_latest(REGISTRY)  # type: ignore[no-untyped-call] # has no annotations
    return Response(exposition, media_type=CONTENT_TYPE_LATEST)
