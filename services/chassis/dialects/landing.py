"""What an engine must be able to do for the warehouse's landing: schema `dl`, and schemas of the transformer's."""

from collections.abc import AsyncIterable, Sequence
from datetime import datetime
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from services.chassis.dialects.interface import Position

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
        """Let the loader write the bookkeeping and `landings` and read `ods`, the transformer read all of `dl`."""

    def lock_watermark(self) -> sa.TextClause:
        """Lock the row of `:flow` until the transaction ends; its row is (position, batch_id).

        Waits for five seconds at most (`set_lock_wait`).
        """

    def set_lock_wait(self) -> str:
        """Let statements of this transaction fail that wait for a lock for longer than five seconds."""

    def draw_batch_id(self) -> str:
        """Draw the next batch id."""

    def is_locked(self, error: BaseException) -> bool:
        """Whether a statement failed because another transaction held a lock for too long."""

    def create_stage(self, table: str) -> Sequence[str]:
        """Create an empty table like `dl.<table>` that only this transaction sees."""

    async def write(
        self,
        connection: AsyncConnection,
        table: str,
        batch_id: int,
        lines: Sequence[bytes],
        *,
        stage: bool = False,
    ) -> int:
        """Append lines (see COLUMNS) to `dl.<table>`, or its stage, under a batch id.

        Returns how many rows the server took.

        Raises:
            sqlalchemy.exc.DBAPIError: it took none.
        """

    def count_alive(self, table: str) -> sa.TextClause:
        """Count the keys of `dl.<table>` whose newest operation is no delete."""

    def land_differences(self, table: str, *, complete: bool) -> sa.TextClause:
        """Land under `:batch_id` what of the stage differs from the newest image of its key, as `c` or `u`.

        Positions are (batch id, place). A key that the stage has twice counts as its last line says. With `complete`
        keys that the stage does not have land as `d`.
        """

    def delete_batch(self, table: str) -> sa.TextClause:
        """Delete what `:batch_id` has left in `dl.<table>`."""

    def journal_end(self) -> sa.TextClause:
        """Select (major, minor, changes) of the `:limit`th change above `:after_major`, `:after_minor`, or the last.

        Not above `:horizon_major`; `changes` is how many there are up to it. No row when there are none.
        """

    def journal_counts(self) -> sa.TextClause:
        """Select (table_name, changes) above (`:after_major`, `:after_minor`) and not above `:horizon_major`."""

    def journal_blocks(
        self, connection: AsyncConnection, after: Position, through: Position, tables: Sequence[str]
    ) -> AsyncIterable[bytes]:
        """Read the changes of `tables` above `after` and up to `through` as lines, in order, in blocks of a few MiB.

        Before each line stands one field more: table and fingerprint, parted by a blank. All of them must be complete
        (at or below the horizon). A block is whole lines without the last newline. Memory is bounded: nothing more is
        read before the block is taken.
        """

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
