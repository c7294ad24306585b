"""The lines of an export. Plain Python."""

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from operator import itemgetter
from typing import Any
from urllib.parse import quote, urlencode

import orjson

from services.lake.domain.cells import defused

MOST_ROWS = 1_000_000
"""Rows of the longest export."""
COLUMNS = (
    *("id", "state", "revision", "version", "product_code", "amount", "currency", "term_months", "purpose"),
    *("channel", "score", "maker", "submitted_at", "decided_at", "borrower_id", "borrower_name"),
    *("borrower_birth_date", "borrower_national_id", "borrower_email", "borrower_phone"),
)


class Format(StrEnum):
    """The format of an export; also the end of its file's name."""

    CSV = "csv"
    NDJSON = "ndjson"

    @property
    def media_type(self) -> str:
        """The type of the answer."""
        return "text/csv; charset=utf-8" if self is Format.CSV else "application/x-ndjson"


class Outcome(StrEnum):
    """How an export ended."""

    COMPLETE = "complete"
    LIMITED = "limited"
    """There were more rows than an export has."""
    CUT = "cut"
    """The client left, or the database failed."""


def described(parameters: Sequence[tuple[str, str]]) -> str:
    """The filters of an export as one word: no separator, quote or formula can be in it."""
    return urlencode(sorted(parameters)) or "none"


def without_words(parameters: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The filters as a record keeps them: the words of a search can be somebody's name, which only the file has."""
    return [(name, "…" if name == "q" else value) for name, value in parameters]


def head(form: Format, filters: str, as_of: datetime, by: str) -> bytes:
    """The first lines: what the rows are, and in CSV the names of the columns."""
    instant = as_of.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if form is Format.NDJSON:
        return orjson.dumps({"filters": filters, "as_of": instant, "by": by}) + b"\n"
    first = f"# filters {filters} as of {instant} by {quote(by, safe='@')}\r\n"
    return (first + ",".join(COLUMNS) + "\r\n").encode()


def lines(form: Format, rows: Iterable[Mapping[str, Any]]) -> bytes:
    """The lines of some rows, which have the members COLUMNS."""
    if form is Format.NDJSON:
        return b"".join(_json(row) for row in rows)
    text = io.StringIO()
    csv.writer(text).writerows(_cells(row) for row in rows)
    return text.getvalue().encode()


def tail(form: Format, count: int, outcome: Outcome) -> bytes:
    """The last line, without which a download was cut."""
    complete = outcome is Outcome.COMPLETE
    if form is Format.NDJSON:
        return orjson.dumps({"rows": count, "complete": complete}) + b"\n"
    said = "complete" if complete else "incomplete: there are more; narrow the filters"
    return f"# rows {count} {said}\r\n".encode()


def _cells(row: Mapping[str, Any]) -> list[Any]:
    return [spell(value) if (spell := _SPELLINGS.get(type(value))) else value for value in _values(row)]


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _json(row: Mapping[str, Any]) -> bytes:
    return orjson.dumps({name: row[name] for name in COLUMNS}, default=str, option=_OPTIONS)


_values = itemgetter(*COLUMNS)
_SPELLINGS: Mapping[type, Callable[[Any], str]] = {str: defused, datetime: _instant}
_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE
