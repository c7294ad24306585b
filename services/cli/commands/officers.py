"""The queue of an officer: read it, claim, decide, book."""

from typing import Annotated, Any

import typer

from services.cli.client.connection import Connection
from services.cli.client.errors import Refused
from services.cli.client.output import Output, show, show_one
from services.cli.commands.options import NO_PROFILE, ApplicationId, Form, Limit, Profile, connect, given

QUEUE = ("id", "stage", "product_code", "amount", "currency", "score", "borrower", "age_hours", "claimed_by")
Revision = Annotated[
    int | None,
    typer.Option(help="the revision that you have read; without it the record is shown and you are asked"),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="do not ask")]


def queue(
    *,
    stage: Annotated[str | None, typer.Option(help="one of your stages")] = None,
    product: Annotated[str | None, typer.Option(help="of this product")] = None,
    amount_min: Annotated[str | None, typer.Option(help="of at least this amount")] = None,
    amount_max: Annotated[str | None, typer.Option(help="of at most this amount")] = None,
    older_than: Annotated[float | None, typer.Option(help="waiting for longer than these hours")] = None,
    claimed: Annotated[str | None, typer.Option(help="claimed by: mine, others, nobody")] = None,
    sort: Annotated[str, typer.Option(help="age, amount or score; `-` before it: descending")] = "-age",
    summary: Annotated[bool, typer.Option("--summary", help="counts and ages by stage and band")] = False,
    limit: Limit = 50,
    profile: Profile = NO_PROFILE,
    output: Form = Output.TABLE,
) -> None:
    """List what waits for you, the oldest first."""
    asked = given(
        stage=stage,
        product=product,
        amount_min=amount_min,
        amount_max=amount_max,
        older_than_hours=older_than,
        claimed=claimed,
    )
    with connect(profile) as platform:
        if summary:
            columns = ("stage", "band", "currency", "count", "claimed", "oldest_hours", "average_hours")
            waiting = platform.json("approval", "GET", "/queue/summary", params=asked)["waiting"]
            show(waiting, columns, output)
        else:
            show(platform.items("approval", "/queue", limit, **asked, sort=sort), QUEUE, output)


def claim(
    application_id: ApplicationId,
    take_over: Annotated[
        str | None, typer.Option(help="take it from the officer who has claimed it, for this reason")
    ] = None,
    release: Annotated[bool, typer.Option("--release", help="give your claim back")] = False,
    profile: Profile = NO_PROFILE,
    output: Form = Output.TABLE,
) -> None:
    """Claim an application, so that no other officer starts on it."""
    path = f"/applications/{application_id}/claim"
    with connect(profile) as platform:
        if release:
            platform.call("approval", "DELETE", path)
            typer.echo("released")
            return
        body = {"json": {"reason": take_over}} if take_over else {}
        show_one(platform.json("approval", "PUT", path, **body), output)


def decide(
    application_id: ApplicationId,
    outcome: Annotated[str, typer.Argument(help="approve, reject or return")],
    *,
    reason: Annotated[str | None, typer.Option(help="code of the reason, see `creditmesh reasons`")] = None,
    comment: Annotated[str | None, typer.Option(help="what others should know")] = None,
    revision: Revision = None,
    yes: Yes = False,
    profile: Profile = NO_PROFILE,
    output: Form = Output.TABLE,
) -> None:
    """Decide on an application for the stage that is due."""
    body = {"outcome": outcome, **given(reason_code=reason, comment=comment)}
    with connect(profile) as platform:
        expected = revision or _read(platform, application_id, f"{outcome} it?", yes=yes)
        record = platform.json(
            "approval",
            "POST",
            f"/applications/{application_id}/decisions",
            json=body,
            headers={"If-Match": f'"{expected}"'},
        )
    wanted = ("id", "state", "revision", "due_stage", "decided_at")
    show_one(record if output is not Output.TABLE else {name: record[name] for name in wanted}, output)


def book(
    application_id: ApplicationId,
    *,
    value_date: Annotated[str | None, typer.Option(help="day of the disbursement, 2026-01-31")] = None,
    revision: Revision = None,
    yes: Yes = False,
    profile: Profile = NO_PROFILE,
    output: Form = Output.TABLE,
) -> None:
    """Book an approved application as a loan."""
    with connect(profile) as platform:
        expected = revision or _read(platform, application_id, "book it?", yes=yes)
        loan = platform.json(
            "approval",
            "POST",
            f"/applications/{application_id}/booking",
            json=given(value_date=value_date),
            headers={"If-Match": f'"{expected}"'},
        )
    wanted = ("id", "principal", "currency", "interest_rate", "term_months")
    shown = {name: loan[name] for name in wanted if name in loan} if output is Output.TABLE else loan
    show_one(shown, output)


def reasons(profile: Profile = NO_PROFILE, output: Form = Output.TABLE) -> None:
    """List the codes of reasons."""
    with connect(profile) as platform:
        found: list[dict[str, Any]] = platform.json("approval", "GET", "/reason-codes")
    show(found, tuple(found[0]) if found else (), output)


def _read(platform: Connection, application_id: str, question: str, *, yes: bool) -> int:
    """Show an application and ask; the revision that was read."""
    record = platform.json("approval", "GET", f"/applications/{application_id}")
    if not yes:
        current = record["versions"][-1] if record["versions"] else {}
        names = [one["full_name"] or "-" for one in record["parties"]]
        what = {
            name: current.get(name) for name in ("product_code", "amount", "currency", "purpose", "score")
        }
        show_one({"state": record["state"], "parties": names, **what}, Output.TABLE)
        if not typer.confirm(question):
            raise Refused(0, {"title": "Nothing was done."})
    revision: int = record["revision"]
    return revision
