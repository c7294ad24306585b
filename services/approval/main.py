"""Approval's process: `serve` answers its HTTP API; `expire` ends applications that wait for too long."""

import argparse
import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from fastapi import FastAPI

from services.approval.bands import routes as bands_routes
from services.approval.bands.repository import BandRepository
from services.approval.bands.service import Bands
from services.approval.cases import BookingPolicy
from services.approval.claims import routes as claims_routes
from services.approval.claims.repository import ClaimRepository
from services.approval.claims.service import Claims
from services.approval.expiry import command
from services.approval.products import routes as products_routes
from services.approval.products.repository import ProductRepository
from services.approval.products.service import Products
from services.approval.queue import routes as queue
from services.approval.queue.backlog import Backlog
from services.approval.queue.repository import QueueRepository
from services.approval.queue.service import Queue
from services.approval.repository import ApprovalRepository
from services.approval.routes import router
from services.approval.service import Approval
from services.approval.settings import ApprovalSettings
from services.chassis.settings import load_settings
from services.chassis.telemetry.spans import Telemetry
from services.chassis.web.app import create_app, serve
from services.chassis.web.health import Check
from services.chassis.web.identity import TokenVerifier
from services.lake.database import Lake
from services.lake.domain.roles import scopes_of_people

SERVICE = "approval"


def build(settings: ApprovalSettings, telemetry: Telemetry, verifier: TokenVerifier | None = None) -> FastAPI:
    """Compose approval's application; `verifier` by default trusts the keys at `auth_jwks_url`."""
    lake = Lake.open(settings.lake_url.get_secret_value(), service=SERVICE, pool_size=settings.lake_pool_size)

    repository = ApprovalRepository()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        claims = Claims(lake, repository, ClaimRepository(), timedelta(minutes=settings.claim_minutes))
        policy = BookingPolicy(settings.business_time_zone, settings.value_date_days_back)
        app.state.claims = claims
        app.state.approval = Approval(lake, repository, policy, claims)
        app.state.products = Products(lake, ProductRepository(), settings.business_time_zone)
        app.state.bands = Bands(lake, BandRepository(), settings.business_time_zone)
        app.state.queue = Queue(lake, repository, QueueRepository())
        app.state.backlog = backlog = Backlog(lake)
        counting = asyncio.create_task(backlog.keep_counted(), name="backlog")
        yield
        counting.cancel()
        with suppress(asyncio.CancelledError):
            await counting
        await lake.dispose()

    return create_app(
        service=SERVICE,
        title="Approval",
        summary="Decisions on credit applications, four eyes at every stage, and booked loans.",
        settings=settings,
        telemetry=telemetry,
        routers=[router, queue.router, claims_routes.router, products_routes.router, bands_routes.router],
        checks=[Check("lake", lake.ping)],
        lifespan=lifespan,
        verifier=verifier,
        scopes_of=scopes_of_people,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command, `serve` by default."""
    parser = argparse.ArgumentParser(prog="services.approval.main", description=__doc__)
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("serve", help="answer the HTTP API")
    command.add_arguments(commands.add_parser("expire", help="end applications that wait for too long"))
    options = parser.parse_args(arguments)
    if options.command == "expire":
        command.run(options)
        return
    settings = load_settings(ApprovalSettings)
    serve(build(settings, Telemetry.start(SERVICE)), settings)


if __name__ == "__main__":
    main()
