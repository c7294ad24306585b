"""What an engine must be able to do for the lake, its journal and their verification."""

from collections.abc import AsyncIterable, Sequence
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.chassis.engines import Engine, engine_named
from services.lake.journal.catalogue import Catalogue
from services.lake.journal.model import CapturedColumn, CapturedTable, CapturePart, Position
from services.lake.journal.postgresql import PostgreSQLJournal
from services.lake.journal.sqlserver import SQLServerJournal


class JournalDialect(Engine, Protocol):
    """One engine, and what it does for the journal."""

    def install(self, engine: AsyncEngine) -> None:
        """Hook what the engine's connections need (the reset of session context in the pool)."""

    async def set_context(self, connection: AsyncConnection, actor: str, traceparent: str | None) -> None:
        """Make `actor` and `traceparent` known to the capture triggers, for this transaction."""

    def create_journal(self) -> Sequence[str]:
        """Create what captures changes, empty, beside the existing schema `journal`."""

    def register(self, table: CapturedTable) -> Sequence[str]:
        """Make the table's definition the one in force.

        A table that was captured by another definition until now, or by none and has rows, is given a request for a
        backfill, so that what a migration put into it reaches the replica.
        """

    def capture_parts(self, table: CapturedTable) -> Sequence[CapturePart]:
        """Give the capture triggers of one table and what a backfill calls, which nobody may call yet."""

    def select_installed(self) -> sa.TextClause:
        """Select (name, text) of every part that is installed, text as `CapturePart.text`; '' for one not in force."""

    def grant_backfill(self, table: CapturedTable, login: str) -> Sequence[str]:
        """Let `login` call what a backfill or repair of the table calls."""

    def call_backfill(self, table: CapturedTable) -> sa.TextClause:
        """Write the page behind `:after_key` (NULL: the first) of at most `:most_rows` rows as `r`.

        Its row is (last_key, rows_written), last_key NULL when there was nothing behind. The rows are locked until
        the transaction ends. It waits for a lock for half a second only (see `is_transient`).
        """

    def call_repair(self, table: CapturedTable) -> sa.TextClause:
        """Write the rows with `:keys` (a JSON array of keys) as `r`, and as `d` the keys that do not exist.

        Its row is as of `call_backfill`.
        """

    def delete_through(self) -> sa.TextClause:
        """Delete every change at or below (`:major`, `:minor`)."""

    def select_waiting(self) -> sa.TextClause:
        """Select at most `:limit` changes above (`:major`, `:minor`) and not above `:horizon_major`, in order.

        Columns: major, minor, table_name, key, captured_at.
        """

    def grant_statements(self, logins: Sequence[str]) -> Sequence[str]:
        """Let `logins` see the schemas that their table grants are in."""

    def grant_catalogue(self, login: str) -> Sequence[str]:
        """Let `login` see the captured tables, their triggers and foreign keys in the catalogue."""

    def column_text(self, column: CapturedColumn, row: str) -> str:
        """Render `row.column` as canonical text: equal values, equal text, on both engines; NULL stays NULL."""

    def row_hashes(self, table: CapturedTable, buckets: int, only: Sequence[int] = ()) -> str:
        """Select a verification digest of a table.

        Without `only`: rows (bucket, rows, sum of row hashes); with it: rows (key, row hash) of those buckets.
        Hashes are 8 bytes of SHA-256 over canonical text, so both engines give the same.
        """

    async def begin_stream(self, connection: AsyncConnection) -> None:
        """Prepare a connection that will do nothing but read the journal, until it is closed."""

    async def read_horizon(self, connection: AsyncConnection, after: Position) -> Position:
        """Read a position at or below which nothing can appear any more.

        It need not be exact when it is not above `after`: the caller then has nothing to read. The rows must then be
        read by a later statement (READ COMMITTED, on the primary).
        """

    async def fetch_changes(
        self, connection: AsyncConnection, after: Position, horizon: Position, limit: int, size: int
    ) -> Sequence[Sequence[Any]]:
        """Read at most `limit` changes above `after` and not above `horizon`, in order of position.

        None further are read when the images before them have `size` bytes: what is read at once is bounded, whatever
        the size of the rows, but for one image.

        Columns: major, minor, table_name, operation, key, image, fingerprint, actor, traceparent, captured_at (UTC,
        naive).
        """

    def create_read(self) -> Sequence[str]:
        """Create what `read_changes` needs in the journal's schema."""

    def drop_read(self) -> Sequence[str]:
        """Drop what `create_read` made."""

    async def read_changes(
        self, connection: AsyncConnection, after: Position, limit: int, size: int
    ) -> Sequence[Sequence[Any]]:
        """Read complete changes above `after`: `read_horizon`, then `fetch_changes`, on a connection that autocommits.

        An empty result means that nothing more is complete yet.
        """

    def select_last_position(self) -> sa.TextClause:
        """Select (major, minor) of the last change not above (`:horizon_major`, …); no row in an empty journal."""

    def select_history(self) -> sa.TextClause:
        """Select every change of `:table_name` whose key begins with the text `:first_of_key`, in order.

        A text of letters, digits and dashes, as the lake's keys are.

        Columns as of `fetch_changes`. The history of a record, not a stream: what commits later with a lower
        position is seen by the next look.
        """

    def select_successor(self) -> sa.TextClause:
        """Select a row when there is a change of the row `:key` of `:table_name` above (`:major`, `:minor`)."""

    async def read_catalogue(self, connection: AsyncConnection, tables: Sequence[str]) -> "Catalogue":
        """Read how `tables` (full names), their triggers and their foreign keys are now."""

    async def oldest_writer_seconds(self, connection: AsyncConnection) -> float:
        """Say for how long the oldest open transaction has been holding the horizon back; 0 when none does."""

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


def journal_dialect(name: str) -> JournalDialect:
    """Give the dialect for SQLAlchemy's backend name (`postgresql` or `mssql`).

    Raises:
        ValueError: for any other engine.
    """
    dialects: dict[str, JournalDialect] = {"postgresql": PostgreSQLJournal(), "mssql": SQLServerJournal()}
    return dialects[engine_named(name).name]
