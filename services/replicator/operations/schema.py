"""The commands that let a stopped table go on: after a change of its definition, or with a row that was too large."""

import getpass
from typing import Annotated

import asyncpg
import orjson
import typer
from rich.console import Console

from services.chassis.settings import load_settings
from services.lake.database import Lake
from services.lake.journal.model import CapturedTable
from services.lake.journal.reader import JournalReader
from services.lake.journal.requests import Requests
from services.replicator.operations.commands import run, with_both
from services.replicator.relay.held import Held
from services.replicator.replica.evolution import accept, evolve
from services.replicator.replica.tables import accept_newest, standing_at
from services.replicator.settings import CommandSettings
from services.replicator.store import StopKind, clear_stop

_console = Console()


def accept_schema(
    table: Annotated[str, typer.Argument(help="schema.name")],
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
) -> None:
    """Bring the replica of a stopped table to its newest definition, and fill it again from the lake.

    APPLICATION_URL needs the sink's login or the owner's. Exit status 0 when done or when there is nothing to do, 1
    when it was declined, 2 for a table that is not captured.
    """
    settings = load_settings(CommandSettings)

    async def work(lake: Lake, connection: asyncpg.Connection) -> int:
        definitions = (await JournalReader(lake).definitions()).values()
        history = [definition for definition in definitions if definition.full_name == table]
        if not history:
            captured = ", ".join(sorted({definition.full_name for definition in definitions}))
            _say(f"{table} is not captured; captured are {captured}")
            return 2
        await connection.execute("SET ROLE sink")
        stands_at = await standing_at(connection, history[-1])
        if stands_at is None or not evolve(stands_at, history[-1]).losses:
            _say(f"{table}: nothing to accept; the sink follows by itself")
            return 0
        _show(stands_at, history[-1])
        if not yes and not typer.confirm("Do it?"):
            return 1
        # First: whatever the statements take away must come again, also when this process dies between the two.
        await Requests(lake).add(table, None, by=getpass.getuser())
        await accept_newest(connection, history)
        _say(f"{table}: done; its partitions go on within seconds, its rows come again by the backfill")
        return 0

    raise typer.Exit(run(with_both(settings, work)))


def resume_table(table: Annotated[str, typer.Argument(help="schema.name")]) -> None:
    """Let a table go on that the relay has stopped, after the row that it could not relay was corrected in the lake.

    APPLICATION_URL needs the sink's login or the owner's. Exit status 0 when it goes on or was not stopped by the
    relay, 1 when the row was not corrected yet, 2 for a table that is not captured.
    """
    settings = load_settings(CommandSettings)

    async def work(lake: Lake, connection: asyncpg.Connection) -> int:
        journal = JournalReader(lake)
        captured = {definition.full_name for definition in (await journal.definitions()).values()}
        if table not in captured:
            _say(f"{table} is not captured; captured are {', '.join(sorted(captured))}")
            return 2
        kept = await connection.fetchval("SELECT held -> $1 FROM replication.relay", table)
        if kept is None:
            _say(f"{table}: nothing to do; the relay does not hold it")
            return 0
        held = Held.from_json(orjson.loads(kept))
        if not await journal.is_superseded(table, held.key, held.at):
            _say(
                f"{table}: the row {held.key} has not changed since its change at {held.at}. Correct or delete it in "
                "the lake, then run this again"
            )
            return 1
        await clear_stop(connection, table, StopKind.RELAY)
        _say(f"{table}: done; the relay sends what the table has missed, within seconds")
        return 0

    raise typer.Exit(run(with_both(settings, work)))


def _show(stands_at: CapturedTable, newest: CapturedTable) -> None:
    _say(
        f"{newest.full_name}: {'; '.join(evolve(stands_at, newest).losses)}. In the application database, at once:"
    )
    for statement in accept(stands_at, newest):
        _say(f"    {statement}")


def _say(text: str) -> None:
    _console.print(text, markup=False, soft_wrap=True, highlight=False)
