"""creditmesh on the command line."""

import typer

from services.cli.commands import (
    access,
    applications,
    documents,
    history,
    imports,
    officers,
    parties,
    platform,
)
from services.cli.commands.options import Commands

LENDING, ACCESS, RUNNING = "Applications", "You and your sessions", "The platform"

cli = typer.Typer(
    name="creditmesh", cls=Commands, no_args_is_help=True, help=__doc__, pretty_exceptions_enable=False
)
for command, panel in (
    (applications.submit, LENDING),
    (applications.search, LENDING),
    (applications.application, LENDING),
    (applications.audit, LENDING),
    (applications.export, LENDING),
    (officers.queue, LENDING),
    (officers.claim, LENDING),
    (officers.decide, LENDING),
    (officers.book, LENDING),
    (officers.reasons, LENDING),
    (access.login, ACCESS),
    (access.logout, ACCESS),
    (access.whoami, ACCESS),
    (access.password, ACCESS),
    (platform.status, RUNNING),
):
    cli.command(rich_help_panel=panel)(command)
cli.add_typer(parties.parties, name="parties", rich_help_panel=LENDING)
cli.add_typer(documents.documents, name="documents", rich_help_panel=LENDING)
cli.add_typer(access.sessions, name="sessions", rich_help_panel=ACCESS)
cli.add_typer(access.profiles, name="profiles", rich_help_panel=ACCESS)
cli.add_typer(platform.users, name="users", rich_help_panel=RUNNING)
cli.add_typer(imports.imports, name="import", rich_help_panel=LENDING)
imports.imports.command(name="history")(history.history)


@cli.callback()
def root() -> None:
    """Run one command of the platform.

    Status: 0 done, 1 something was refused, 2 wrong usage, 3 the platform does not answer.
    """


if __name__ == "__main__":
    cli(prog_name="creditmesh")
