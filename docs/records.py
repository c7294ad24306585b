# ruff: noqa: INP001 - a module of docs/generate.py and of the site's hooks
"""The decision records: their form, and the index by area."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path

FOLDER = Path(__file__).parent / "decisions"
AREAS = (
    "Platform",
    "Change capture",
    "Replica",
    "APIs",
    "Security",
    "Lending",
    "Loader",
    "Warehouse",
    "Telemetry",
    "Testing",
)
"""What a decision may be about, in the order of the index."""
SECTIONS = ["Context", "Alternatives", "Decision", "Consequences"]
HEAD = re.compile(
    r"# (?P<number>\d+)\. (?P<title>[^\n]+)\n\n"
    r"(?:Accepted|Superseded by \[(?P<successor>\d+)\]\((?P<link>[^)]+)\)) · "
    r"(?P<area>[^·\n]+) · (?P<date>\d{4}-\d{2}-\d{2})\n"
)


@dataclass(frozen=True, slots=True)
class Record:
    """One decision; `successor` is the number of the record that replaces it, if any."""

    number: int
    title: str
    area: str
    date: str
    successor: int | None
    file: str


def read_record(path: Path) -> Record:
    """Read the head of a record.

    Raises:
        ValueError: the record has not the form that docs/decisions/README.md shows; the message says what is wrong.
    """
    text = path.read_text(encoding="utf-8")
    head = HEAD.match(text)
    if head is None:
        raise ValueError(f"{path.name}: begin with `# N. Title`, then `Accepted · Area · YYYY-MM-DD`")
    if head["area"] not in AREAS:
        raise ValueError(f"{path.name}: {head['area']!r} is no area; areas are {', '.join(AREAS)}")
    if int(path.name[:4]) != int(head["number"]):
        raise ValueError(f"{path.name}: the number in the title is {head['number']}")
    if re.findall(r"^## (.+)$", text, re.MULTILINE) != SECTIONS:
        raise ValueError(f"{path.name}: the sections are {', '.join(SECTIONS)}, in this order")
    if head["link"] is not None and int(head["link"][:4]) != int(head["successor"]):
        raise ValueError(f"{path.name}: the link to decision {head['successor']} leads to {head['link']}")
    successor = int(head["successor"]) if head["successor"] else None
    return Record(int(head["number"]), head["title"], head["area"], head["date"], successor, path.name)


def read_records(folder: Path = FOLDER) -> list[Record]:
    """Read all records of a folder, by area and number.

    Raises:
        ValueError: one has not the form, has the number of another, or is superseded by one that is not current.
    """
    records = [read_record(path) for path in sorted(folder.glob("[0-9]*.md"))]
    for one, other in pairwise(sorted(records, key=lambda record: record.number)):
        if one.number == other.number:
            raise ValueError(f"{other.file}: {one.file} has this number, too; take the next free one")
    current = {record.number for record in records if record.successor is None}
    for record in records:
        if record.successor is not None and record.successor not in current:
            raise ValueError(f"{record.file}: decision {record.successor} is not a current record")
    return sorted(records, key=lambda record: (AREAS.index(record.area), record.number))


def by_area(records: list[Record]) -> Iterator[tuple[str, list[Record]]]:
    """Yield each area with its records."""
    for area, found in groupby(records, key=lambda record: record.area):
        yield area, list(found)


def index() -> str:
    """The index: the current records by area, then those that were superseded."""
    records = read_records()
    lines = []
    for area, found in by_area([record for record in records if record.successor is None]):
        lines += [f"## {area}", "", *(_line(record) for record in found), ""]
    titles = {record.number: record for record in records}
    lines += ["## Superseded", ""]
    lines += (
        f"{_line(record)} → [{record.successor}]({titles[record.successor].file})"
        for record in sorted(records, key=lambda record: record.number)
        if record.successor is not None
    )
    return "\n".join(lines)


def _line(record: Record) -> str:
    return f"- [{record.number}. {record.title}]({record.file})"
