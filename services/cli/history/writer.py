"""Writes a checked history into the lake, in transactions of a few thousand rows; existing rows stay unchanged."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from typing import Any, TypeVar
from uuid import UUID

import sqlalchemy as sa

from services.cli.history.history import History, Known
from services.cli.history.loans import OVERPAYMENT_TOLERANCE, Loan
from services.cli.history.report import Report
from services.cli.history.rows import (
    Row,
    application_rows,
    classification_row,
    identifier,
    instalment_row,
    parameters_row,
    party_row,
    product_row,
    transaction_row,
)
from services.cli.history.rules import Application
from services.lake import tables
from services.lake.bulk import add_missing
from services.lake.database import Lake
from services.lake.tables import CAPTURED

ACTOR = "history-import"
CHUNK_ROWS = 5_000
CHUNK_APPLICATIONS = 1_000
LOCK = "history-import"
KNOWN_OF_LOANS = ("external_ref", "currency", "principal", "interest_rate", "term_months")
BORROWERS = "application_party"
_TABLES = {table.name: table for table in CAPTURED}
ENTITY_OF = {
    "party": "parties",
    "product": "products",
    "product_parameters": "product_parameters",
    "application": "applications",
    "application_party": "participants",
    "application_version": "versions",
    "application_event": "events",
    "decision": "decisions",
    "loan": "loans",
    "instalment": "instalments",
    "loan_transaction": "transactions",
    "loan_classification": "classifications",
}
"""The tables' names in files."""
_Item = TypeVar("_Item")


class ImportUnderWay(Exception):
    """Another import is writing into this lake."""


async def read_known(lake: Lake, tolerance: Decimal = OVERPAYMENT_TOLERANCE) -> Known:
    """Read what the lake has already, by the bank's own numbers; `tolerance` as of `Loan`."""
    party, application, loan = tables.party, tables.application, tables.loan
    async with lake.reading() as reader:
        parties = await reader.execute(
            sa.select(party.c.external_ref).where(party.c.external_ref.is_not(None))
        )
        applications = await reader.execute(
            sa.select(application.c.external_ref).where(application.c.external_ref.is_not(None))
        )
        products = await reader.execute(sa.select(tables.product.c.code, tables.product.c.currency))
        loans = await reader.execute(
            sa.select(*(loan.c[name] for name in KNOWN_OF_LOANS)).where(loan.c.external_ref.is_not(None))
        )
        return Known(
            {row.external_ref for row in parties},
            {row.external_ref for row in applications},
            {row["external_ref"]: Loan.of(dict(row), tolerance, in_lake=True) for row in loans.mappings()},
            {row.code: row.currency for row in products},
        )


class Writer:
    """Writes one history."""

    def __init__(
        self, lake: Lake, known: Known, report: Report, progress: Callable[[str, int], None]
    ) -> None:
        """`progress` is called with an entity's name and how many rows of it were written or were there already."""
        self._lake = lake
        self._known = known
        self._report = report
        self._progress = progress
        self._imported_at = datetime.now(UTC)

    async def write(self, history: History) -> None:
        """Write all valid rows, parents before children.

        Raises:
            ImportUnderWay: another import holds the lock.
            sqlalchemy.exc.DBAPIError: the lake does not answer, or refuses; what was committed stays, and the same
                command goes on from there.
        """
        for lines in _chunks(history.parties.values(), CHUNK_ROWS):
            await self._add([("party", party_row(line, self._imported_at)) for line in lines])
        for lines in _chunks(history.products.values(), CHUNK_ROWS):
            await self._add([("product", product_row(line)) for line in lines])
        for lines in _chunks(history.parameters.values(), CHUNK_ROWS):
            await self._add(
                [("product_parameters", parameters_row(line, self._imported_at)) for line in lines]
            )
        for some in _chunks(history.sound(), CHUNK_APPLICATIONS):
            new = [one for one in some if one.row.values["external_ref"] not in self._known.applications]
            await self._add(
                [each for one in new for each in application_rows(one)],
                [identifier("application", one.row.values["external_ref"]) for one in new],
            )
            self._count_there(set(map(id, some)) - set(map(id, new)), some)
        for lines in _chunks(history.instalments(), CHUNK_ROWS):
            await self._add([("instalment", instalment_row(line)) for line in lines])
        for lines in _chunks(history.transactions(), CHUNK_ROWS):
            await self._add(
                [("loan_transaction", transaction_row(line, self._imported_at)) for line in lines]
            )
        for lines in _chunks(history.classifications(), CHUNK_ROWS):
            await self._add(
                [("loan_classification", classification_row(line, self._imported_at)) for line in lines]
            )

    async def _add(self, rows: list[tuple[str, Row]], applications: Sequence[UUID] = ()) -> None:
        """Add rows in one transaction; `applications` are those whose parties are kept with their current version."""
        by_table: dict[str, list[dict[str, Any]]] = {name: [] for name in _TABLES}
        for name, row in rows:
            by_table[name].append(row)
        added: dict[str, int] = {}
        async with self._lake.transaction(actor=ACTOR) as tx:
            if not await tx.try_lock(LOCK):
                raise ImportUnderWay("another import is writing into this lake; wait for it to end")
            for name, table in _TABLES.items():
                if by_table[name]:
                    added[name] = await add_missing(tx, table, by_table[name])
            if applications:
                await tx.execute(keep_parties(applications))
        for name, count in added.items():
            if applications and name == "loan_classification":
                # The current classification comes with the loan's row and is no row of a file.
                continue
            # A borrower comes with its application, and is no row of a file.
            borrowers = sum(row["role"] == "borrower" for row in by_table[name]) if name == BORROWERS else 0
            self._report.added[ENTITY_OF[name]] += count - borrowers
            self._report.there[ENTITY_OF[name]] += len(by_table[name]) - count
            self._progress(ENTITY_OF[name], len(by_table[name]) - borrowers)

    def _count_there(self, places: set[int], some: Iterable[Application]) -> None:
        """Count applications that the lake has: they stay as they are, with all that belongs to them."""
        for one in some:
            if id(one) in places:
                for entity, count in one.rows.items():
                    self._report.there[entity] += count
                    self._progress(entity, count)


def keep_parties(applications: Sequence[UUID]) -> sa.Insert:
    """Keep who takes part in the current versions of `applications`, as the parties are on record now.

    Marked as migrated: the parties' details at the time of a past decision are unknown.
    """
    application, part, party = tables.application, tables.application_party, tables.party
    frozen = ("kind", "full_name", "birth_date", "national_id")
    source = (
        sa.select(
            application.c.id,
            application.c.current_version,
            part.c.party_id,
            part.c.role,
            *(party.c[name] for name in frozen),
            party.c.revision,
            sa.literal("migrated", tables.application_version_party.c.origin.type),
        )
        .join_from(application, part, part.c.application_id == application.c.id)
        .join(party, party.c.id == part.c.party_id)
        .where(application.c.id.in_(applications), application.c.current_version.is_not(None))
    )
    columns = ("application_id", "version", "party_id", "role", *frozen, "party_revision", "origin")
    return sa.insert(tables.application_version_party).from_select(columns, source)


def _chunks(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    remaining = iter(items)
    while chunk := list(islice(remaining, size)):
        yield chunk
