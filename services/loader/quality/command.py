"""The command `check`: is what has landed what the lake holds, and is it as it should be?"""

from typing import TYPE_CHECKING

import orjson
import sqlalchemy as sa
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from services.chassis.settings import load_settings
from services.lake.database import Lake
from services.loader.commands import FAILED, FlowArgument, FlowsOption, explained, finish
from services.loader.errors import UnknownFlow, WarehouseFailed, what_failed
from services.loader.flows.files import FLOWS, find_load
from services.loader.flows.model import JournalFlow
from services.loader.settings import LakeSettings, WarehouseSettings
from services.loader.warehouse import Warehouse

if TYPE_CHECKING:
    from services.loader.quality.expectations import Outcome

_console = Console(stderr=True)


def check(name: FlowArgument, flows: FlowsOption = FLOWS) -> None:
    """Compare schema ods with the lake, and its rows with what they must be; exit status 1 when an error is found.

    Keeps the results in dl.quality_result and prints one line of JSON.
    """
    with explained():
        flow = find_load(flows, name)
        if not isinstance(flow, JournalFlow):
            raise UnknownFlow(
                f"flow {name!r} has no journal to be compared with; its checks are made when it loads"
            )
    lake_url = load_settings(LakeSettings).lake_url.get_secret_value()
    warehouse_url = load_settings(WarehouseSettings).warehouse_url.get_secret_value()
    # Here: Great Expectations takes seconds to import, and no other command needs it.
    from services.loader.quality.reconcile import Checked, QualityCheck  # noqa: PLC0415

    async def main() -> Checked:
        lake = Lake.open(lake_url, service="loader-check", pool_size=2)
        warehouse = Warehouse.open(warehouse_url, service="loader-check", pool_size=2)
        try:
            with _progress() as progress:
                bar = progress.add_task(f"{name}: tables", total=len(flow.targets))
                return await QualityCheck(flow, lake, warehouse).run(lambda _: progress.advance(bar))
        except (OSError, TimeoutError, sa.exc.SQLAlchemyError) as error:
            raise WarehouseFailed(
                f"flow {name}: the lake or the warehouse {what_failed(error)}. Are LAKE_URL and WAREHOUSE_URL right, "
                "and both up?"
            ) from error
        finally:
            await lake.dispose()
            await warehouse.dispose()

    checked = finish(main())
    for table, outcome in checked.failed:
        _console.print(_said(table, outcome), markup=False, soft_wrap=True)
    print(
        orjson.dumps(
            {
                "flow": name,
                "run_id": str(checked.run_id),
                "through_batch_id": checked.span.batch_id,
                "checks": sum(map(len, checked.outcomes.values())),
                "failed": len(checked.failed),
                "errors": checked.errors,
            }
        ).decode()
    )
    raise typer.Exit(FAILED if checked.errors else 0)


def _said(table: str, outcome: "Outcome") -> str:
    """One finding for people, in a line: logs have no room for tables."""
    demand = outcome.demand
    what = f"{table}.{demand.column}" if demand.column else table
    found = f": {', '.join(outcome.observed)}" if outcome.observed else ""
    return f"{demand.severity}: {what}: {outcome.name} fails for {outcome.failed:,} of {outcome.checked:,}{found}"


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=_console,
    )
