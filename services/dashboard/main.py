"""The dashboard's process: `serve` answers browsers, `migrate` creates its schema."""

import argparse
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import httpx
from fastapi import FastAPI
from starlette.types import ASGIApp

from services.chassis.database import ApplicationDatabase
from services.chassis.migrations import upgrade
from services.chassis.resilience import Breaker
from services.chassis.settings import load_settings
from services.chassis.telemetry.spans import Telemetry
from services.chassis.web.app import create_app, serve
from services.chassis.web.health import Check
from services.chassis.web.http import HttpClient
from services.dashboard.clients.auth import LOGIN_SECONDS, Auth
from services.dashboard.clients.prometheus import Prometheus
from services.dashboard.clients.services import Services
from services.dashboard.forms.model import application_form
from services.dashboard.pages import (
    applications,
    apply,
    approve,
    figure_rows,
    figures,
    platform,
    quality,
    record,
    search,
    trace,
)
from services.dashboard.pages.page import Page
from services.dashboard.sessions import login
from services.dashboard.sessions.cookies import Cookies
from services.dashboard.sessions.gate import MOST_CALLBACK_BYTES, Gate
from services.dashboard.sessions.store import Sessions, utc_now
from services.dashboard.settings import DashboardSettings, MigrationSettings
from services.dashboard.shell import build_shell, render_once
from services.dashboard.traces.stores import Jaeger, TraceStore, Zipkin

SERVICE = "dashboard"
MIGRATIONS = Path(__file__).parent / "migrations"
PAGES: tuple[Page, ...] = (
    approve.PAGE,
    applications.PAGE,
    apply.PAGE,
    search.PAGE,
    *figures.PAGES,
    quality.PAGE,
    platform.PAGE,
    trace.PAGE,
    figure_rows.PAGE,
    record.PAGE,
)
"""Every page, in the order of the menu; the first that a person may open is theirs after the login."""
CALL_SECONDS = 5.0
NEVER = 2.0
"""A share of failures that there cannot be."""


def build(
    settings: DashboardSettings,
    telemetry: Telemetry,
    transports: Mapping[str, httpx.AsyncBaseTransport] | None = None,
    *,
    clock: Callable[[], datetime] = utc_now,
) -> FastAPI:
    """Compose the dashboard's application.

    Args:
        settings: of the process.
        telemetry: of the process.
        transports: replace the network to the services that they name.
        clock: tells the time.
    """
    database = ApplicationDatabase.open(settings.application_url.get_secret_value(), service=SERVICE)
    clients = {
        name: HttpClient(
            url,
            timeout_seconds=LOGIN_SECONDS if name == "auth" else CALL_SECONDS,
            transport=(transports or {}).get(name),
        )
        for name, url in settings.service_urls.items()
    }
    services, auth = Services(clients), Auth(clients["auth"])
    prometheus = Prometheus(
        HttpClient(
            settings.prometheus_url,
            timeout_seconds=CALL_SECONDS,
            transport=(transports or {}).get("prometheus"),
            # An expression that takes too long says nothing about the others.
            breaker=Breaker(failure_ratio=NEVER),
        )
        if settings.prometheus_url
        else None
    )
    trace_client = (
        HttpClient(
            settings.traces_url, timeout_seconds=CALL_SECONDS, transport=(transports or {}).get("traces")
        )
        if settings.traces_url
        else None
    )
    stores: Mapping[str, TraceStore] = {"zipkin": Zipkin(trace_client), "jaeger": Jaeger(trace_client)}
    sessions = Sessions(database, auth, settings.session_keys, clock=clock)
    cookies = Cookies(settings.session_keys[0], secure=settings.secure)
    application_form()
    hashes: list[str] = []

    def gate(inner: ASGIApp) -> Gate:
        return Gate(
            inner,
            origin=settings.dashboard_url,
            pages=PAGES,
            sessions=sessions,
            services=services,
            prometheus=prometheus,
            traces=stores[settings.traces_store],
            cookies=cookies,
            callbacks=lambda: callbacks,
            script_hashes=lambda: hashes,
        )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        app.state.sessions = sessions
        app.state.auth = auth
        app.state.cookies = cookies
        app.state.clock = clock
        app.state.callbacks = callbacks
        render_once(shell, app)
        hashes.extend(shell.csp_hashes())
        yield
        await services.aclose()
        await prometheus.aclose()
        if trace_client is not None:
            await trace_client.aclose()
        await database.dispose()

    app = create_app(
        service=SERVICE,
        title="Dashboard",
        summary="The pages of a lending team.",
        settings=settings,
        telemetry=telemetry,
        routers=[],
        checks=[Check("application database", database.ping)],
        lifespan=lifespan,
        max_body_bytes=MOST_CALLBACK_BYTES,
        gate=gate,
    )
    app.include_router(login.router)
    shell, callbacks = build_shell(app, PAGES)
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command, `serve` by default."""
    parser = argparse.ArgumentParser(prog="services.dashboard.main", description=__doc__)
    parser.add_argument("command", choices=("serve", "migrate"), nargs="?", default="serve")
    if parser.parse_args(arguments).command == "migrate":
        owner = load_settings(MigrationSettings)
        upgrade(MIGRATIONS, owner.application_url.get_secret_value(), version_table_schema="dashboard")
        print("dashboard: schema is up to date")
        return
    settings = load_settings(DashboardSettings)
    serve(build(settings, Telemetry.start(SERVICE)), settings)


if __name__ == "__main__":
    main()
