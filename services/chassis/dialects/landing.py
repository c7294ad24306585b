"""What an engine must be able to do for the warehouse's landing: schema `dl`, and schemas of the transformer's."""

from collections.abc import AsyncIterable, Sequence
from datetime import datetime
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

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
"""The columns of a landing table behind `batch_id`, in the order of a line.

A line is how PostgreSQL's COPY writes a row as text, whatever the engine: fields parted by tabs, NULL as `\\N`, and
what would part or end a line escaped by a backslash. Times are in UTC, ISO 8601 with a blank, digits of a second
without zeros at the end. Checksums are of lines, so they are the same on both engines and in a replay.
"""

TRANSFORMED = ("ods", "dw", "dm", "ap")
"""Schemas that the transformer owns and fills."""

LOADER, TRANSFORMER, ANALYST = "loader", "transformer", "analyst"
"""Logins of the warehouse beside its owner's; the analyst's grants are given by the transformer."""


class Landing(Protocol):
    """One engine. Statements are returned as text, one batch each, without a closing semicolon."""

    def create_table(self, name: str) -> Sequence[str]:
        """Create the landing table `dl.<name>` where it is missing."""

    def create_schemas(self) -> Sequence[str]:
        """Create the transformer's schemas where they are missing, and let it make others."""

    def grants(self, landings: Sequence[str]) -> Sequence[str]:
        """Let the loader write the bookkeeping and `landings`, and the transformer read all of schema `dl`."""

    def lock_watermark(self) -> sa.TextClause:
        """Lock the row of `:flow` until the transaction ends; its row is (position, batch_id).

        Waits for ten seconds at most (`set_lock_wait`).
        """

    def set_lock_wait(self) -> str:
        """Let statements of this transaction fail that wait for a lock for longer than ten seconds."""

    def draw_batch_id(self) -> str:
        """Draw the next batch id."""

    def is_locked(self, error: BaseException) -> bool:
        """Whether a statement failed because another transaction held a lock for too long."""

    async def write(
        self, connection: AsyncConnection, table: str, batch_id: int, lines: Sequence[bytes]
    ) -> int:
        """Append lines (see COLUMNS) to `dl.<table>` under a batch id; returns how many rows the server took."""

    def read(self, connection: AsyncConnection, table: str, batch_id: int) -> AsyncIterable[Sequence[bytes]]:
        """Read what a batch has left in `dl.<table>` as lines, in order of position."""


def time_text(value: datetime | None) -> str | None:
    """Give a naive time in UTC as it stands in a line."""
    if value is None:
        return None
    text = str(value)
    return text.rstrip("0") if value.microsecond else text


def unescaped(field: bytes) -> str | None:
    """Give the text that a field of a line stands for."""
    if field == b"\\N":
        return None
    if b"\\" not in field:
        return field.decode()
    parts = field.split(b"\\\\")
    for escape, plain in _ESCAPES:
        parts = [part.replace(escape, plain) for part in parts]
    return b"\\".join(parts).decode()


def escaped(value: Any) -> bytes:
    """Give the field of a line for a text or number, or NULL for None."""
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
