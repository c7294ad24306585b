"""The loader's commands; Airflow and people run the same ones."""

import asyncio
from pathlib import Path

import typer

from services.chassis.settings import load_settings
from services.loader import commands
from services.loader.commands import FlowsOption, explained
from services.loader.derived import derived_statements
from services.loader.flows.files import FLOWS, landing_tables, read_flows
from services.loader.flows.model import DbtFlow
from services.loader.quality.command import check
from services.loader.settings import ExporterSettings, WarehouseSettings
from services.loader.warehouse import Warehouse

MIGRATIONS = Path(__file__).parent / "migrations"
VERSION_SCHEMA = "dl"

cli = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)


commands.register(cli)
cli.command()(check)


@cli.command()
def exporter(flows: FlowsOption = FLOWS) -> None:
    """Serve /metrics about the warehouse's flows until stopped."""
    from services.loader.exporter import serve  # noqa: PLC0415 - a server is half a second that no load waits for

    settings = load_settings(ExporterSettings)
    with explained():
        loads = {name: flow for name, flow in read_flows(flows).items() if not isinstance(flow, DbtFlow)}
    raise SystemExit(serve(settings, loads))


@cli.command()
def migrate(flows: FlowsOption = FLOWS) -> None:
    """Create the bookkeeping, the landing tables of all flows, and the grants (owner's login)."""
    from services.chassis.migrations import upgrade  # noqa: PLC0415 - as above

    settings = load_settings(WarehouseSettings)
    url = settings.warehouse_url.get_secret_value()
    with explained():
        landings = landing_tables(read_flows(flows))
    upgrade(MIGRATIONS, url, version_table_schema=VERSION_SCHEMA)

    async def derive() -> None:
        warehouse = Warehouse.open(url, service="loader-migrate", pool_size=1)
        try:
            async with warehouse.transaction() as tx:
                for statement in derived_statements(tx.landing, landings):
                    await tx.connection.exec_driver_sql(statement)
        finally:
            await warehouse.dispose()

    asyncio.run(derive())
    print(f"loader: schema dl is up to date, {len(landings)} landing tables")


if __name__ == "__main__":
    cli()
