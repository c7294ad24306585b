"""Importing a bank's history: it writes into the lake itself, with packages that no other command needs."""

from pathlib import Path
from typing import Annotated

import typer

from services.cli.client.errors import WrongUsage


def history(
    folder: Annotated[Path, typer.Argument(help="with parties.csv, applications.ndjson, loans.parquet …")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="check everything, write nothing")] = False,
    report: Annotated[
        Path | None, typer.Option(help="folder for refused.csv; by default that of the files")
    ] = None,
) -> None:
    """Check a history row by row, and write the valid rows into the lake.

    Needs LAKE_URL with the login `importer`. Existing rows stay unchanged, so the same command may be run
    again: after an interruption, or with the refused rows corrected. Status 1 when a row was refused.
    """
    try:
        # Two seconds that no other command waits for.
        from services.cli.import_history import import_history  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        raise WrongUsage(f"The package {missing.name} is not installed; install the group `cli`.") from None
    import_history(folder, report, dry_run=dry_run)
