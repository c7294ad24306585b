"""What a target demands of its rows, looked at while they load."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

import orjson

from services.lake.journal.lines import unescaped
from services.loader.flows.model import Check, Target

_IMAGE = 4
_ISO = {"date": date.fromisoformat, "timestamp": datetime.fromisoformat}


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of one check of one load: of how many rows how many do not fit; never a value."""

    target: str
    column: str
    rule: str
    severity: str
    checked: int
    failed: int


class Checks:
    """The checks of one target with `when: load`. A row that does not fit lands all the same, and is counted."""

    def __init__(self, target: Target) -> None:
        """Take those with `when: load`."""
        self._table = target.table
        self._checks = tuple(check for check in target.checks if check.when == "load")
        self._looked = 0
        self._failed = [0] * len(self._checks)

    def look(self, lines: Sequence[bytes]) -> None:
        """Check rows that are about to be written; those of deletes have no values."""
        if not self._checks:
            return
        for line in lines:
            image = unescaped(line.split(b"\t", _IMAGE + 1)[_IMAGE])
            if image is None:
                continue
            self._looked += 1
            row: dict[str, Any] = orjson.loads(image)
            for place, check in enumerate(self._checks):
                self._failed[place] += broken(check, row.get(check.column)) is not None

    def take(self) -> list[Finding]:
        """Give the findings since the last call, each check once, and start again with none."""
        found = [
            Finding(self._table, check.column, _rule(check), check.severity, self._looked, failed)
            for check, failed in zip(self._checks, self._failed, strict=True)
        ]
        self._looked, self._failed = 0, [0] * len(self._checks)
        return found


def _rule(check: Check) -> str:
    """The check as `dl.quality_result` names it."""
    told = check.model_dump(include={"not_null", "type", "min", "max", "max_length"}, exclude_defaults=True)
    parts = [name if value is True else f"{name} {value}" for name, value in told.items()]
    return ", ".join(["load", *parts, *(["one_of"] if check.one_of is not None else [])])[:128]


def broken(check: Check, value: Any) -> str | None:
    """Say why a value of an image does not fit a check, without the value; None when it fits."""
    if value is None:
        return "is NULL" if check.not_null else None
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if check.type is not None and not _FITS[check.type](text):
        return f"is no {check.type}"
    if check.one_of is not None and text not in check.one_of:
        return f"is none of {', '.join(check.one_of)}"
    if check.max_length is not None and len(text) > check.max_length:
        return f"has {len(text)} characters, more than {check.max_length}"
    if check.min is None and check.max is None:
        return None
    number = _number(text)
    if number is None:
        return "is no number"
    if check.min is not None and number < check.min:
        return f"is below {check.min:f}"
    if check.max is not None and number > check.max:
        return f"is above {check.max:f}"
    return None


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _iso(kind: str) -> Callable[[str], bool]:
    def fits(text: str) -> bool:
        try:
            _ISO[kind](text)
        except ValueError:
            return False
        return True

    return fits


def _uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


_FITS: dict[str, Callable[[str], bool]] = {
    "text": lambda _: True,
    "integer": lambda text: re.fullmatch(r"[+-]?\d+", text, re.ASCII) is not None,
    "numeric": lambda text: _number(text) is not None,
    "boolean": lambda text: text in {"true", "false"},
    "date": _iso("date"),
    "timestamp": _iso("timestamp"),
    "uuid": _uuid,
}
