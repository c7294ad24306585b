"""Rows of any source as lines of the landing."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson

from services.lake.journal.lines import escaped, time_text
from services.loader.errors import SourceChanged
from services.loader.flows.model import LoadFlow, Target

INTEGER_BITS = 31
"""JSON readers keep whole numbers exact up to this many bits; larger ones are written as text."""


class Lines:
    """Writes the lines of one target."""

    def __init__(self, flow: LoadFlow, target: Target, actor: str) -> None:
        """`actor` stands in each line: which kind of source said so."""
        self._where = f"flow {flow.name}: {target.source}"
        self._target = target
        self._actor = actor

    def row(
        self,
        values: Mapping[str, Any],
        *,
        major: int,
        minor: int,
        operation: str,
        place: str,
        traceparent: str | None = None,
        captured_at: datetime | None = None,
    ) -> bytes:
        """Write a row as it is.

        Args:
            values: by column.
            major: first half of its position.
            minor: second half.
            operation: c, u or r.
            place: where the row stands in its source, for messages.
            traceparent: in which trace it was made.
            captured_at: when, in UTC; naive or aware.

        Raises:
            SourceChanged: a column of the flow file is not there, or a key is NULL.
        """
        if missing := [name for name in self._target.columns if name not in values]:
            raise SourceChanged(
                f"{self._where}, {place}: there is no column {', '.join(missing)}. Nothing of this window was loaded: "
                f"put the source right, or targets[{self._target.table}].columns of the flow file"
            )
        image = orjson.dumps({str(name): plain(value) for name, value in values.items()}).decode()
        key = self._key(values, place)
        return self._line(
            major, minor, operation, key, image, None, self._actor, traceparent, _time(captured_at)
        )

    def delete(
        self,
        key: Mapping[str, Any],
        *,
        major: int,
        minor: int,
        place: str,
        traceparent: str | None = None,
        captured_at: datetime | None = None,
    ) -> bytes:
        """Write that the row of a key is gone; arguments and errors as of `row`."""
        text = self._key(key, place)
        return self._line(major, minor, "d", text, None, None, self._actor, traceparent, _time(captured_at))

    def _key(self, values: Mapping[str, Any], place: str) -> str:
        texts = [text_of(values.get(name)) for name in self._target.keys]
        if None in texts:
            raise SourceChanged(
                f"{self._where}, {place}: its key ({', '.join(self._target.keys)}) has a NULL. Nothing of this window "
                "was loaded: put the source right, or the keys of the flow file"
            )
        return orjson.dumps(texts).decode()

    @staticmethod
    def _line(*fields: object) -> bytes:
        return b"\t".join(map(escaped, fields))


def plain(value: Any) -> Any:
    """Give a value as it stands in an image: what JSON may round or does not know is text, what is nested JSON text."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int) and value.bit_length() <= INTEGER_BITS:
        return value
    return text_of(value)


def text_of(value: Any) -> str | None:
    """Give a value as canonical text; NULL stays None."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return _naive(value).isoformat() + ("Z" if value.tzinfo else "")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, int | UUID):
        return str(value)
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=text_of)


def parsed(text: str | bytes) -> Any:
    """Read JSON with every digit of its numbers.

    Raises:
        ValueError: it is no JSON.
    """
    return json.loads(text, parse_float=Decimal, parse_constant=_refuse)


def paged(lines: Iterable[bytes], size: int) -> Iterable[list[bytes]]:
    """Cut lines into pages."""
    page: list[bytes] = []
    for line in lines:
        page.append(line)
        if len(page) >= size:
            yield page
            page = []
    if page:
        yield page


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _time(value: datetime | None) -> str | None:
    return None if value is None else time_text(_naive(value))


def _naive(value: datetime) -> datetime:
    return value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)
