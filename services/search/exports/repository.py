"""The SQL of exports: the rows, read from a cursor of the server, and the record of each export."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from services.chassis.database import ApplicationReader, ApplicationTransaction
from services.chassis.web.identity import Caller
from services.lake import access
from services.lake.domain.roles import Personal
from services.lake.tables import application, application_party, party
from services.search.domain import Order
from services.search.exports.domain import Format, Outcome
from services.search.selection import Selection, select_found

BATCH_ROWS = 500
"""Rows that are fetched and written together; other requests wait while they are written, about ten milliseconds."""
_PERSONAL = {
    "borrower_id": "id",
    "borrower_name": "full_name",
    "borrower_birth_date": "birth_date",
    "borrower_national_id": "national_id",
    "borrower_email": "email",
    "borrower_phone": "phone",
}

INSERT_EXPORT = sa.text(
    "INSERT INTO search.export (id, caller, username, format, filters, reason, unmasked, trace_id) "
    "VALUES (:id, :caller, :username, :format, :filters, :reason, :unmasked, :trace_id)"
)
UPDATE_EXPORT = sa.text(
    "UPDATE search.export SET finished_at = clock_timestamp(), row_count = :row_count, outcome = :outcome "
    "WHERE id = :id AND finished_at IS NULL"
)


@dataclass(frozen=True, slots=True)
class ExportRecord:
    """Who exports what; `filters` have no word of a search, which can be personal data."""

    id: UUID
    format: Format
    filters: str
    reason: str | None
    unmasked: bool
    trace_id: str | None


def select_export(selection: Selection, order: Order, limit: int) -> sa.Select[Any]:
    """Read the applications of `selection` in `order`, each with its borrower."""
    found = select_found(selection, order, None, limit)
    # By the id of the party, where there are several.
    borrower = (
        sa.select(*(party.c[column].label(name) for name, column in _PERSONAL.items()))
        .join_from(application_party, party, party.c.id == application_party.c.party_id)
        .where(application_party.c.application_id == application.c.id, application_party.c.role == "borrower")
        .order_by(party.c.id)
        .limit(1)
        .lateral("borrower")
    )
    return found.add_columns(*borrower.c).outerjoin(borrower, sa.true())


class ExportRepository:
    """Reads the rows of exports, and records the exports."""

    async def begin(self, tx: ApplicationTransaction, record: ExportRecord, caller: Caller) -> None:
        """Record that an export begins."""
        await tx.execute(
            INSERT_EXPORT,
            {
                "id": record.id,
                "caller": caller.id,
                "username": caller.username,
                "format": record.format.value,
                "filters": record.filters,
                "reason": record.reason,
                "unmasked": record.unmasked,
                "trace_id": record.trace_id,
            },
        )

    async def end(self, tx: ApplicationTransaction, export_id: UUID, rows: int, outcome: Outcome) -> None:
        """Record how an export ended."""
        await tx.execute(UPDATE_EXPORT, {"id": export_id, "row_count": rows, "outcome": outcome.value})

    async def probe(self, reader: ApplicationReader, selection: Selection, order: Order) -> None:
        """Raise what reading would raise when the replica is not ready, without reading."""
        await reader.execute(select_export(selection, order, 0))

    async def batches(
        self,
        reader: ApplicationReader,
        selection: Selection,
        order: Order,
        limit: int,
        *,
        unmasked: bool,
    ) -> AsyncGenerator[Sequence[dict[str, Any]]]:
        """At most `limit` rows, some at a time; personal data is masked unless `unmasked`."""
        most = Personal.CLEAR if unmasked else Personal.MASKED
        statement = select_export(selection, order, limit).execution_options(yield_per=BATCH_ROWS)
        async with reader.connection.stream(statement) as result:
            names = list(result.keys())
            async for batch in result.partitions():
                # Four times as fast as a mapping of each row.
                yield [_shown(dict(zip(names, row, strict=True)), most) for row in batch]


def _shown(row: dict[str, Any], most: Personal) -> dict[str, Any]:
    level = min(row.pop("personal"), most)
    if level < Personal.CLEAR:
        details = access.shown({column: row[name] for name, column in _PERSONAL.items()}, level)
        row.update({name: details[column] for name, column in _PERSONAL.items()})
    return row
