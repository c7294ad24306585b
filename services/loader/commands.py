"""The commands that load: plan, run, replay, status, restart."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Annotated, TypeVar

import orjson
import sqlalchemy as sa
import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from services.chassis import loop
from services.chassis.settings import load_settings
from services.chassis.telemetry.spans import Telemetry
from services.loader.connectors.factory import connector_of
from services.loader.connectors.interface import Connector
from services.loader.connectors.journal import JournalConnector
from services.loader.errors import InvalidFlow, LoaderError, UnknownFlow, WarehouseFailed, what_failed
from services.loader.flows.files import FLOWS, find_load, read_flows
from services.loader.flows.model import DbtFlow, LoadFlow
from services.loader.loading import bookkeeping
from services.loader.loading.lineage import Lineage
from services.loader.loading.load import Loaded, Loader, Tell
from services.loader.loading.restart import restart_flow
from services.loader.settings import LoadSettings, WarehouseSettings
from services.loader.status import FlowStatus, read_status
from services.loader.warehouse import Warehouse

FAILED, NOT_UNDERSTOOD = 1, 2
"""Exit statuses."""

FlowArgument = Annotated[str, typer.Argument(help="name of the flow")]
FlowsOption = Annotated[Path, typer.Option("--flows", help="folder of the flow files")]

T = TypeVar("T")
# On stderr: stdout carries one line of JSON, which Airflow reads.
_console = Console(stderr=True)


def register(cli: typer.Typer) -> None:
    """Add the commands of this module to `cli`."""
    for command in (plan, run, replay, status, restart):
        cli.command()(command)


def finish(work: Awaitable[T]) -> T:
    """Run a command's work; what a person can put right ends it with a message and a status."""

    async def main() -> T:
        return await work

    with explained():
        return loop.run(main())


@contextmanager
def explained() -> Iterator[None]:
    """Let what a person can put right end the command with its message and a status."""
    try:
        yield
    except (InvalidFlow, UnknownFlow) as error:
        _console.print(str(error), style="red", markup=False, soft_wrap=True)
        raise typer.Exit(NOT_UNDERSTOOD) from None
    except LoaderError as error:
        _console.print(str(error), style="red", markup=False, soft_wrap=True)
        raise typer.Exit(FAILED) from None


@asynccontextmanager
async def opened(flow: LoadFlow, settings: WarehouseSettings) -> AsyncIterator[tuple[Warehouse, Connector]]:
    """Open the warehouse and the flow's source."""
    warehouse = Warehouse.open(settings.warehouse_url.get_secret_value(), service="loader", pool_size=2)
    try:
        connector = connector_of(flow)
        try:
            yield warehouse, connector
        finally:
            await connector.close()
    finally:
        await warehouse.dispose()


def run(name: FlowArgument, flows: FlowsOption = FLOWS) -> None:
    """Load everything that is new; prints one line of JSON."""
    _load(name, flows, lambda loader, tell: loader.run(tell))


def replay(
    name: FlowArgument,
    batch_id: Annotated[int, typer.Argument(help="a batch of the flow")],
    flows: FlowsOption = FLOWS,
) -> None:
    """Read a batch's window again, compare it with what was loaded, and replace its rows under a new batch id."""
    _load(name, flows, lambda loader, tell: loader.replay(batch_id, tell))


def _load(name: str, flows: Path, work: Callable[[Loader, Tell], Awaitable[Loaded]]) -> None:
    with explained():
        flow = find_load(flows, name)
    settings = load_settings(LoadSettings)
    telemetry = Telemetry.start("loader")

    async def main() -> Loaded:
        async with opened(flow, settings) as (warehouse, connector):
            loader = Loader(
                warehouse,
                connector,
                flow,
                telemetry.tracer,
                Lineage(
                    warehouse.engine.url, {target.table: connector.dataset(target) for target in flow.targets}
                ),
                batch_rows=settings.loader_batch_rows,
                parent=settings.traceparent,
            )
            with _progress() as progress:
                bar = progress.add_task(f"{flow.name}: rows", total=None)
                return await work(loader, lambda rows: progress.advance(bar, rows))

    try:
        loaded = finish(main())
    finally:
        telemetry.shutdown()
    print(orjson.dumps(_report(loaded)).decode())


def _report(loaded: Loaded) -> dict[str, object]:
    first, last = (loaded.batches[0], loaded.batches[-1]) if loaded.batches else (None, None)
    return {
        "flow": loaded.flow,
        "batch_id": last.batch_id if last else None,
        "rows": loaded.rows,
        "window_from": first.window.position_from if first else None,
        "window_to": last.window.position_to if last else None,
        "checksum": last.checksum if last else None,
        "traceparent": last.traceparent if last else None,
        "batches": [batch.batch_id for batch in loaded.batches],
    }


def plan(name: FlowArgument, flows: FlowsOption = FLOWS) -> None:
    """Show what the next run would load; changes nothing in the warehouse."""
    with explained():
        flow = find_load(flows, name)
    settings = load_settings(LoadSettings)

    async def main() -> None:
        async with opened(flow, settings) as (warehouse, connector):
            with _answering():
                async with warehouse.reading() as reading:
                    mark = await bookkeeping.mark_of(reading, flow.name)
            waiting = await connector.waiting(mark)
            table = Table("source", "landing table", "new rows")
            for target in flow.targets:
                rows = waiting[target.table]
                table.add_row(target.source, f"dl.{target.table}", "?" if rows is None else f"{rows:,}")
            _console.print(table)
            known = [rows for rows in waiting.values() if rows is not None]
            batches = -(-sum(known) // settings.loader_batch_rows)
            _console.print(
                f"{flow.name}: behind {mark.position or 'the beginning'}, {sum(known):,} rows are known to be new, "
                f"{batches} batches"
            )
            print(
                orjson.dumps(
                    {"flow": flow.name, "position": mark.position, "waiting": dict(waiting)}
                ).decode()
            )

    finish(main())


def status(
    name: Annotated[str | None, typer.Argument(help="one flow; default: all")] = None,
    flows: FlowsOption = FLOWS,
    as_json: Annotated[bool, typer.Option("--json", help="print it as JSON")] = False,
) -> None:
    """Show where every flow stands; exit status 1 when one is stale."""
    with explained():
        known = read_flows(flows)
        loads = {key: flow for key, flow in known.items() if not isinstance(flow, DbtFlow)}
        if name is not None:
            loads = {name: find_load(flows, name)}
    settings = load_settings(WarehouseSettings)

    async def main() -> list[FlowStatus]:
        warehouse = Warehouse.open(
            settings.warehouse_url.get_secret_value(), service="loader-status", pool_size=1
        )
        try:
            with _answering():
                return await read_status(warehouse, loads)
        finally:
            await warehouse.dispose()

    found = finish(main())
    if as_json:
        print(orjson.dumps([each.as_json() for each in found]).decode())
    else:
        _print_status(found)
    raise typer.Exit(FAILED if any(each.stale for each in found) else 0)


def _print_status(found: list[FlowStatus]) -> None:
    table = Table(
        "flow",
        "position",
        "batch",
        "loaded (UTC)",
        "rows",
        "batches",
        "seconds",
        "failed checks",
        "set aside",
        "state",
    )
    for each in found:
        table.add_row(
            each.flow,
            each.position or "",
            str(each.batch_id or ""),
            f"{each.loaded_at:%F %T}" if each.loaded_at else "never",
            f"{each.rows:,}",
            f"{each.batches:,}",
            f"{each.last_seconds:.1f}",
            str(each.failed_checks),
            f"{sum(each.set_aside.values()):,}",
            "stale" if each.stale else "",
        )
    _console.print(table)
    for each in found:
        for target, rows in each.set_aside.items():
            if rows:
                _console.print(
                    f"{each.flow}: {rows:,} rows of {target} are set aside; ods.quarantine says which and why. "
                    "Correct them at their source: docs/runbooks/rows-set-aside.md",
                    markup=False,
                    soft_wrap=True,
                )


def restart(
    name: FlowArgument,
    flows: FlowsOption = FLOWS,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
) -> None:
    """Let a flow go on at the beginning of the journal as it is now, when what it stood at is gone.

    When it is another journal, or was purged further than was loaded, what has landed is removed: positions of another
    journal mean nothing beside the new ones, and what was deleted in a gap would stay for ever.
    """
    with explained():
        flow = find_load(flows, name)
    settings = load_settings(LoadSettings)

    async def main() -> None:
        async with opened(flow, settings) as (warehouse, connector):
            if not isinstance(connector, JournalConnector):
                raise UnknownFlow(f"flow {name!r} cannot be restarted: it does not read a journal")
            window = await connector.restart_at()
            if not yes:
                typer.confirm(
                    f"{name}: go on at {window.position_to} of journal {window.incarnation}? If that is another "
                    "journal, or changes before it were not loaded, all that has landed is removed",
                    abort=True,
                )
            with _answering():
                removed = await restart_flow(warehouse, flow, window)
            await connector.loaded(window.position_to)
            _console.print(f"{name}: goes on at {window.position_to}; {removed:,} landed rows removed")

    finish(main())


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except (OSError, TimeoutError, sa.exc.SQLAlchemyError) as error:
        raise WarehouseFailed(f"the warehouse {what_failed(error)}") from error


def _progress() -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(show_speed=True),
        TextColumn("{task.completed:,.0f}"),
        TimeElapsedColumn(),
        console=_console,
        transient=False,
    )
