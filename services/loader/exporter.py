"""A process that reads from the warehouse how the flows stand, for Prometheus to scrape."""

import asyncio
import contextlib
from collections.abc import Mapping

import sqlalchemy as sa

from services.chassis.error_names import error_name
from services.chassis.loop import run
from services.chassis.telemetry.logging import get_logger
from services.chassis.telemetry.spans import Telemetry
from services.chassis.web import app as chassis
from services.chassis.web.health import Check
from services.loader.flows.model import LoadFlow
from services.loader.metrics import export
from services.loader.settings import ExporterSettings
from services.loader.status import read_status
from services.loader.warehouse import Warehouse

SERVICE = "loader-exporter"
STATEMENT_SECONDS = 10.0
_log = get_logger(__name__)


def serve(settings: ExporterSettings, flows: Mapping[str, LoadFlow]) -> int:
    """Measure until stopped; returns the exit status of the process."""
    telemetry = Telemetry.start(SERVICE)
    warehouse = Warehouse.open(
        settings.warehouse_url.get_secret_value(),
        service=SERVICE,
        pool_size=2,
        command_seconds=STATEMENT_SECONDS,
    )
    application = chassis.create_app(
        service=SERVICE,
        title=f"creditmesh {SERVICE}",
        summary="How the warehouse's flows stand; no business API.",
        settings=settings,
        telemetry=telemetry,
        routers=(),
        checks=[Check("warehouse", warehouse.ping)],
    )

    async def main(stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                export(await read_status(warehouse, flows))
            except (OSError, TimeoutError, sa.exc.SQLAlchemyError) as error:
                _log.warning("the warehouse cannot be read", error=error_name(error))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), settings.exporter_every_seconds)
        await warehouse.dispose()

    return run(chassis.run_with_operations(application, settings, main))
