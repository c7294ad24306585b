"""Files of the sample applications, with and without faults, and an intake that imports them."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import random
import uuid
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from services.lake.samples.german_credit import SampleApplication
from services.lake.samples.german_credit import read as read_samples
from services.lake.samples.people import person
from services.lake.samples.rows import product_of
from tests.conftest import Database
from tests.integration.lending import Lending, User

NDJSON, CSV = "application/x-ndjson", "text/csv"


@cache
def samples() -> tuple[SampleApplication, ...]:
    return tuple(read_samples())


def application_row(
    number: int, *, party: Mapping[str, Any] | None = None, application: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The row of a sample application, from 1, with some members changed."""
    sample = samples()[number - 1]
    found = person(random.Random(number), number, sample.age_years, date.today())  # noqa: DTZ011 - a sample
    return {
        "external_ref": f"S-{number}",
        "party": {
            "kind": "person",
            "full_name": found.full_name,
            "birth_date": found.birth_date.isoformat(),
            "national_id": f"IMPORT-{number:06d}",
            "email": found.email,
            "phone": found.phone,
            **(party or {}),
        },
        "application": {
            "product_code": product_of(sample.purpose),
            "amount": f"{sample.amount:.2f}",
            "currency": "DEM",
            "term_months": sample.term_months,
            "purpose": sample.purpose,
            "channel": "partner",
            "profile": dict(sample.profile),
            **(application or {}),
        },
    }


def _with(path: str, changed: Any) -> Any:
    """A change of the member at `path` of a row; None removes it."""

    def change(row: dict[str, Any]) -> None:
        *above, name = path.split("/")
        place = row
        for one in above:
            place = place[one]
        if changed is None:
            del place[name]
        else:
            place[name] = changed

    return change


FAULTS: Sequence[tuple[Any, str]] = (
    (_with("party/kind", "robot"), "/party/kind"),
    (_with("party/full_name", "12345"), "/party/full_name"),
    (_with("party/full_name", None), "/party/full_name"),
    (_with("party/birth_date", "2999-01-01"), "/party/birth_date"),
    # What only the lake's rules know.
    (_with("party/birth_date", None), "/party/birth_date"),
    (_with("party/birth_date", "2020-01-31"), "/party/birth_date"),
    (_with("party/kind", "organisation"), "/party/birth_date"),
    (_with("party/national_id", "IMPORT-000001"), "/party/national_id"),
    (_with("party/email", "no address"), "/party/email"),
    (_with("party/phone", "call me"), "/party/phone"),
    (_with("party", None), "/party"),
    (_with("application/product_code", "YACHT"), "/application/product_code"),
    (_with("application/amount", "0"), "/application/amount"),
    (_with("application/amount", "1.001"), "/application/amount"),
    (_with("application/amount", "999999999"), "/application/amount"),
    (_with("application/currency", "EUR"), "/application/currency"),
    (_with("application/term_months", "12"), "/application/term_months"),
    (_with("application/term_months", 599), "/application/term_months"),
    (_with("application/purpose", ""), "/application/purpose"),
    (_with("application/channel", "pigeon"), "/application/channel"),
    (_with("application/profile/savings", "lots"), "/application/profile/savings"),
    (_with("application/profile/job", None), "/application/profile/job"),
    (_with("application/state", "BOOKED"), "/application"),
    (_with("created_by", "00000000-0000-7000-8000-000000000001"), ""),
    (_with("external_ref", "S 1"), "/external_ref"),
    # The number of another row.
    (_with("external_ref", "S-1"), "/external_ref"),
)
WRONG_VALUES = (
    *(
        "robot",
        "12345",
        "2999-01-01",
        "2020-01-31",
        "IMPORT-000001",
        "no address",
        "call me",
        "YACHT",
        "1.001",
    ),
    *("999999999", "599", "pigeon", "lots", "BOOKED", "created_by", "S 1", "S-1", "not JSON", "NaN"),
)
"""What FAULTS and BROKEN put into rows, and no report may repeat."""
BROKEN: Sequence[bytes] = (
    b"{",
    b"null",
    b'{"party": "\xff\xfe"}',
    b'{"party": {}, "party": {}}',
    b"[" * 40 + b"]" * 40,
    b'{"party": "' + b"x" * (64 << 10) + b'"}',
    b"not JSON at all",
    b'{"application": NaN}',
    b'"text"',
    b"\xef\xbb\xbf{}",
    b"{'party': 1}",
)
"""Lines that are no rows; with those of `FAULTS` they are 37."""


@dataclass(frozen=True)
class SampleFile:
    """A file, and where it has faults."""

    content: bytes
    rows: int
    faults: Mapping[int, str]
    """A pointer by line."""

    @property
    def good(self) -> int:
        return self.rows - len(self.faults)


def as_ndjson(rows: Sequence[dict[str, Any] | bytes]) -> bytes:
    lines = [one if isinstance(one, bytes) else json.dumps(one, ensure_ascii=False).encode() for one in rows]
    return b"\n".join(lines) + b"\n"


def as_csv(rows: Sequence[dict[str, Any]]) -> bytes:
    """Rows as a spreadsheet writes them: CRLF, and quotes where they are needed."""
    cells = [dict(_cells(row, "")) for row in rows]
    header = list(dict.fromkeys(name for row in cells for name in row))
    made = io.StringIO()
    writer = csv.DictWriter(made, header, restval="", lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(cells)
    return made.getvalue().encode()


def _cells(value: Mapping[str, Any], path: str) -> Any:
    for name, one in value.items():
        if isinstance(one, Mapping):
            yield from _cells(one, f"{path}{name}.")
        else:
            yield f"{path}{name}", str(one).lower() if isinstance(one, bool) else one


def sample_file(rows: int = 1_000, faults: int = 37) -> SampleFile:
    """The first sample applications, with their faults spread evenly; the first has none."""
    planned = [*FAULTS, *BROKEN]
    assert len(planned) == 37
    lines: list[dict[str, Any] | bytes] = [application_row(number) for number in range(1, rows + 1)]
    found: dict[int, str] = {}
    for index, planned_fault in enumerate(planned[:faults]):
        line = 2 + index * (rows - 2) // faults
        if isinstance(planned_fault, bytes):
            lines[line - 1], found[line] = planned_fault, ""
        else:
            change, found[line] = planned_fault
            row = deepcopy(application_row(line))
            change(row)
            lines[line - 1] = row
    return SampleFile(as_ndjson(lines), rows, found)


async def send(
    lending: Lending,
    sender: User,
    content: Any,
    media_type: str = NDJSON,
    *,
    kind: str = "applications",
    key: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> httpx.Response:
    """POST a file."""
    return await lending.intake.post(
        "/imports",
        params={"kind": kind},
        content=content,
        headers={
            **sender.headers,
            "Content-Type": media_type,
            "Idempotency-Key": key or str(uuid.uuid4()),
            **(headers or {}),
        },
    )


async def ended(lending: Lending, sender: User, path: str, seconds: float = 600) -> dict[str, Any]:
    """The view of an import once it has ended."""
    async with asyncio.timeout(seconds):
        while True:
            answer = await lending.intake.get(path, headers=sender.headers)
            assert answer.status_code == 200, answer.text
            view: dict[str, Any] = answer.json()
            if view["ended_at"] is not None:
                return view
            await asyncio.sleep(0.5)


async def rows_of_import(
    lending: Lending, sender: User, path: str, status: str = "rejected"
) -> list[dict[str, Any]]:
    """What GET /imports/{id}/rows says."""
    answer = await lending.intake.get(f"{path}/rows", params={"status": status}, headers=sender.headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith(NDJSON)
    return [json.loads(line) for line in answer.text.splitlines()]


def files(folder: Path) -> list[Path]:
    """The files that are below a folder."""
    return [path for path in folder.rglob("*") if path.is_file()]


async def made_in(lake: Database) -> dict[str, int]:
    """How many rows there are of what imports make."""
    tables = ("credit.party", "credit.application", "credit.application_version", "intake.imported_row")
    async with lake.connect() as connection:
        return {name: await connection.fetchval(f"SELECT count(*) FROM {name}") for name in tables}


def assert_named(rejected: Sequence[Mapping[str, Any]], expected: Mapping[int, str]) -> None:
    """Exactly the lines with faults are named, each with the pointer that is wrong."""
    by_line: dict[int, set[str]] = {}
    for one in rejected:
        by_line.setdefault(one["line"], set()).add(one["pointer"])
        assert one["detail"]
    assert by_line.keys() == expected.keys()
    assert {line: pointer for line, pointer in expected.items() if pointer not in by_line[line]} == {}
