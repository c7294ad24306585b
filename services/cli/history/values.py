"""The texts of a history's files as values: strictly, and with reasons that never repeat what was read."""

import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

Reader = Callable[[Any], Any]
"""Makes a value of what a file holds: a text, or what JSON and Parquet know: a number, true or false, a document.

Raises:
    Unreadable: with a reason for people.
"""

_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)", re.ASCII)
_NUMBER = re.compile(r"-?\d{1,20}(\.\d{1,12})?", re.ASCII)
_WHOLE = re.compile(r"-?\d{1,18}", re.ASCII)
_REFERENCE = re.compile(r"[!-~]([ -~]*[!-~])?", re.ASCII)
_EARLIEST = date(1900, 1, 1)


class Unreadable(ValueError):
    """What a file holds is not what its column takes."""


def text(longest: int) -> Reader:
    """Text for people of at most `longest` characters, none of them a control or formatting character."""

    def read(given: Any) -> str:
        said = _said(given).strip()
        if not said:
            raise Unreadable("is blank")
        if len(said) > longest:
            raise Unreadable(f"has more than {longest} characters")
        if not all(character.isprintable() for character in said):
            raise Unreadable("holds a control, formatting or invisible character")
        return said

    return read


def reference(given: Any) -> str:
    """Read the bank's own number of something: at most 64 printable ASCII characters."""
    said = _said(given)
    if len(said) > 64 or not _REFERENCE.fullmatch(said):
        raise Unreadable("is no number of 1 to 64 printable ASCII characters without blanks around it")
    return said


def matching(pattern: str, longest: int, what: str) -> Reader:
    """Text of at most `longest` characters that matches `pattern` as a whole; `what` says what it should be."""
    compiled = re.compile(pattern)
    whole = text(longest)

    def read(given: Any) -> str:
        said: str = whole(given)
        if not compiled.fullmatch(said):
            raise Unreadable(f"is no {what}")
        return said

    return read


def one_of(*allowed: str) -> Reader:
    """One of a few codes."""

    def read(given: Any) -> str:
        if not isinstance(given, str) or given not in allowed:
            raise Unreadable(f"is none of {', '.join(allowed)}")
        return given

    return read


def whole(least: int, most: int) -> Reader:
    """A whole number within bounds."""

    def read(given: Any) -> int:
        said = _said(given)
        if isinstance(given, bool) or not _WHOLE.fullmatch(said):
            raise Unreadable("is no whole number")
        if not least <= int(said) <= most:
            raise Unreadable(f"is not within {least} and {most}")
        return int(said)

    return read


def fraction(least: str, most: str, decimals: int) -> Reader:
    """A number within bounds with at most `decimals` decimals; bounds included."""
    low, high = Decimal(least), Decimal(most)

    def read(given: Any) -> Decimal:
        value = number(given)
        if not low <= value <= high:
            raise Unreadable(f"is not within {least} and {most}")
        if value != round(value, decimals):
            raise Unreadable(f"has more than {decimals} decimals")
        return value

    return read


def number(given: Any) -> Decimal:
    """Read a number in ASCII digits with a point, without an exponent or separators."""
    said = format(given, "f") if isinstance(given, Decimal) else _said(given)
    if isinstance(given, bool) or not _NUMBER.fullmatch(said):
        raise Unreadable("is no number in digits with a decimal point")
    try:
        return Decimal(said)
    except InvalidOperation:
        raise Unreadable("is no number in digits with a decimal point") from None


def day(given: Any) -> date:
    """Read a calendar day written YYYY-MM-DD, from 1900 to today."""
    found = given if isinstance(given, date) and not isinstance(given, datetime) else None
    if found is None:
        said = _said(given)
        if not _DAY.fullmatch(said):
            raise Unreadable("is no day written YYYY-MM-DD")
        try:
            found = date.fromisoformat(said)
        except ValueError:
            raise Unreadable("is no day of the calendar") from None
    if found < _EARLIEST:
        raise Unreadable(f"is before {_EARLIEST}")
    return found


def past_day(given: Any) -> date:
    """Read a day that is not in the future (UTC)."""
    found = day(given)
    if found > datetime.now(UTC).date():
        raise Unreadable("is in the future")
    return found


def instant(given: Any) -> datetime:
    """Read an instant with its offset from UTC, not in the future."""
    if isinstance(given, datetime):
        found = given
    else:
        said = _said(given)
        if not _INSTANT.fullmatch(said):
            raise Unreadable("is no instant written YYYY-MM-DDThh:mm:ss with Z or an offset")
        try:
            found = datetime.fromisoformat(said)
        except ValueError:
            raise Unreadable("is no instant of the calendar") from None
    if found.tzinfo is None:
        raise Unreadable("lacks its offset from UTC")
    try:
        found = found.astimezone(UTC)
    except OverflowError:
        raise Unreadable("is no instant of the calendar") from None
    if found.date() < _EARLIEST:
        raise Unreadable(f"is before {_EARLIEST}")
    if found > datetime.now(UTC):
        raise Unreadable("is in the future")
    return found


def flag(given: Any) -> bool:
    """Read true or false."""
    if isinstance(given, bool):
        return given
    if given in {"true", "false"}:
        return bool(given == "true")
    raise Unreadable("is neither true nor false")


def document(kind: type[dict[str, Any]] | type[list[Any]]) -> Reader:
    """A JSON object or array; kept as its text."""

    def read(given: Any) -> str:
        try:
            value = json.loads(given) if isinstance(given, str) else given
        except ValueError:
            raise Unreadable("is no JSON") from None
        if not isinstance(value, kind):
            raise Unreadable(f"is no JSON {'object' if kind is dict else 'array'}")
        return json.dumps(value, ensure_ascii=False)

    return read


def _said(given: Any) -> str:
    if isinstance(given, str):
        return given
    if isinstance(given, int | float | Decimal) and not isinstance(given, bool):
        return str(given)
    raise Unreadable("is neither a text nor a number")
