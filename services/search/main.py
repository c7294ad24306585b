"""Search's process: `serve` answers its HTTP API, `migrate` creates its schema."""

import argparse
import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI

from services.chassis.database import ApplicationDatabase
from services.chassis.migrations import upgrade
from services.chassis.settings import load_settings
from services.chassis.telemetry.spans import Telemetry
from services.chassis.web.app import create_app, serve
from services.chassis.web.health import Check
from services.chassis.web.identity import TokenVerifier
from services.lake.database import Lake
from services.lake.domain.roles import scopes_of_people
from services.search.exports.repository import ExportRepository
from services.search.exports.routes import router as export_router
from services.search.exports.service import Exports
from services.search.freshness import Freshness, StoredProgress
from services.search.repository import SearchRepository
from services.search.routes import lake_router, router
from services.search.service import Search
from services.search.settings import MigrationSettings, SearchSettings
from services.search.spelling.repository import SpellingRepository
from services.search.spelling.service import Speller

SERVICE = "search"
MIGRATIONS = Path(__file__).parent / "migrations"


def build(settings: SearchSettings, telemetry: Telemetry, verifier: TokenVerifier | None = None) -> FastAPI:
    """Compose search's application; `verifier` by default trusts the keys at `auth_jwks_url`."""
    application = ApplicationDatabase.open(
        settings.application_url.get_secret_value(), service=SERVICE, pool_size=settings.application_pool_size
    )
    lake = Lake.open(settings.lake_url.get_secret_value(), service=SERVICE, pool_size=settings.lake_pool_size)
    freshness = Freshness(StoredProgress(application, lake))
    speller = Speller(application, SpellingRepository())
    search = Search(application, lake, SearchRepository(), speller)
    exports = Exports(application, search, ExportRepository())

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        app.state.search = search
        app.state.freshness = freshness
        app.state.exports = exports
        tasks = [
            asyncio.create_task(search.keep_replica_prepared(), name="prepare-replica"),
            asyncio.create_task(freshness.keep_measured(), name="measure-lag"),
            asyncio.create_task(speller.keep_learning(), name="learn-words"),
        ]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await application.dispose()
        await lake.dispose()

    return create_app(
        service=SERVICE,
        title="Search",
        summary="Applications: found in the replica, shown whole, with their history.",
        settings=settings,
        telemetry=telemetry,
        routers=[router, lake_router, export_router],
        # The lake is needed for records of its own and for audits; the others answer without it.
        checks=[Check("replica", search.check_replica)],
        lifespan=lifespan,
        verifier=verifier,
        scopes_of=scopes_of_people,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command, `serve` by default."""
    parser = argparse.ArgumentParser(prog="services.search.main", description=__doc__)
    parser.add_argument("command", choices=("serve", "migrate"), nargs="?", default="serve")
    if parser.parse_args(arguments).command == "migrate":
        owner = load_settings(MigrationSettings)
        upgrade(MIGRATIONS, owner.application_url.get_secret_value(), version_table_schema="search")
        print("search: schema is up to date")
        return
    settings = load_settings(SearchSettings)
    serve(build(settings, Telemetry.start(SERVICE)), settings)


if __name__ == "__main__":
    main()
