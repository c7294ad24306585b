"""What commands print: a table for people, JSON, NDJSON or CSV for programs."""

import csv
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.lake.domain.cells import defused

errors = Console(stderr=True)


class Output(StrEnum):
    """How a command prints what it found."""

    TABLE = "table"
    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"


def show(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], output: Output) -> None:
    """Print rows.

    Args:
        rows: as the API gives them.
        columns: the members that a table and CSV have; JSON and NDJSON have all of them.
        output: in which form.
    """
    match output:
        case Output.TABLE:
            table = Table(*(name.replace("_", " ") for name in columns), box=None, header_style="bold")
            for row in rows:
                # Never as markup: brackets in a name are brackets.
                table.add_row(*(Text(_text(row.get(name))) for name in columns))
            console = Console()
            # A pipe has no width: a line that is cut or wrapped is no use to a program.
            console.print(table, soft_wrap=not console.is_terminal)
        case Output.JSON:
            print(json.dumps(list(rows), indent=2, ensure_ascii=False))
        case Output.NDJSON:
            for row in rows:
                print(json.dumps(row, ensure_ascii=False))
        case Output.CSV:
            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows([_cell(row.get(name)) for name in columns] for row in rows)


def show_one(record: Mapping[str, Any], output: Output) -> None:
    """Print one record: in a table, each of its members on a line."""
    if output is Output.JSON:
        print(json.dumps(record, indent=2, ensure_ascii=False))
    elif output is Output.TABLE:
        members = [{"member": name, "value": value} for name, value in record.items()]
        show(members, ("member", "value"), output)
    else:
        show([record], tuple(record), output)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.1f}"
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ", ".join(value)
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return _local_time(value) if isinstance(value, str) else str(value)


def _local_time(text: str) -> str:
    """An instant in the time of this machine, to the minute; any other text as it is."""
    if len(text) < len("2026-01-01T00:00Z") or text[10:11] != "T":
        return text
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return text
    aware = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    return aware.astimezone().strftime("%Y-%m-%d %H:%M")


def _cell(value: Any) -> Any:
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return defused(value) if isinstance(value, str) else value
