"""The commands of operators: verify, status, backfill, repair, purge."""

import asyncio
import getpass
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, TypeVar

import asyncpg
import sqlalchemy as sa
import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from services.chassis.settings import load_settings
from services.lake.database import Lake
from services.lake.journal.requests import Request, Requests
from services.lake.journal.retention import NoReader, Retention
from services.replicator.operations.rejournal import (
    KeyNotRead,
    NobodyWorks,
    UnknownTable,
    canonical_key,
    captured_tables,
    follow,
    known,
    repair,
)
from services.replicator.replica.connection import connect
from services.replicator.settings import CommandSettings, PurgeSettings
from services.replicator.verification.process import current_status, verify_once
from services.replicator.verification.status import ReplicationStatus
from services.replicator.verification.verifier import Mismatch, NotCaughtUp, Verification

DIFFERS, NOT_IN_TIME = 1, 3
"""Exit statuses; 2 is for a command that was not understood."""

T = TypeVar("T")
WaitSeconds = Annotated[float, typer.Option(help="how long relay and sink may take to get there")]
_console = Console()


def register(cli: typer.Typer) -> None:
    """Add the commands of this module to `cli`."""
    for command in (verify, status, backfill, purge):
        cli.command()(command)
    cli.command(name="repair")(repair_rows)


def run(work: Awaitable[T]) -> T:
    """Run a command's work; what a person can put right ends it with a message and a status."""

    async def main() -> T:
        return await work

    try:
        return asyncio.run(main())
    except (UnknownTable, KeyNotRead, NoReader) as error:
        _console.print(str(error), style="red", markup=False, soft_wrap=True)
        raise typer.Exit(2) from None
    except (NobodyWorks, NotCaughtUp) as error:
        _console.print(str(error), style="red", markup=False, soft_wrap=True)
        raise typer.Exit(NOT_IN_TIME) from None


async def with_both(settings: CommandSettings, work: Callable[[Lake, asyncpg.Connection], Awaitable[T]]) -> T:
    """Do `work` with the lake and a connection to the application database."""
    lake = Lake.open(settings.lake_url.get_secret_value(), service="replicator-command", pool_size=2)
    try:
        connection = await connect(settings.application_url, name="replicator-command")
        try:
            return await work(lake, connection)
        finally:
            await connection.close()
    finally:
        await lake.dispose()


def verify(wait_seconds: WaitSeconds = 60.0, every_seconds: float = 0.0) -> None:
    """Compare lake and replica; exit status 1 when rows differ, 3 when the replica did not catch up.

    With --every-seconds it goes on for ever.
    """
    settings = load_settings(CommandSettings)

    async def repeatedly() -> int:
        lake = Lake.open(settings.lake_url.get_secret_value(), service="replicator-verify", pool_size=2)
        try:
            while True:
                try:
                    result = await verify_once(lake, settings, wait_seconds=wait_seconds)
                except NotCaughtUp as error:
                    _console.print(f"[red]not verified[/]: {error}")
                    status = NOT_IN_TIME
                else:
                    _print_verification(result)
                    status = 0 if result.equal else DIFFERS
                if not every_seconds:
                    return status
                await asyncio.sleep(every_seconds)
        finally:
            await lake.dispose()

    raise typer.Exit(run(repeatedly()))


def _print_verification(result: Verification) -> None:
    print_findings(result.findings)
    for table in result.stopped:
        _console.print(f"{table} is stopped and was not compared: see `status`", markup=False)
    seconds = (result.finished_at - result.started_at).total_seconds()
    verdict = "[green]equal[/]" if result.equal else f"[red]{result.mismatches} rows differ[/]"
    _console.print(
        f"{verdict}: {result.rows:,} rows compared up to position {result.position} in {seconds:.1f} s"
    )


def print_findings(findings: tuple[Mismatch, ...] | list[Mismatch]) -> None:
    """Print one line a row."""
    for finding in findings:
        _console.print(
            f"{finding.kind:>10}  {finding.table}  {finding.key}",
            markup=False,
            soft_wrap=True,
            highlight=False,
        )


def status(
    max_lag_seconds: Annotated[float, typer.Option(help="a table further behind is a problem")] = 60.0,
    max_age: Annotated[float, typer.Option(help="seconds since both sides were found equal")] = 3600.0,
    as_json: Annotated[bool, typer.Option("--json", help="print it as JSON")] = False,
) -> None:
    """Show how far every table is; exit status 1 when something needs a person."""
    settings = load_settings(CommandSettings)

    async def read() -> ReplicationStatus:
        lake = Lake.open(settings.lake_url.get_secret_value(), service="replicator-status", pool_size=1)
        try:
            return await current_status(lake, settings)
        finally:
            await lake.dispose()

    found = run(read())
    problems = found.problems(max_lag_seconds=max_lag_seconds, max_age_seconds=max_age)
    if as_json:
        print(found.model_dump_json(indent=2))
    else:
        _print_status(found)
        for problem in problems:
            _console.print(problem, style="red", markup=False, soft_wrap=True)
    raise typer.Exit(1 if problems else 0)


def _print_status(found: ReplicationStatus) -> None:
    columns = ("table", "captured", "relayed", "applied", "verified", "rows behind", "seconds", "quarantined")
    table = Table(*columns, "state")
    for each in found.tables:
        table.add_row(
            each.table,
            each.captured,
            each.relayed,
            each.applied,
            each.verified or "never",
            f"{each.lag_rows:,}",
            f"{each.lag_seconds:.1f}",
            str(each.quarantined),
            "stopped" if each.stopped else "differs" if each.mismatches else "",
        )
    _console.print(table)
    _console.print(f"captured {found.captured}, relayed {found.relayed}, quarantined {found.quarantined}")
    _console.print(
        f"relay {found.relay_owner}, epoch {found.relay_epoch}, alive {found.relay_alive}"
        + (f" ({found.relay_fault})" if found.relay_fault else "")
    )
    for request in found.backfills:
        if not request.error:
            _console.print(f"backfill of {request.table}: {request.rows_done:,} rows so far", markup=False)
    if found.verified:
        _console.print(
            f"last verification {found.verified.finished_at:%F %T} at {found.verified.position}: "
            f"{found.verified.mismatches} mismatches, {found.verified.unstable} unstable"
        )


def backfill(
    tables: Annotated[list[str] | None, typer.Argument(help="schema.name")] = None,
    everything: Annotated[bool, typer.Option("--all", help="every captured table")] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="follow it to its end")] = True,
    patience_seconds: Annotated[float, typer.Option(help="seconds without progress before giving up")] = 60.0,
) -> None:
    """Write every row of tables into the journal again, while changes go on.

    Exit status 1 when it could not be done, 3 when no relay works on it: the request stays.
    """
    if bool(tables) == everything:
        raise typer.BadParameter("name tables, or give --all")
    settings = load_settings(CommandSettings)

    async def work(lake: Lake, _: asyncpg.Connection) -> bool:
        there = await captured_tables(lake)
        names = sorted(there) if everything else [known(there, name).full_name for name in tables or ()]
        requests = Requests(lake)
        numbers = [
            number for name in names for number in await requests.add(name, None, by=getpass.getuser())
        ]
        if not wait:
            _console.print(f"{len(numbers)} requested")
            return True
        with _progress() as progress:
            bars = {name: progress.add_task(name, total=await _count(lake, name)) for name in names}

            def tell(request: Request) -> None:
                done = request.rows_done
                progress.update(bars[request.table], completed=done, total=done if request.done else None)

            done = await follow(lake, numbers, tell, patience_seconds=patience_seconds)
        for request in done:
            if request.error:
                _console.print(f"{request.table}: {request.error}", style="red", markup=False)
        return not any(request.error for request in done)

    raise typer.Exit(0 if run(with_both(settings, work)) else DIFFERS)


def _progress() -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=_console,
    )


async def _count(lake: Lake, name: str) -> int:
    schema, _, table = name.partition(".")
    async with lake.engine.connect() as connection:
        query = sa.select(sa.func.count()).select_from(sa.table(table, schema=schema))
        return int(await connection.scalar(query) or 0)


def repair_rows(
    table: Annotated[
        str | None, typer.Argument(help="schema.name; default: what the last verification found")
    ] = None,
    keys: Annotated[list[str] | None, typer.Argument(help="keys as `verify` prints them")] = None,
    wait_seconds: WaitSeconds = 60.0,
) -> None:
    """Write named rows into the journal again as the lake holds them, and verify those rows.

    Exit status 1 when some still differ, 3 when it was not done in time.
    """
    if table and not keys:
        raise typer.BadParameter(
            "name keys of the table, or none at all for the last verification's mismatches"
        )
    settings = load_settings(CommandSettings)

    async def work(lake: Lake, replica: asyncpg.Connection) -> list[Mismatch]:
        there = await captured_tables(lake)
        if table:
            wanted = {table: [canonical_key(known(there, table), key) for key in keys or ()]}
        else:
            wanted = {}
            for row in await replica.fetch(
                "SELECT table_name, key FROM replication.mismatch WHERE kind <> 'unstable' "
                "AND verification_id = (SELECT max(id) FROM replication.verification) ORDER BY table_name, key"
            ):
                wanted.setdefault(row["table_name"], []).append(row["key"])
        left = await repair(lake, replica, wanted, by=getpass.getuser(), wait_seconds=wait_seconds)
        _console.print(f"{sum(map(len, wanted.values()))} rows written again, {len(left)} still differ")
        return left

    left = run(with_both(settings, work))
    print_findings(left)
    raise typer.Exit(DIFFERS if left else 0)


def purge(
    older_than: Annotated[float, typer.Option(min=0, help="days; what was captured later stays")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what would go")] = False,
) -> None:
    """Remove the journal's old end, as far as every reader has passed it (owner's login)."""
    settings = load_settings(PurgeSettings)

    async def work() -> tuple[int, str]:
        lake = Lake.open(settings.lake_url.get_secret_value(), service="replicator-purge", pool_size=2)
        removed, through = 0, "nothing"
        try:
            with _progress() as progress:
                bar = progress.add_task("changes", total=None)
                before = datetime.now(UTC) - timedelta(days=older_than)
                async for chunk in Retention(lake).purge(before, dry_run=dry_run):
                    removed += chunk.changes
                    through = f"position {chunk.through}"
                    progress.update(bar, completed=removed)
        finally:
            await lake.dispose()
        return removed, through

    removed, through = run(work())
    _console.print(f"{removed:,} changes {'would go' if dry_run else 'removed'}, up to {through}")
