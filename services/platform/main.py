"""Start, look at and stop the whole platform on this machine."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Coroutine
from datetime import datetime
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from services.platform.build import build_warehouse
from services.platform.components.airflow_api import FIRST
from services.platform.demo.payments import record_payments
from services.platform.demo.run import run_demo
from services.platform.demo.warehouse import load_with_progress
from services.platform.display import addresses, console, progress, standing
from services.platform.errors import PlatformError
from services.platform.findings import findings
from services.platform.home import PRIVATE
from services.platform.platform import Platform, Status
from services.platform.settings import PlatformSettings

cli = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False)


def opened() -> Platform:
    """The platform that the environment's settings describe; ends the process when they are invalid."""
    os.umask(PRIVATE)
    try:
        return Platform(PlatformSettings())
    except ValidationError as error:
        for fault in error.errors(include_url=False, include_input=False):
            console.print(f"{PlatformSettings.variable(str(fault['loc'][0]))}: {fault['msg']}")
        raise typer.Exit(2) from None


def done(work: Coroutine[Any, Any, None]) -> None:
    """Run to the end; a PlatformError is what the person has to read, not a traceback."""
    try:
        asyncio.run(work)
    except PlatformError as error:
        console.print(str(error), style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        console.print("interrupted; what was started runs on (see `make status`, `make down`)")
        raise typer.Exit(130) from None


@cli.command()
def up(
    components: Annotated[list[str] | None, typer.Argument(help="only these, and what they need")] = None,
) -> None:
    """Start what does not run, bring the schemas up to date, add samples and users."""
    platform = opened()
    with progress() as on_change:
        done(platform.up(components or None, on_change))
    console.print(addresses(platform))


@cli.command()
def down() -> None:
    """Stop everything; the data stays."""
    done(opened().down())


@cli.command()
def status() -> None:
    """Show every process and what needs a person; exit status 1 when one is not ready or something does."""
    platform = opened()
    statuses, found = asyncio.run(_look(platform))
    console.print(standing(statuses))
    for finding in found:
        console.print(finding, style="red", markup=False, soft_wrap=True)
    orphans = platform.supervisor.orphans()
    if orphans:
        pids = ", ".join(str(process.pid) for process in orphans)
        console.print(f"the supervisor was killed; its processes run on: {pids}. `make up` replaces them.")
    if orphans or found or not all(status.ready for status in statuses if status.required):
        raise typer.Exit(1)


async def _look(platform: Platform) -> tuple[list[Status], list[str]]:
    statuses = await platform.status()
    running = any(status.state == "RUNNING" for status in statuses)
    return statuses, await findings(platform.settings) if running else []


@cli.command()
def logs(
    service: Annotated[str, typer.Argument(help="name of a process, as `status` shows it")],
    lines: Annotated[int, typer.Option(help="how many of the last lines to begin with")] = 50,
    follow: Annotated[bool, typer.Option(help="wait for more")] = False,
) -> None:
    """Show the log of a process."""
    folder = opened().home.logs
    log = folder / f"{service}.log"
    if not log.exists():
        known = ", ".join(sorted(path.stem for path in folder.glob("*.log"))) or "none yet"
        console.print(f"there is no log of {service!r}; there are: {known}")
        raise typer.Exit(2)
    sys.stdout.flush()
    os.execvp("tail", ["tail", f"--lines={lines}", *(["-F"] if follow else []), str(log)])  # noqa: S606 - no shell needed


@cli.command()
def seed() -> None:
    """Add the samples and the users that are missing, and what has happened under the booked loans until today."""
    platform = opened()
    platform.home.forget_steps()
    with progress() as on_change:
        done(
            platform.up(
                [*(["samples"] if platform.settings.samples else []), "users", "intake", "approval"],
                on_change,
            )
        )
    done(record_payments(platform, console))


@cli.command()
def demo(
    limit: Annotated[int | None, typer.Option(help="feed at most N of the 950 applications")] = None,
) -> None:
    """Start the platform, feed real applications through it, and say what happened and what to open."""
    platform = opened()
    with progress() as on_change:
        done(platform.up(None, on_change))
    done(run_demo(platform, console, limit))
    console.print(addresses(platform))


@cli.command(name="load")
def load_flow(
    flow: Annotated[str, typer.Argument(help="name of the first flow")] = FIRST,
) -> None:
    """Run a flow of the warehouse by Airflow, and all that follows from it; wait for the end."""
    done(load_with_progress(opened(), console, flow=flow))


@cli.command(name="build")
def build_without_airflow(
    as_of: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="reporting date; today by default")
    ] = None,
) -> None:
    """Load the lake into the warehouse and build the KPIs, here and without Airflow; as of a past day if asked for."""
    day = as_of.date() if as_of else None
    done(build_warehouse(opened(), lambda line: console.print(line, markup=False), as_of=day))


@cli.command()
def reset() -> None:
    """Stop everything and remove all data, logs and passwords."""
    done(opened().reset())


if __name__ == "__main__":
    cli()
