"""creditmesh on the command line."""

import typer

from services.cli import import_history

cli = typer.Typer(name="creditmesh", no_args_is_help=True, help=__doc__, pretty_exceptions_enable=False)
imports = typer.Typer(no_args_is_help=True, help="Bring data into the platform.")
cli.add_typer(imports, name="import")
imports.command(name="history")(import_history.history)


@cli.callback()
def root() -> None:
    """Run one command of the platform.

    Status: 0 done, 1 something was refused, 2 wrong usage, 3 the platform does not answer.
    """


if __name__ == "__main__":
    cli()
