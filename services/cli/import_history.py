"""`creditmesh import history`: bring a bank's history into the lake."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer
from pydantic import ValidationError
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from sqlalchemy.exc import SQLAlchemyError

from services.chassis.error_names import error_name
from services.cli.client.errors import REFUSED, UNAVAILABLE, USAGE
from services.cli.client.output import errors as console
from services.cli.history.entities import ENTITIES
from services.cli.history.files import FilesUnusable, find
from services.cli.history.history import History
from services.cli.history.report import Report
from services.cli.history.writer import ImportUnderWay, Writer, read_known
from services.cli.settings import ImportSettings
from services.lake.database import Lake


def import_history(folder: Path, report: Path | None, *, dry_run: bool) -> None:
    """Import the files of `folder`; the refused rows go to a file in `report`, by default in `folder`.

    Raises:
        typer.Exit: status 1 when a row was refused, 2 for wrong settings or files, 3 without an answer of the lake.
    """
    try:
        settings = ImportSettings()
    except ValidationError as error:
        names = ", ".join(str(fault["loc"][0]).upper() for fault in error.errors(include_input=False))
        console.print(f"set {names}; see docs/guides/bring-your-portfolio.md", markup=False)
        raise typer.Exit(USAGE) from None
    found = Report()
    try:
        files = find(folder)
        seconds = asyncio.run(_run(settings, files, found, dry_run=dry_run))
    except FilesUnusable as error:
        console.print(str(error), style="red", markup=False, soft_wrap=True)
        raise typer.Exit(USAGE) from None
    except ImportUnderWay as error:
        console.print(str(error), style="red", markup=False)
        raise typer.Exit(UNAVAILABLE) from None
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        console.print(
            f"the lake does not answer, or refuses: {error_name(error)}. What was written stays; run the command again",
            style="red",
            markup=False,
        )
        raise typer.Exit(UNAVAILABLE) from None
    written = found.write(report or folder)
    console.print(_summary(found, dry_run=dry_run))
    console.print(_conclusion(found, written, seconds, dry_run=dry_run), markup=False, soft_wrap=True)
    if found.refusals:
        raise typer.Exit(REFUSED)


async def _run(settings: ImportSettings, files: dict[str, Path], report: Report, *, dry_run: bool) -> float:
    lake = Lake.open(settings.lake_url.get_secret_value(), service="history-import", pool_size=2)
    try:
        known = await read_known(lake, settings.overpayment_tolerance)
        with _progress() as bars:
            reading = bars.add_task("reading", total=None)
            checked = History(
                files,
                known,
                report,
                lambda _: bars.advance(reading),
                tolerance=settings.overpayment_tolerance,
            )
            checked.check()
            if dry_run:
                for _ in (*checked.instalments(), *checked.transactions(), *checked.classifications()):
                    pass
                return 0.0
            began = time.monotonic()
            writing = bars.add_task("writing", total=None)
            await Writer(lake, known, report, lambda _, rows: bars.advance(writing, rows)).write(checked)
            return time.monotonic() - began
    finally:
        await lake.dispose()


@contextmanager
def _progress() -> Iterator[Progress]:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("rows"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as bars:
        yield bars


def _summary(report: Report, *, dry_run: bool) -> Table:
    table = Table("file", "rows", "refused", *(() if dry_run else ("added", "there already")))
    for entity in ENTITIES:
        name = entity.name
        if report.read[name]:
            counts = (report.read[name], report.refused[name])
            done = () if dry_run else (report.added[name], report.there[name])
            table.add_row(name, *(f"{count:,}" for count in (*counts, *done)))
    return table


def _conclusion(report: Report, written: Path, seconds: float, *, dry_run: bool) -> str:
    added = sum(report.added.values())
    said = ["nothing was written: a dry run"] if dry_run else []
    if seconds and added:
        said.append(f"{added:,} rows added in {seconds:.1f} s, {added / seconds:,.0f} a second")
    if unknown := ", ".join(f"{count:,} {what}" for what, count in sorted(report.unknown.items()) if count):
        said.append(f"unknown, and left out of the KPIs that need them: {unknown}")
    refused = sum(report.refused.values())
    said.append(
        f"{refused:,} rows refused, each with its reason in {written}" if refused else "no row refused"
    )
    return "\n".join(said)
