"""Documents of applications: add, list, get."""

import base64
import hashlib
import uuid
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import DownloadColumn, Progress, SpinnerColumn, TextColumn, TransferSpeedColumn

from services.cli.client.errors import Unavailable, WrongUsage
from services.cli.client.output import Output, errors, show, show_one
from services.cli.commands.options import (
    NO_PROFILE,
    ApplicationId,
    Commands,
    Form,
    Profile,
    connect,
    private_file,
)

COLUMNS = ("id", "kind", "file_name", "media_type", "size_bytes", "scan_state", "scanner", "uploaded_at")
TYPES = {
    ".pdf": "application/pdf",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
}
"""The types that are taken, by the end of a file's name; the service compares the content."""
UPLOAD_MILLISECONDS = 30_000
"""How long the service may take for an upload: a large file on a slow line needs more than its default."""

documents = typer.Typer(cls=Commands, no_args_is_help=True, help="Documents of applications.")


@documents.command("add")
def add_document(
    application_id: ApplicationId,
    file: Annotated[Path, typer.Argument(help=f"the file: {', '.join(TYPES)}")],
    *,
    kind: Annotated[
        str,
        typer.Option(
            help="what it proves: identity, income, bank_statement, employment, collateral, contract or other"
        ),
    ],
    name: Annotated[str | None, typer.Option(help="what it is called; by default as the file")] = None,
    key: Annotated[
        str | None, typer.Option(help="the Idempotency-Key; the same key adds the document once")
    ] = None,
    profile: Profile = NO_PROFILE,
    output: Form = Output.TABLE,
) -> None:
    """Add a document to your application."""
    media_type = TYPES.get(file.suffix.lower())
    if media_type is None:
        raise WrongUsage(f"{file} must end with {', '.join(TYPES)}.")
    used = key or str(uuid.uuid4())
    try:
        content = file.open("rb")
    except OSError as error:
        raise WrongUsage(f"{file} cannot be read: {error.strerror}") from None
    with content, connect(profile) as platform:
        try:
            added = platform.json(
                "intake",
                "POST",
                f"/applications/{application_id}/documents",
                params={"kind": kind, "file_name": name or file.name},
                content=content,
                headers={
                    "Content-Type": media_type,
                    "Idempotency-Key": used,
                    "X-Request-Timeout-Ms": str(UPLOAD_MILLISECONDS),
                },
            )
        except Unavailable as error:
            raise Unavailable(
                f"{error}\nit may have arrived: repeat it with --key {used}, and it is added once"
            ) from None
    show_one(added if output is not Output.TABLE else {name: added[name] for name in COLUMNS}, output)
    if added["scan_note"]:
        errors.print(added["scan_note"], markup=False, highlight=False)


@documents.command("list")
def list_documents(
    application_id: ApplicationId, profile: Profile = NO_PROFILE, output: Form = Output.TABLE
) -> None:
    """List the documents of an application, the oldest first."""
    with connect(profile) as platform:
        show(platform.json("intake", "GET", f"/applications/{application_id}/documents"), COLUMNS, output)


@documents.command("get")
def get_document(
    document_id: Annotated[str, typer.Argument(metavar="ID", help="the document's id")],
    file: Annotated[Path, typer.Argument(help="the file to write")],
    profile: Profile = NO_PROFILE,
) -> None:
    """Download a document that was found clean; nobody else can read the file."""
    partial = file.with_name(f"{file.name}.part")
    columns = (SpinnerColumn(), TextColumn(file.name, markup=False), DownloadColumn(), TransferSpeedColumn())
    digest, size = hashlib.sha256(), 0
    with connect(profile) as platform, Progress(*columns, console=errors) as bars:
        bar = bars.add_task("download", total=None)
        with (
            platform.streamed("intake", f"/documents/{document_id}/content") as answer,
            private_file(partial) as target,
        ):
            for chunk in answer.iter_bytes():
                target.write(chunk)
                digest.update(chunk)
                size += len(chunk)
                bars.advance(bar, len(chunk))
            expected = answer.headers.get("Repr-Digest", "")
            scanner = answer.headers.get("Document-Scanner")
    if expected != f"sha-256=:{base64.b64encode(digest.digest()).decode()}:":
        raise Unavailable(f"the download was cut; what came is in {partial}. Run it again.")
    partial.replace(file)
    typer.echo(f"{size:,} bytes are in {file}")
    if scanner == "none":
        errors.print("This installation has no scanner: nobody looked for malware.", highlight=False)
