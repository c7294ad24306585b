"""Options that many commands have, and how a command ends when something is wrong."""

from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer
from typer.core import TyperGroup

from services.cli.client.connection import Connection
from services.cli.client.errors import ClientError, WrongUsage
from services.cli.client.output import Output, errors
from services.cli.client.profiles import LOCAL

Form = Annotated[
    Output, typer.Option("--output", "-o", help="table for people; json, ndjson or csv for programs")
]
Profile = Annotated[
    str, typer.Option("--profile", "-p", envvar="CREDITMESH_PROFILE", help="the platform to talk to")
]
ApplicationId = Annotated[str, typer.Argument(metavar="ID", help="the application's id")]
Limit = Annotated[int, typer.Option(min=1, max=100_000, help="most items to print")]
NO_PROFILE = LOCAL


class Commands(TyperGroup):
    """Commands whose errors are printed for people and end with the error's status."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except ClientError as error:
            errors.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
            raise typer.Exit(error.status) from None


def connect(profile: str) -> Connection:
    """The services of a profile; raises WrongUsage when there is none of this name."""
    return Connection(profile)


def text_of(file: Path) -> str:
    """What is in a file, or, for `-`, what comes in.

    Raises:
        WrongUsage: it cannot be read, or is no UTF-8.
    """
    try:
        return typer.get_text_stream("stdin").read() if str(file) == "-" else file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
        raise WrongUsage(f"{file} cannot be read: {said}") from None


def given(**parameters: Any) -> dict[str, Any]:
    """The query parameters that somebody has set."""
    return {name: value for name, value in parameters.items() if value is not None and value not in ("", [])}


def private_file(file: Path) -> BinaryIO:
    """A new file that nobody else reads: there can be personal data in it.

    Raises:
        WrongUsage: it cannot be written.
    """
    try:
        file.unlink(missing_ok=True)
        file.touch(mode=0o600)
        return file.open("wb")
    except OSError as error:
        raise WrongUsage(f"{file} cannot be written: {error.strerror}") from None
