"""Analytics: `serve` answers its HTTP API, `publish` shows people the newest build, `migrate` creates its schema."""

import argparse
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI

from services.analytics import command
from services.analytics.answers import Answers
from services.analytics.catalogue.model import read_catalogue
from services.analytics.repository import AnalyticsRepository
from services.analytics.routes import router
from services.analytics.service import Analytics
from services.analytics.settings import AnalyticsSettings, MigrationSettings
from services.analytics.warehouse import Warehouse
from services.chassis.migrations import upgrade
from services.chassis.settings import load_settings
from services.chassis.telemetry.spans import Telemetry
from services.chassis.web.app import create_app, serve
from services.chassis.web.health import Check
from services.chassis.web.identity import TokenVerifier
from services.lake.domain.roles import scopes_of_people

SERVICE = "analytics"
MIGRATIONS = Path(__file__).parent / "migrations"
VERSION_SCHEMA = "serving"
STATEMENT_SECONDS = 5.0
MIB = 1 << 20


def build(
    settings: AnalyticsSettings, telemetry: Telemetry, verifier: TokenVerifier | None = None
) -> FastAPI:
    """Compose analytics' application; `verifier` by default trusts the keys at `auth_jwks_url`.

    Raises:
        InvalidCatalogue: a file of the catalogue is not valid.
    """
    warehouse = Warehouse.open(
        settings.warehouse_url.get_secret_value(),
        service=SERVICE,
        pool_size=settings.warehouse_pool_size,
        command_seconds=STATEMENT_SECONDS,
    )
    analytics = Analytics(
        warehouse, AnalyticsRepository(), read_catalogue(), str(settings.business_time_zone)
    )
    answers = Answers(settings.answers_mib * MIB)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        app.state.analytics = analytics
        app.state.answers = answers
        yield
        await warehouse.dispose()

    return create_app(
        service=SERVICE,
        title="Analytics",
        summary="The KPIs of the warehouse: what they mean, what they are, and the rows behind them.",
        settings=settings,
        telemetry=telemetry,
        routers=[router],
        checks=[Check("warehouse", analytics.ping)],
        lifespan=lifespan,
        verifier=verifier,
        scopes_of=scopes_of_people,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command, `serve` by default."""
    parser = argparse.ArgumentParser(prog="services.analytics.main", description=__doc__)
    parser.add_argument("command", choices=("serve", "publish", "migrate"), nargs="?", default="serve")
    chosen = parser.parse_args(arguments).command
    if chosen == "publish":
        command.run()
        return
    if chosen == "migrate":
        owner = load_settings(MigrationSettings)
        upgrade(MIGRATIONS, owner.warehouse_url.get_secret_value(), version_table_schema=VERSION_SCHEMA)
        print("analytics: schema serving is up to date")
        return
    settings = load_settings(AnalyticsSettings)
    serve(build(settings, Telemetry.start(SERVICE)), settings)


if __name__ == "__main__":
    main()
