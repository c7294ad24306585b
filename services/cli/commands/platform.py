"""The platform and its users, for those who run it."""

from typing import Annotated

import typer

from services.cli.client.errors import Unavailable
from services.cli.client.output import Output, show
from services.cli.client.profiles import SERVICES
from services.cli.commands.options import NO_PROFILE, Commands, Form, Limit, Profile, connect

users = typer.Typer(cls=Commands, no_args_is_help=True, help="The users of the platform, for administrators.")


def status(profile: Profile = NO_PROFILE, output: Form = Output.TABLE) -> None:
    """Show whether each service is ready; status 3 when one is not."""
    with connect(profile) as platform:
        rows = []
        for service in SERVICES:
            url, said = platform.ready(service)
            rows.append({"service": service, "url": url, "status": said})
    show(rows, ("service", "url", "status"), output)
    if waiting := [row["service"] for row in rows if row["status"] != "ready"]:
        raise Unavailable(f"not ready: {', '.join(waiting)}")


@users.command("list")
def list_users(limit: Limit = 1_000, profile: Profile = NO_PROFILE, output: Form = Output.TABLE) -> None:
    """List the users."""
    with connect(profile) as platform:
        columns = ("id", "username", "display_name", "roles", "disabled", "created_at")
        show(platform.items("auth", "/users", limit), columns, output)


@users.command("add")
def add_user(
    username: Annotated[str, typer.Argument()],
    display_name: Annotated[str, typer.Option("--name", help="as others read it")],
    role: Annotated[list[str], typer.Option(help="may be repeated")],
    profile: Profile = NO_PROFILE,
) -> None:
    """Add a user with a password that the user has to change; powerful roles need a second administrator."""
    with connect(profile) as platform:
        chosen = typer.prompt("the user's first password", hide_input=True, confirmation_prompt=True)
        body = {"username": username, "display_name": display_name, "roles": role, "password": chosen}
        answer = platform.call("auth", "POST", "/users", json=body)
    # 202: a proposal, for roles that two people must grant.
    typer.echo("waits for a second administrator" if answer.status_code == 202 else f"{username} is added")
