"""The lineage service's process: `serve` answers HTTP, `migrate` creates its schema, `rebuild` replays all events."""

import argparse
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

from fastapi import FastAPI

from services.chassis import loop
from services.chassis.database import ApplicationDatabase
from services.chassis.migrations import upgrade
from services.chassis.settings import load_settings
from services.chassis.telemetry.spans import Telemetry
from services.chassis.web.app import create_app, serve
from services.chassis.web.health import Check
from services.chassis.web.identity import TokenVerifier
from services.lake.domain.roles import scopes_of_people
from services.lineage import storing
from services.lineage.entering import Entering
from services.lineage.reading.service import Reading
from services.lineage.reading.walks import Walks
from services.lineage.routes import entering, intake, reading
from services.lineage.routes.parameters import EncodedPaths
from services.lineage.service import MOST_BYTES, Intake, utc_now
from services.lineage.settings import CommandSettings, LineageSettings

SERVICE = "lineage"
MIGRATIONS = Path(__file__).parent / "migrations"


def build(
    settings: LineageSettings,
    telemetry: Telemetry,
    verifier: TokenVerifier | None = None,
    *,
    clock: Callable[[], datetime] = utc_now,
) -> FastAPI:
    """Compose the application; `verifier` by default trusts the keys at `auth_jwks_url`, `clock` tells the time."""
    database = ApplicationDatabase.open(settings.application_url.get_secret_value(), service=SERVICE)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        app.state.intake = Intake(database, clock=clock)
        app.state.reading = Reading(database)
        app.state.walks = Walks(database)
        app.state.entering = Entering(database, app.state.intake, app.state.reading)
        yield
        await database.dispose()

    return create_app(
        service=SERVICE,
        title="Lineage",
        summary="Where every column comes from: OpenLineage events in, the graph of jobs, datasets and columns out.",
        settings=settings,
        telemetry=telemetry,
        routers=[intake.router, reading.router, entering.router],
        checks=[Check("application database", database.ping)],
        lifespan=lifespan,
        verifier=verifier,
        scopes_of=scopes_of_people,
        # What is over a route's own limit is read to its end, so that the sender sees the refusal.
        max_body_bytes=2 * MOST_BYTES,
        gate=EncodedPaths,
    )


async def _rebuild(url: str) -> int:
    database = ApplicationDatabase.open(url, service=f"{SERVICE}-rebuild", pool_size=1)
    try:
        async with database.transaction() as tx:
            return await storing.rebuild(tx)
    finally:
        await database.dispose()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command, `serve` by default."""
    parser = argparse.ArgumentParser(prog="services.lineage.main", description=__doc__)
    parser.add_argument("command", choices=("serve", "migrate", "rebuild"), nargs="?", default="serve")
    command = parser.parse_args(arguments).command
    if command == "serve":
        settings = load_settings(LineageSettings)
        serve(build(settings, Telemetry.start(SERVICE)), settings)
        return
    url = load_settings(CommandSettings).application_url.get_secret_value()
    if command == "migrate":
        upgrade(MIGRATIONS, url, version_table_schema=SERVICE)
        print("lineage: schema is up to date")
        return
    print(f"lineage: projected {loop.run(_rebuild(url))} events again")


if __name__ == "__main__":
    main()
