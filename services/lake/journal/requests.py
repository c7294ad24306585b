"""Requests to write rows into the journal again, processed page by page."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from services.lake.database import Lake, LakeTransaction
from services.lake.journal.model import CapturedTable
from services.lake.journal.tables import backfill

ACTOR = "backfill"
"""The actor of changes of operation `r`, and of `d` for a requested key that does not exist."""
MOST_KEYS = 1_000
"""Of one request: its rows are locked together."""
LONGEST_ERROR = 500


@dataclass(frozen=True, slots=True)
class Request:
    """A request: the whole table, or some `keys` of it; `done` when no work is left.

    `keys` is the requested text. Only the database parses it, so that invalid JSON fails one request only.
    """

    id: uuid.UUID
    table: str
    keys: str | None
    chunks: int
    rows_done: int
    done: bool
    error: str | None


class Taken(Exception):
    """Another relay has worked on the request since; nothing of the page was written."""


_COLUMNS = (
    backfill.c.id,
    backfill.c.table_name,
    backfill.c["keys"].label("named"),
    backfill.c.chunks,
    backfill.c.rows_done,
    backfill.c.finished_at,
    backfill.c.error,
)


class Requests:
    """The table `journal.backfill`."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._engine = lake.engine.execution_options(isolation_level="AUTOCOMMIT")

    async def add(self, table: str, keys: Sequence[str] | None, *, by: str) -> list[uuid.UUID]:
        """Request rows of `table`: those with `keys` (canonical JSON arrays), or all of them.

        Returns:
            Ids of the requests; many keys make several requests.
        """
        now = datetime.now(UTC)
        pages = [None] if keys is None else [keys[i : i + MOST_KEYS] for i in range(0, len(keys), MOST_KEYS)]
        rows: list[dict[str, Any]] = [
            {
                "id": uuid.uuid4(),
                "table_name": table,
                "keys": None if page is None else f"[{','.join(page)}]",
                "requested_by": by[:128],
                "requested_at": now,
                "chunks": 0,
                "rows_done": 0,
            }
            for page in pages
        ]
        async with self._engine.connect() as connection:
            await connection.execute(sa.insert(backfill), rows)
        return [row["id"] for row in rows]

    async def read(self, request: uuid.UUID) -> Request:
        """Give the current state of a request."""
        async with self._engine.connect() as connection:
            rows = await connection.execute(sa.select(*_COLUMNS).where(backfill.c.id == request))
            return _request(rows.one())

    async def outstanding(self) -> list[Request]:
        """Give the requests that are open or need a person, oldest first.

        Failed requests are left out when the same table was requested again since.
        """
        later = backfill.alias("later")
        again = sa.exists().where(
            later.c.table_name == backfill.c.table_name, later.c.requested_at > backfill.c.requested_at
        )
        async with self._engine.connect() as connection:
            rows = await connection.execute(
                sa.select(*_COLUMNS)
                .where(backfill.c.finished_at.is_(None) | (backfill.c.error.is_not(None) & ~again))
                .order_by(backfill.c.requested_at, backfill.c.id)
            )
            return [_request(row) for row in rows]

    async def next(self) -> Request | None:
        """Give the next request: the oldest with named keys, else the oldest; None when there is none.

        A repair of a few rows does not wait behind a table of millions.
        """
        async with self._engine.connect() as connection:
            rows = await connection.execute(
                sa.select(*_COLUMNS)
                .where(backfill.c.finished_at.is_(None))
                .order_by(
                    sa.case((backfill.c["keys"].is_(None), 1), else_=0),
                    backfill.c.requested_at,
                    backfill.c.id,
                )
                .limit(1)
            )
            row = rows.first()
        return None if row is None else _request(row)

    async def write_page(
        self, tx: LakeTransaction, request: Request, table: CapturedTable, most_rows: int
    ) -> Request:
        """Write the request's next page into the journal, and its progress, both in `tx`.

        Args:
            tx: the transaction, to be committed at once: the rows are locked until then.
            request: as it was last read or returned.
            table: the definition in force of its table.
            most_rows: of a page; named keys are one page.

        Returns:
            The request after this page.

        Raises:
            Taken: another relay has worked on it since.
            sqlalchemy.exc.DBAPIError: `dialect.is_transient` says whether to try again.
        """
        # On SQL Server the transaction begins with the first statement that reads a table, and must not begin inside
        # the procedure.
        after_key = await tx.scalar(sa.select(backfill.c.after_key).where(backfill.c.id == request.id))
        if request.keys is None:
            statement = tx.dialect.call_backfill(table)
            page = (await tx.execute(statement, {"after_key": after_key, "most_rows": most_rows})).one()
            done = page.last_key is None
        else:
            page = (await tx.execute(tx.dialect.call_repair(table), {"keys": request.keys})).one()
            done = True
        rows = request.rows_done + int(page.rows_written)
        moved = await tx.execute(
            sa.update(backfill)
            .where(
                backfill.c.id == request.id,
                backfill.c.chunks == request.chunks,
                backfill.c.finished_at.is_(None),
            )
            .values(
                after_key=page.last_key or after_key,
                chunks=request.chunks + 1,
                rows_done=rows,
                finished_at=datetime.now(UTC) if done else None,
            )
        )
        if moved.rowcount != 1:
            raise Taken(f"request {request.id} was worked on by another relay")
        return replace(request, chunks=request.chunks + 1, rows_done=rows, done=done)

    async def fail(self, request: Request, error: str) -> None:
        """Close a request that cannot be processed, with the reason."""
        async with self._engine.connect() as connection:
            await connection.execute(
                sa.update(backfill)
                .where(backfill.c.id == request.id)
                .values(finished_at=datetime.now(UTC), error=error[:LONGEST_ERROR])
            )


def _request(row: Any) -> Request:
    done = row.finished_at is not None
    return Request(row.id, row.table_name, row.named, row.chunks, row.rows_done, done, row.error)
