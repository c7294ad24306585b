"""A change as a line of text, which the landing loads unchanged."""

from datetime import datetime
from typing import Any

COLUMNS = (
    "position_major",
    "position_minor",
    "operation",
    "row_key",
    "image",
    "fingerprint",
    "actor",
    "traceparent",
    "captured_at",
)
"""The columns of a landing table after `batch_id`, in the order of a line.

On both engines a line is the text format of PostgreSQL's COPY: fields separated by tabs, NULL as `\\N`, and
separators inside a field escaped by a backslash. Times are in UTC, ISO 8601 with a blank; fractions of a second
have no trailing zeros. Checksums are of lines, so they are the same on both engines and in a replay.
"""


def time_text(value: datetime | None) -> str | None:
    """Format a naive time in UTC for a line."""
    if value is None:
        return None
    text = str(value)
    return text.rstrip("0") if value.microsecond else text


def unescaped(field: bytes) -> str | None:
    """Decode a field of a line to its text."""
    if field == b"\\N":
        return None
    if b"\\" not in field:
        return field.decode()
    parts = field.split(b"\\\\")
    for escape, plain in _ESCAPES:
        parts = [part.replace(escape, plain) for part in parts]
    return b"\\".join(parts).decode()


def escaped(value: Any) -> bytes:
    """Encode a text or number as a field of a line; None as NULL."""
    if value is None:
        return b"\\N"
    field = str(value).encode()
    if _PLAIN.isdisjoint(field):
        return field
    field = field.replace(b"\\", b"\\\\")
    for escape, plain in _ESCAPES:
        field = field.replace(plain, escape)
    return field


_ESCAPES = (
    (b"\\t", b"\t"),
    (b"\\n", b"\n"),
    (b"\\r", b"\r"),
    (b"\\b", b"\b"),
    (b"\\f", b"\f"),
    (b"\\v", b"\v"),
)
_PLAIN = frozenset(b"\\\t\n\r\b\f\v")
