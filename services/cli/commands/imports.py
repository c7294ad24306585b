"""Imports of files of applications and payments: send, watch, list."""

import itertools
import json
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TransferSpeedColumn,
)

from services.cli.client.connection import Connection
from services.cli.client.errors import Refused, Unavailable, WrongUsage
from services.cli.client.output import Output, errors, show, show_one
from services.cli.commands.options import NO_PROFILE, Commands, Form, Limit, Profile, connect

FORMATS = {".ndjson": "application/x-ndjson", ".jsonl": "application/x-ndjson", ".csv": "text/csv"}
"""The formats by the end of a file's name, behind which `.gz` says that it is packed."""
KINDS = ("applications", "payments")
COLUMNS = ("id", "kind", "state", "rows", "made", "repeated", "rejected", "created_at")
FAULTS = ("line", "pointer", "detail")
SHOWN_FAULTS = 100
UPLOAD_SECONDS = 60
POLL_SECONDS = 0.5
_PIECE_BYTES = 256 << 10


class Imports(Commands):
    """Commands of imports, of which `import FILE` leaves out the name of the first."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """What is no command is a file."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["file", *args]
        return super().parse_args(ctx, args)


imports = typer.Typer(
    cls=Imports,
    no_args_is_help=True,
    help="Bring data into the platform: `import FILE` is short for `import file FILE`.",
)
ImportId = Annotated[str, typer.Argument(metavar="ID", help="the import's id")]
Watch = Annotated[bool, typer.Option("--watch", "-w", help="wait for its end, and show what was rejected")]


@imports.command("file")
def import_file(
    file: Annotated[Path, typer.Argument(help=f"the file: {', '.join(FORMATS)}, each with .gz or without")],
    *,
    kind: Annotated[str, typer.Option(help=" or ".join(KINDS))] = KINDS[0],
    watch: Watch = False,
    key: Annotated[
        str | None, typer.Option(help="the Idempotency-Key; the same key sends the file once")
    ] = None,
    profile: Profile = NO_PROFILE,
    output: Form = Output.TABLE,
) -> None:
    """Send a file of applications, or of payments under loans; rows that were sent before are not made again.

    Status 1 when a row was rejected, which only --watch can tell.
    """
    media_type, encoding = _written(file)
    if kind not in KINDS:
        raise WrongUsage(f"--kind is {' or '.join(KINDS)}.")
    used = key or str(uuid.uuid4())
    headers = {
        "Content-Type": media_type,
        "Idempotency-Key": used,
        "X-Request-Timeout-Ms": str(UPLOAD_SECONDS * 1000),
        **encoding,
    }
    try:
        content = file.open("rb")
    except OSError as error:
        raise WrongUsage(f"{file} cannot be read: {error.strerror}") from None
    with content, connect(profile) as platform:
        try:
            sent = _send(platform, file, content, kind=kind, headers=headers)
        except Unavailable as error:
            raise Unavailable(
                f"{error}\nit may have arrived: repeat it with --key {used}, and it is taken once"
            ) from None
        _tell(platform, sent, output, watch=watch)


@imports.command("show")
def show_import(
    import_id: ImportId, *, watch: Watch = False, profile: Profile = NO_PROFILE, output: Form = Output.TABLE
) -> None:
    """Show how far an import is, and what was rejected; status 1 when a row was."""
    with connect(profile) as platform:
        found = platform.json("intake", "GET", f"/imports/{import_id}")
        _tell(platform, found, output, watch=watch)


@imports.command("rows")
def show_rows(
    import_id: ImportId,
    *,
    made: Annotated[bool, typer.Option("--made", help="what the import has made of rows instead")] = False,
    profile: Profile = NO_PROFILE,
    output: Form = Output.TABLE,
) -> None:
    """Print what is wrong with each rejected row, or with --made the id of what each made row has become."""
    with connect(profile) as platform:
        columns = ("line", "id") if made else FAULTS
        show(_rows(platform, import_id, "made" if made else "rejected"), columns, output)


@imports.command("list")
def list_imports(limit: Limit = 50, profile: Profile = NO_PROFILE, output: Form = Output.TABLE) -> None:
    """List your imports, the newest first."""
    with connect(profile) as platform:
        show(platform.items("intake", "/imports", limit), COLUMNS, output)


def _written(file: Path) -> tuple[str, Mapping[str, str]]:
    """The type of a file and the headers of its packing, by its name."""
    suffixes = [suffix.lower() for suffix in file.suffixes]
    gzipped = suffixes[-1:] == [".gz"]
    media_type = FORMATS.get("".join(suffixes[:-1][-1:] if gzipped else suffixes[-1:]))
    if media_type is None:
        raise WrongUsage(f"{file} must end with {', '.join(FORMATS)}, or with .gz behind one of them.")
    return media_type, {"Content-Encoding": "gzip"} if gzipped else {}


def _send(
    platform: Connection, file: Path, content: BinaryIO, *, kind: str, headers: Mapping[str, str]
) -> dict[str, Any]:
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), DownloadColumn())
    with Progress(*columns, TransferSpeedColumn(), console=errors) as bars:
        bar = bars.add_task(file.name, total=file.stat().st_size)

        def pieces() -> Iterator[bytes]:
            while piece := content.read(_PIECE_BYTES):
                yield piece
                bars.advance(bar, len(piece))

        sent: dict[str, Any] = platform.json(
            "intake",
            "POST",
            "/imports",
            params={"kind": kind},
            content=pieces(),
            headers=headers,
            timeout=UPLOAD_SECONDS + 10,
        )
    return sent


def _tell(platform: Connection, found: dict[str, Any], output: Output, *, watch: bool) -> None:
    """Print an import, at its end if that is waited for.

    Raises:
        Refused: a row was rejected, or the file cannot be read any more.
    """
    if watch:
        try:
            found = _ended(platform, found)
        except (Unavailable, KeyboardInterrupt) as stopped:
            errors.print(f"the import goes on: creditmesh import show {found['id']} --watch", highlight=False)
            if isinstance(stopped, Unavailable):
                raise
            raise typer.Abort from None
    if output is Output.TABLE:
        shown = {name: found[name] for name in (*COLUMNS, "rows_per_second", "ended_at")}
        show_one(shown, output)
        if found["rejected"]:
            faults = _rows(platform, found["id"], "rejected")
            show(itertools.islice(faults, SHOWN_FAULTS), FAULTS, output)
            if next(faults, None) is not None:
                errors.print(f"and more: creditmesh import rows {found['id']}", highlight=False)
    else:
        show_one(found, output)
    if found["state"] == "failed":
        raise Refused(200, {"title": "The file cannot be read any more; send it again."})
    if found["rejected"]:
        raise Refused(200, {"title": f"{found['rejected']:,} of {found['rows']:,} rows were rejected."})


def _ended(platform: Connection, found: dict[str, Any]) -> dict[str, Any]:
    columns = (SpinnerColumn(), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=errors) as bars:
        bar = bars.add_task("rows", total=found["rows"])
        while True:
            done = found["made"] + found["repeated"] + found["rejected"]
            rate = found["rows_per_second"]
            said = f"{found['rejected']:,} rejected" + (f", {rate:,.0f} rows/s" if rate else "")
            bars.update(bar, completed=done, description=said)
            if found["ended_at"] is not None:
                return found
            time.sleep(POLL_SECONDS)
            found = platform.json("intake", "GET", f"/imports/{found['id']}")


def _rows(platform: Connection, import_id: str, status: str) -> Iterator[Mapping[str, Any]]:
    path = f"/imports/{import_id}/rows"
    with platform.streamed("intake", path, params={"status": status}) as answer:
        for line in answer.iter_lines():
            yield json.loads(line)
