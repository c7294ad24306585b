"""The refused rows of an import with their reasons, but without values of the rows."""

import csv
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

FILE = "refused.csv"


class Refusal(NamedTuple):
    """One reason against one row; `column` is empty where the row as a whole is refused."""

    entity: str
    line: int
    column: str
    reason: str


@dataclass
class Report:
    """Counts rows, and keeps every reason."""

    read: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    added: Counter[str] = field(default_factory=Counter)
    there: Counter[str] = field(default_factory=Counter)
    """Rows that the lake has already."""
    unknown: Counter[str] = field(default_factory=Counter)
    """Counts of unknown values, by kind; the KPIs that need them leave these rows out."""
    refusals: list[Refusal] = field(default_factory=list)

    def refuse(self, entity: str, line: int, *reasons: tuple[str, str]) -> None:
        """Count a row as refused, with (column, reason) for each fault."""
        self.refused[entity] += 1
        self.refusals += [Refusal(entity, line, column, reason) for column, reason in reasons]

    def write(self, folder: Path) -> Path:
        """Write every reason into `refused.csv` of a folder; gives its path."""
        path = folder / FILE
        with path.open("w", encoding="utf-8", newline="") as file:
            lines = csv.writer(file, lineterminator="\n")
            lines.writerow(Refusal._fields)
            lines.writerows(sorted(self.refusals))
        return path
