"""The operations that an engine must offer for the lake, its journal and their verification."""

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
    """One engine's operations for the journal."""

    def install(self, engine: AsyncEngine) -> None:
        """Install the hooks that the engine's connections need (the reset of session context in the pool)."""

    async def set_context(self, connection: AsyncConnection, actor: str, traceparent: str | None) -> None:
        """Set `actor` and `traceparent` for the capture triggers, for this transaction."""

    def create_journal(self) -> Sequence[str]:
        """Create the empty journal tables in the existing schema `journal`."""

    def register(self, table: CapturedTable) -> Sequence[str]:
        """Make the table's definition the one in force.

        A table that had another definition until now, or none although it has rows, gets a request for a backfill, so
        that rows that a migration wrote reach the replica.
        """

    def capture_parts(self, table: CapturedTable) -> Sequence[CapturePart]:
        """Give one table's capture triggers, and the functions for its backfill, without grants."""

    def select_installed(self) -> sa.TextClause:
        """Select (name, text) of every part that is installed, text as `CapturePart.text`; '' for one not in force."""

    def grant_backfill(self, table: CapturedTable, login: str) -> Sequence[str]:
        """Grant `login` the functions for backfill and repair of the table."""

    def call_backfill(self, table: CapturedTable) -> sa.TextClause:
        """Write the page behind `:after_key` (NULL: the first) of at most `:most_rows` rows as `r`.

        Its row is (last_key, rows_written); last_key is NULL when no rows follow. The rows are locked until
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
        """Grant `logins` the schemas of their tables."""

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
        """Prepare a connection that only reads the journal until it is closed."""

    async def read_horizon(self, connection: AsyncConnection, after: Position) -> Position:
        """Read the horizon: a position at or below which no further change can appear.

        It need not be exact when it is not above `after`: the caller then has nothing to read. The rows must be read
        by a later statement (READ COMMITTED, on the primary).
        """

    async def fetch_changes(
        self, connection: AsyncConnection, after: Position, horizon: Position, limit: int, size: int
    ) -> Sequence[Sequence[Any]]:
        """Read at most `limit` changes above `after` and not above `horizon`, in order of position.

        Reading stops when the images have `size` bytes. So the memory for one read is bounded, except that one image
        may exceed `size`.

        Columns: major, minor, table_name, operation, key, image, fingerprint, actor, traceparent, captured_at (UTC,
        naive).
        """

    def create_read(self) -> Sequence[str]:
        """Create the objects that `read_changes` needs in the journal's schema."""

    def drop_read(self) -> Sequence[str]:
        """Drop the objects of `create_read`."""

    async def read_changes(
        self, connection: AsyncConnection, after: Position, limit: int, size: int
    ) -> Sequence[Sequence[Any]]:
        """Read complete changes above `after`: `read_horizon`, then `fetch_changes`, on a connection that autocommits.

        An empty result means that no further change is complete yet.
        """

    def select_last_position(self) -> sa.TextClause:
        """Select (major, minor) of the last change not above (`:horizon_major`, …); no row in an empty journal."""

    def select_history(self) -> sa.TextClause:
        """Select every change of `:table_name` whose key begins with the text `:first_of_key`, in order.

        A text of letters, digits and dashes, as the lake's keys are.

        Columns as of `fetch_changes`. This is the history of a record, not a stream: a change that commits later with
        a lower position appears at the next read.
        """

    def select_successor(self) -> sa.TextClause:
        """Select a row when the row `:key` of `:table_name` has a change above (`:major`, `:minor`)."""

    async def read_catalogue(self, connection: AsyncConnection, tables: Sequence[str]) -> "Catalogue":
        """Read the current state of `tables` (full names), their triggers and their foreign keys."""

    async def oldest_writer_seconds(self, connection: AsyncConnection) -> float:
        """Select for how many seconds the oldest open transaction has held the horizon back; 0 when none does."""

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

        Each line starts with one more field: table and fingerprint, separated by a blank. All changes must be complete
        (at or below the horizon). A block is whole lines without the last newline. Memory is bounded: reading waits
        until the caller takes the block.
        """


def journal_dialect(name: str) -> JournalDialect:
    """Give the dialect for SQLAlchemy's backend name (`postgresql` or `mssql`).

    Raises:
        ValueError: for any other engine.
    """
    dialects: dict[str, JournalDialect] = {"postgresql": PostgreSQLJournal(), "mssql": SQLServerJournal()}
    return dialects[engine_named(name).name]
