"""The commands of the quarantine: list, show, replay, drop. They need the sink's login in APPLICATION_URL."""

import getpass
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import asyncpg
import orjson
import typer
from rich.console import Console

from services.chassis.settings import load_settings
from services.lake.database import Lake
from services.replicator.operations.commands import DIFFERS, WaitSeconds, print_findings, run, with_both
from services.replicator.operations.rejournal import KeyNotRead, canonical_key, captured_tables, repair
from services.replicator.replica.connection import connect
from services.replicator.settings import CommandSettings, MigrationSettings
from services.replicator.sink import quarantine
from services.replicator.topics import table_of

T = TypeVar("T")
Ids = Annotated[list[int] | None, typer.Argument(help="ids as `list` prints them")]
cli = typer.Typer(
    no_args_is_help=True, help="Records that could not be applied: list, show, replay or drop them."
)
_console = Console()


async def _with_application(work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
    settings = load_settings(MigrationSettings)
    connection = await connect(settings.application_url, name="replicator-quarantine")
    try:
        return await work(connection)
    finally:
        await connection.close()


@cli.command(name="list")
def list_entries() -> None:
    """List the open entries; exit status 1 when there are any."""
    entries = run(_with_application(quarantine.list_open))
    for entry in entries:
        _console.print(
            f"{entry['id']}  {entry['quarantined_at']:%F %T}  {entry['key']}  {entry['reason']}",
            markup=False,
            soft_wrap=True,
            highlight=False,
        )
    _console.print(f"{len(entries)} open")
    raise typer.Exit(1 if entries else 0)


@cli.command()
def show(number: Annotated[int, typer.Argument(metavar="ID")]) -> None:
    """Show all that was kept of one entry, its image included: personal data."""
    entry = run(_with_application(lambda connection: quarantine.read(connection, number)))
    if entry is None:
        raise typer.BadParameter(f"there is no entry {number}")
    for name, value in entry.items():
        _console.print(f"{name:>18}  {value}", markup=False, soft_wrap=True, highlight=False)


@cli.command()
def replay(
    numbers: Ids = None,
    everything: Annotated[bool, typer.Option("--all", help="every open entry")] = False,
    wait_seconds: WaitSeconds = 60.0,
) -> None:
    """Write the rows of entries into the journal again, as the lake holds them now; what is applied is closed.

    The kept record itself is never applied: a newer one of its row may have been, and would be undone. Exit status 1
    when entries stay open.
    """
    if bool(numbers) == everything:
        raise typer.BadParameter("name entries, or give --all")

    async def work(lake: Lake, application: asyncpg.Connection) -> int:
        tables = await captured_tables(lake)
        wanted: dict[str, list[str]] = {}
        of_key: dict[tuple[str, str], list[int]] = {}
        open_entries = await quarantine.list_open(application, numbers)
        for entry in open_entries:
            name = table_of(entry["topic"])
            try:
                key = canonical_key(tables[name], entry["key"])
            except (KeyError, KeyNotRead):
                _console.print(f"{entry['id']} has no key of a captured table: drop it", markup=False)
                continue
            if (name, key) not in of_key:
                wanted.setdefault(name, []).append(key)
            of_key.setdefault((name, key), []).append(entry["id"])
        by = getpass.getuser()
        left = await repair(lake, application, wanted, by=by, wait_seconds=wait_seconds)
        print_findings(left)
        differing = {(finding.table, finding.key) for finding in left}
        equal = [n for place, some in of_key.items() if place not in differing for n in some]
        # Most are closed by the sink; one of a topic that is no longer written to is closed here.
        await quarantine.resolve(
            application, equal, resolution="replayed", by=by, reason="the row was written again and verified"
        )
        return len(await quarantine.list_open(application, [entry["id"] for entry in open_entries]))

    still = run(with_both(load_settings(CommandSettings), work))
    _console.print(f"{still} still open")
    raise typer.Exit(DIFFERS if still else 0)


@cli.command()
def drop(
    numbers: Annotated[list[int], typer.Argument(metavar="ID...")],
    reason: Annotated[str, typer.Option(help="why, kept with the entry")],
) -> None:
    """Close entries without doing anything about their rows; who and why is kept.

    Exit status 1 when one of them was not open.
    """
    by = getpass.getuser()
    closed = run(
        _with_application(
            lambda connection: quarantine.resolve(
                connection, numbers, resolution="dropped", by=by, reason=reason
            )
        )
    )
    _console.print(f"dropped: {orjson.dumps(closed).decode()}", markup=False)
    raise typer.Exit(1 if set(numbers) - set(closed) else 0)
