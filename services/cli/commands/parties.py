"""Finding parties."""

from typing import Annotated

import typer

from services.cli.client.errors import WrongUsage
from services.cli.client.output import Output, show
from services.cli.commands.options import NO_PROFILE, Commands, Form, Limit, Profile, connect, given

FOUND = ("id", "kind", "full_name", "birth_date", "national_id", "email", "phone")
parties = typer.Typer(cls=Commands, no_args_is_help=True, help="People and organisations on record.")


@parties.command("find")
def find(
    *,
    national_id: Annotated[str | None, typer.Option(help="with this national id; - asks for it")] = None,
    email: Annotated[str | None, typer.Option(help="with this e-mail address; - asks for it")] = None,
    phone: Annotated[str | None, typer.Option(help="with this phone number; - asks for it")] = None,
    limit: Limit = 50,
    profile: Profile = NO_PROFILE,
    output: Form = Output.TABLE,
) -> None:
    """Find parties by what is exactly theirs, in any spelling: all that is given.

    What a command line has is in the history of the shell and in the list of processes; with `-` it is asked for.
    """
    sought = given(
        national_id=_asked("national id", national_id),
        email=_asked("e-mail", email),
        phone=_asked("phone", phone),
    )
    if not sought:
        raise WrongUsage("give --national-id, --email or --phone.")
    with connect(profile) as platform:
        show(platform.items("intake", "/parties", limit, **sought), FOUND, output)


def _asked(what: str, value: str | None) -> str | None:
    if value != "-":
        return value
    asked: str = typer.prompt(what, err=True)
    return asked
