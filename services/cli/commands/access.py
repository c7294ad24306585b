"""Logging in and out, one's own sessions and password, and profiles."""

from typing import Annotated, Any

import typer

from services.cli.client import profiles as stored_profiles
from services.cli.client.errors import OtpRequired, WrongUsage
from services.cli.client.output import Output, show, show_one
from services.cli.commands.options import NO_PROFILE, Commands, Form, Profile, connect

sessions = typer.Typer(cls=Commands, no_args_is_help=True, help="Your sessions: list them, end them.")
profiles = typer.Typer(cls=Commands, no_args_is_help=True, help="The platforms that you work with.")


def login(
    username: Annotated[str | None, typer.Argument(help="asked for when it is not given")] = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="read the password from the first line that comes in")
    ] = False,
    profile: Profile = NO_PROFILE,
) -> None:
    """Log in; the session is kept in the system's keyring, or in a file that only you can read."""
    with connect(profile) as platform:
        name = username or typer.prompt("user name")
        password = (
            typer.get_text_stream("stdin").readline().rstrip("\r\n")
            if password_stdin
            else typer.prompt("password", hide_input=True)
        )
        try:
            answer, place = platform.log_in(name, password)
        except OtpRequired:
            code = typer.prompt("code of your device, or a recovery code", hide_input=True)
            answer, place = platform.log_in(name, password, code)
    typer.echo(f"logged in as {name} ({', '.join(answer['roles']) or 'no role'}); the session is in {place}")
    if answer["password_change_required"]:
        typer.echo("somebody else knows this password; change it first: creditmesh password")


def logout(profile: Profile = NO_PROFILE) -> None:
    """End the session and forget it."""
    with connect(profile) as platform:
        typer.echo("logged out" if platform.log_out() else "nobody was logged in")


def whoami(profile: Profile = NO_PROFILE, output: Form = Output.TABLE) -> None:
    """Show who is logged in."""
    with connect(profile) as platform:
        show_one(platform.json("auth", "GET", "/me"), output)


def password(profile: Profile = NO_PROFILE) -> None:
    """Change your password; your other sessions end."""
    with connect(profile) as platform:
        old = typer.prompt("old password", hide_input=True)
        new = typer.prompt("new password", hide_input=True, confirmation_prompt=True)
        platform.call("auth", "PUT", "/me/password", json={"old_password": old, "new_password": new})
    typer.echo("changed; log in with the new password")


@sessions.command("list")
def list_sessions(profile: Profile = NO_PROFILE, output: Form = Output.TABLE) -> None:
    """List your sessions."""
    with connect(profile) as platform:
        columns = ("id", "current", "started_at", "last_used_at", "ends_at", "network")
        show(platform.items("auth", "/sessions", 1_000), columns, output)


@sessions.command("end")
def end_sessions(
    session: Annotated[str | None, typer.Argument(metavar="ID")] = None,
    every: Annotated[bool, typer.Option("--all", help="end all of them, this one too")] = False,
    profile: Profile = NO_PROFILE,
) -> None:
    """End one of your sessions, or all of them."""
    if every == (session is not None):
        raise WrongUsage("Give the id of a session, or --all.")
    with connect(profile) as platform:
        platform.call("auth", "DELETE", "/sessions" if every else f"/sessions/{session}")
    typer.echo("ended")


@profiles.command("list")
def list_profiles(output: Form = Output.TABLE) -> None:
    """List the profiles."""
    columns = ("profile", *stored_profiles.SERVICES)
    rows: list[dict[str, Any]] = [
        {"profile": name, **{service: one.url(service) for service in stored_profiles.SERVICES}}
        for name, one in stored_profiles.read().items()
    ]
    show(rows, columns, output)


@profiles.command("set")
def set_profile(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    *,
    auth: Annotated[str, typer.Option(help="base URL of auth")],
    intake: Annotated[str, typer.Option(help="base URL of intake")],
    approval: Annotated[str, typer.Option(help="base URL of approval")],
    search: Annotated[str, typer.Option(help="base URL of search")],
    authority: Annotated[
        str | None, typer.Option(help="PEM file of the authority that signs their certificates")
    ] = None,
) -> None:
    """Add a profile, or change it."""
    kept = stored_profiles.Profile(
        auth=auth.rstrip("/"),
        intake=intake.rstrip("/"),
        approval=approval.rstrip("/"),
        search=search.rstrip("/"),
        authority=authority,
    )
    stored_profiles.write(name, kept)
    typer.echo(f"profile {name} is kept; log in with: creditmesh login --profile {name}")


@profiles.command("remove")
def remove_profile(name: Annotated[str, typer.Argument(metavar="NAME")]) -> None:
    """Remove a profile."""
    stored_profiles.write(name, None)
    typer.echo("removed")
