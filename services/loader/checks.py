"""What a target demands of its rows before they are loaded."""

import re
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

import orjson

from services.chassis.dialects.landing import unescaped
from services.loader.errors import CheckFailed
from services.loader.flows import Check, Target

_KEY, _IMAGE = 3, 4
_ISO = {"date": date.fromisoformat, "timestamp": datetime.fromisoformat}


class Checks:
    """The checks of one target that refuse a batch."""

    def __init__(self, flow: str, target: Target) -> None:
        """Take those with `when: load`."""
        self._where = f"flow {flow}: dl.{target.table}"
        self._checks = tuple(check for check in target.checks if check.when == "load")

    def look(self, lines: Sequence[bytes]) -> None:
        """Check rows that are about to be written; those of deletes have no values.

        Raises:
            CheckFailed: a value does not fit; the message names row and column, and never the value.
        """
        if not self._checks:
            return
        for line in lines:
            fields = line.split(b"\t", _IMAGE + 1)
            image = unescaped(fields[_IMAGE])
            if image is None:
                continue
            row: dict[str, Any] = orjson.loads(image)
            for check in self._checks:
                if fault := _fault(check, row.get(check.column)):
                    raise CheckFailed(
                        f"{self._where}, row {unescaped(fields[_KEY])}: {check.column} {fault}. "
                        "Nothing of this window was loaded: put the source right, or the checks of the flow file"
                    )


def _fault(check: Check, value: Any) -> str | None:
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
