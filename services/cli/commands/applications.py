"""Submitting, finding, exporting and following applications."""

import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import DownloadColumn, Progress, SpinnerColumn, TextColumn, TransferSpeedColumn

from services.cli.client.connection import Connection
from services.cli.client.errors import Refused, Unavailable, WrongUsage
from services.cli.client.output import Output, errors, show, show_one
from services.cli.commands.options import (
    NO_PROFILE,
    ApplicationId,
    Form,
    Limit,
    Profile,
    connect,
    given,
    private_file,
    text_of,
)

FOUND = ("id", "state", "borrower_name", "product_code", "amount", "currency", "score", "submitted_at")
Words = Annotated[list[str] | None, typer.Argument(help="beginnings of names, e-mails, purposes or ids")]
States = Annotated[list[str] | None, typer.Option("--state", help="in this state; may be repeated")]
Product = Annotated[str | None, typer.Option(help="of this product")]
Channel = Annotated[str | None, typer.Option(help="that came by this channel")]
Band = Annotated[str | None, typer.Option(help="of this approval band")]
Least = Annotated[str | None, typer.Option("--amount-min", help="of at least this amount")]
Most = Annotated[str | None, typer.Option("--amount-max", help="of at most this amount")]
Since = Annotated[str | None, typer.Option("--submitted-from", help="submitted since, 2026-01-31T00:00:00Z")]
Until = Annotated[str | None, typer.Option("--submitted-to", help="submitted until")]
Sort = Annotated[str, typer.Option(help="submitted_at, amount, score or age; `-` before it: descending")]


def submit(
    file: Annotated[
        Path, typer.Argument(help="JSON of one application, as POST /applications takes it; - reads it")
    ],
    draft: Annotated[bool, typer.Option("--draft", help="save it, and submit it later")] = False,
    key: Annotated[
        str | None, typer.Option(help="the Idempotency-Key; the same key makes the application once")
    ] = None,
    profile: Profile = NO_PROFILE,
    output: Form = Output.TABLE,
) -> None:
    """Submit an application.

    A participant may have `party`, the details of a new party, in place of `party_id`: it is put on record first, once
    for a key.
    """
    try:
        content = json.loads(text_of(file))
    except ValueError as error:
        raise WrongUsage(f"{file} is no JSON: {error}") from None
    if not isinstance(content, dict):
        raise WrongUsage(f"{file} must be one JSON object.")
    used = key or str(uuid.uuid4())
    with connect(profile) as platform:
        if draft:
            content["submit"] = False
        try:
            for place, participant in enumerate(content.get("parties") or ()):
                if isinstance(participant, dict) and "party" in participant:
                    # Repeated, the same parties: with others the application's key would be refused.
                    own = {"Idempotency-Key": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{used} party {place}"))}
                    party = platform.json(
                        "intake", "POST", "/parties", json=participant.pop("party"), headers=own
                    )
                    participant["party_id"] = party["id"]
                    errors.print(f"party {party['id']} is on record", highlight=False)
            answer = platform.json(
                "intake", "POST", "/applications", json=content, headers={"Idempotency-Key": used}
            )
        except Unavailable as error:
            raise Unavailable(
                f"{error}\nit may have arrived: repeat it with --key {used}, and it is made once"
            ) from None
    wanted = ("id", "state", "version", "amount", "currency", "score", "submitted_at")
    show_one(answer if output is not Output.TABLE else {name: answer[name] for name in wanted}, output)


def search(
    words: Words = None,
    *,
    state: States = None,
    product: Product = None,
    channel: Channel = None,
    band: Band = None,
    amount_min: Least = None,
    amount_max: Most = None,
    submitted_from: Since = None,
    submitted_to: Until = None,
    sort: Sort = "-submitted_at",
    facets: Annotated[
        str | None, typer.Option(help="count what is found by these: state,product,channel,band,month")
    ] = None,
    limit: Limit = 50,
    profile: Profile = NO_PROFILE,
    output: Form = Output.TABLE,
) -> None:
    """Find submitted applications."""
    asked = _filters(
        words, state, product, channel, band, amount_min, amount_max, submitted_from, submitted_to
    )
    with connect(profile) as platform:
        show(platform.items("search", "/applications", limit, _tell, **asked, sort=sort), FOUND, output)
        if facets:
            _show_facets(platform, {**asked, "facets": facets, "limit": 1})


def application(
    application_id: ApplicationId,
    lake: Annotated[bool, typer.Option("--lake", help="from the lake itself, not from the replica")] = False,
    profile: Profile = NO_PROFILE,
    output: Form = Output.TABLE,
) -> None:
    """Show an application with all its parts."""
    with connect(profile) as platform:
        path = f"{'/lake' if lake else ''}/applications/{application_id}"
        record = platform.json("search", "GET", path)
    if output is not Output.TABLE:
        show_one(record, output)
        return
    show_one(record["application"], output)
    for part, columns in (
        ("parties", ("role", "full_name", "birth_date", "national_id", "email", "phone")),
        ("versions", ("version", "product_code", "amount", "currency", "term_months", "purpose", "score")),
        ("decisions", ("version", "stage", "outcome", "reason_code", "comment", "decided_at")),
        ("events", ("from_state", "to_state", "role", "reason_code", "occurred_at")),
    ):
        typer.echo(f"\n{part}")
        show(record[part], columns, output)


def audit(application_id: ApplicationId, profile: Profile = NO_PROFILE, output: Form = Output.TABLE) -> None:
    """Show who changed what of an application, and when."""
    with connect(profile) as platform:
        answer = platform.json("search", "GET", f"/applications/{application_id}/audit")
    changes: list[dict[str, Any]] = answer["items"]
    for gone in answer["purged"]:
        errors.print(f"changes through {gone['through']} were purged on {gone['purged_at']}", highlight=False)
    if output is not Output.TABLE:
        show(changes, tuple(changes[0]) if changes else (), output)
        return
    rows = [
        {**change, "column": one["column"], "before": one["before"], "after": one["after"]}
        for change in changes
        for one in change["changes"]
    ]
    show(rows, ("captured_at", "actor", "table", "operation", "column", "before", "after"), output)


def export(
    file: Annotated[Path, typer.Argument(help="the file to write; its end says the format: .csv or .ndjson")],
    *,
    words: Annotated[list[str] | None, typer.Option("--word", help="as of `search`; may be repeated")] = None,
    state: States = None,
    product: Product = None,
    channel: Channel = None,
    band: Band = None,
    amount_min: Least = None,
    amount_max: Most = None,
    submitted_from: Since = None,
    submitted_to: Until = None,
    sort: Sort = "-submitted_at",
    reason: Annotated[
        str | None, typer.Option(help="why personal data is needed in clear; needs parties:export")
    ] = None,
    profile: Profile = NO_PROFILE,
) -> None:
    """Write all that a search finds to a file; every export is recorded."""
    form = file.suffix.removeprefix(".")
    if form not in {"csv", "ndjson"}:
        raise WrongUsage(f"{file} must end with .csv or .ndjson.")
    asked = _filters(
        words, state, product, channel, band, amount_min, amount_max, submitted_from, submitted_to
    )
    partial = file.with_name(f"{file.name}.part")
    columns = (SpinnerColumn(), TextColumn(file.name), DownloadColumn(), TransferSpeedColumn())
    with connect(profile) as platform, Progress(*columns, console=errors) as bars:
        bar = bars.add_task("export", total=None)
        parameters = {**asked, "sort": sort, **given(reason=reason)}
        last = b""
        with (
            platform.streamed("search", f"/applications.{form}", params=parameters) as answer,
            private_file(partial) as target,
        ):
            for chunk in answer.iter_bytes():
                target.write(chunk)
                last = (last + chunk)[-200:]
                bars.advance(bar, len(chunk))
    rows, complete = _last_line(form, last)
    if rows is None:
        raise Unavailable(f"the download was cut; what came is in {partial}. Run it again.")
    partial.replace(file)
    if not complete:
        raise Refused(200, {"title": f"{rows:,} rows are in {file}, and there are more: narrow the filters."})
    typer.echo(f"{rows:,} rows are in {file}")


def _filters(  # noqa: PLR0917 - the filters of a search, in their order
    words: list[str] | None,
    state: list[str] | None,
    product: str | None,
    channel: str | None,
    band: str | None,
    amount_min: str | None,
    amount_max: str | None,
    submitted_from: str | None,
    submitted_to: str | None,
) -> dict[str, Any]:
    return given(
        q=" ".join(words or ()),
        state=[one.upper() for one in state or ()],
        product=product,
        channel=channel,
        band=band,
        amount_min=amount_min,
        amount_max=amount_max,
        submitted_from=submitted_from,
        submitted_to=submitted_to,
    )


def _tell(page: Mapping[str, Any]) -> None:
    for one in page["corrected"] or ():
        meant = ", ".join(one["meant"])
        errors.print(f"{one['word']}: also found {meant}", markup=False, highlight=False)


def _show_facets(platform: Connection, parameters: dict[str, Any]) -> None:
    facets = platform.json("search", "GET", "/applications", params=parameters)["facets"]
    about = "about " if facets["approximate"] else ""
    errors.print(f"\n{about}{facets['total']:,} found", highlight=False)
    for facet, values in facets["counts"].items():
        counts = ", ".join(
            f"{one['value'] if one['value'] is not None else '-'} {one['count']:,}" for one in values
        )
        errors.print(f"{facet}: {counts}", markup=False, highlight=False, soft_wrap=True)


def _last_line(form: str, end: bytes) -> tuple[int | None, bool]:
    """The number of rows that the last line of an export says, None without one, and whether these are all."""
    line = end.decode(errors="replace").strip().splitlines()[-1:] or [""]
    if form == "csv":
        words = line[0].split(" ")
        found = words[:2] == ["#", "rows"] and len(words) > 3
        return (int(words[2]), words[3] == "complete") if found and words[2].isdigit() else (None, False)
    try:
        said = json.loads(line[0])
        return int(said["rows"]), bool(said["complete"])
    except (ValueError, KeyError, TypeError):
        return None, False
