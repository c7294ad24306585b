"""Rows that break a rule: for each table of `ods` the worst of each kind, made from a row that is well."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from services.lake.tables import CAPTURED
from services.loader.flows.files import FLOWS, ROOT, read_flow
from services.loader.flows.model import JournalFlow, Target
from services.loader.quality.rules import rules_of

POSITION, OPERATION, ROW_KEY, IMAGE = 0, 2, 3, 4
"""Places in a change's columns."""
SECRET = "Q31337"
"""Stands in every value that is a text, and must be seen nowhere."""


def lake_flow() -> JournalFlow:
    flow = read_flow(FLOWS / "lake.yaml")
    assert isinstance(flow, JournalFlow)
    return flow


TARGETS: dict[str, Target] = {target.table.removeprefix("credit_"): target for target in lake_flow().targets}
"""By the name of the table without its schema."""
LAKE = {table.name: table for table in CAPTURED}

# By the type of a column what it cannot hold. Texts begin with SECRET, so that a leak is found.
OF_TYPE: dict[str, tuple[str, ...]] = {
    "integer": ("1.5", "99999999999", f"{SECRET}", ""),
    "bigint": ("9" * 30, f"{SECRET}"),
    "money": ("0.00001", "1000000000000000", "1e30", "NaN", "12,5", ""),
    "rate": ("0.1234567", "1000", "Infinity", f"{SECRET}"),
    "date": ("2026-13-45", "2026-02-30", "0201-05-03", "9999-12-31", "1971-03-04T05:06:07", f"{SECRET}", ""),
    "timestamp": (
        "2026-13-45T00:00:00",
        "2026-01-01T00:00:00+07:00",
        "2026-01-01T00:00:00.1234567",
        "0001-01-01T00:00:00",
    ),
    "flag": ("perhaps", "2", ""),
    "json": ("{", f"{SECRET}", "[" * 50_000),
}


@dataclass(frozen=True)
class Misfit:
    """A row that is to be set aside, and by which column."""

    column: str
    row_key: str
    image: str | None


def types_of(table: str) -> dict[str, str]:
    """What the model of a table says its columns are."""
    text = (ROOT / "dbt/models/ods" / f"credit_{table}.sql").read_text(encoding="utf-8")
    return dict(re.findall(r"'(\w+)': '([\w()]+)'", text))


def misfits(table: str, row_key: str, image: dict[str, Any]) -> Iterator[Misfit]:
    """Every way to spoil one row of a table."""
    target, types = TARGETS[table], types_of(table)
    rules = rules_of(target)
    assert types.keys() == set(target.columns)
    for column, type_ in types.items():
        kind, _, size = type_.rstrip(")").partition("(")
        values: list[str | None] = list(OF_TYPE.get(kind, ()))
        if kind in {"code", "text", "hex"} and size:
            values.append(SECRET + "x" * int(size))
        if kind == "uuid":
            values += [SECRET, SECRET + "0" * 36]
        if column in rules["required"]:
            values.append(None)
            if kind in {"code", "text", "hex", "json"}:
                values.append("")
        for check in rules["checks"]:
            if check["column"] == column:
                values += {
                    "one_of": [SECRET[:3]],
                    "min": ["-1"],
                    "max": ["601" if kind == "integer" else "10.000001"],
                }[check["kind"]]
        for value in values:
            key = json.loads(row_key)
            if column in target.keys:
                key[target.keys.index(column)] = value
            yield Misfit(column, json.dumps(key), json.dumps(image | {column: value}))
    text = json.dumps(image)
    for broken in (
        text[:-1],
        "",
        f'["{SECRET}"]',
        f'"{SECRET}"',
        "null",
        text[:-1] + f', "x": {SECRET}}}',
        # Half of a pair of UTF-16, and a NUL: JSON by its grammar, and no text.
        text[:-1] + ', "' + target.columns[-1] + '": "\\ud800"}',
        text[:-1] + ', "' + target.columns[-1] + '": "\\u0000"}',
        None,
    ):
        yield Misfit("image", row_key, broken)
    for broken in ("", "{", "{}", f'"{SECRET}"', f'["{SECRET}'):
        yield Misfit("row_key", broken, text)
