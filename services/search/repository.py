"""All SQL of search. What reads one application runs alike on the replica and on the lake: same tables, same names."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from services.chassis.database import ApplicationReader, ApplicationTransaction
from services.chassis.web.identity import Caller
from services.chassis.web.paging import Cursor
from services.lake import access
from services.lake.database import LakeReader
from services.lake.journal.model import Position
from services.lake.journal.tables import purged
from services.lake.tables import (
    application,
    application_event,
    application_party,
    application_version,
    application_version_party,
    decision,
    document,
    instalment,
    loan,
    loan_classification,
    loan_proposal,
    loan_transaction,
    party,
)
from services.search.audit.trail import Change, History, Purged
from services.search.domain import BandRange, Facet, Facets, Filters, Order
from services.search.facets import (
    MOST_COUNTED,
    SAMPLED_ROWS,
    SURELY_TOO_MANY,
    counted_rows,
    facets_of,
    select_facets,
    select_table_rows,
)
from services.search.selection import PLAN_FOR_THE_VALUES, Selection, select_bands, select_found

Row = Mapping[str, Any]
Reader = ApplicationReader | LakeReader

PREPARE_REPLICA = sa.select(sa.func.search.prepare_replica())


def select_borrowers(application_ids: Sequence[UUID]) -> sa.Select[Any]:
    """Read who borrows under some applications."""
    return (
        sa.select(application_party.c.application_id, party.c.id, party.c.full_name)
        .join_from(application_party, party, party.c.id == application_party.c.party_id)
        .where(
            application_party.c.application_id.in_(application_ids), application_party.c.role == "borrower"
        )
    )


def select_application(application_id: UUID, caller: Caller) -> sa.Select[Any]:
    """Read an application's own row and how much of personal data is shown, if `caller` may see it."""
    columns = [column for column in application.columns if column.name != "draft"]
    return sa.select(*columns, access.personal(caller).label("personal")).where(
        application.c.id == application_id, access.applications(caller)
    )


def select_versions(application_id: UUID) -> sa.Select[Any]:
    """Read an application's versions, oldest first."""
    return (
        sa.select(application_version)
        .where(application_version.c.application_id == application_id)
        .order_by(application_version.c.version)
    )


def select_parties(application_id: UUID) -> sa.Select[Any]:
    """Read who takes part in an application."""
    return (
        sa.select(application_party.c.party_id, application_party.c.role, party)
        .join_from(application_party, party, party.c.id == application_party.c.party_id)
        .where(application_party.c.application_id == application_id)
        .order_by(application_party.c.role, party.c.full_name)
    )


def select_decisions(application_id: UUID) -> sa.Select[Any]:
    """Read the decisions on an application, oldest first."""
    return (
        sa.select(decision)
        .where(decision.c.application_id == application_id)
        .order_by(decision.c.decided_at, decision.c.id)
    )


def select_events(application_id: UUID) -> sa.Select[Any]:
    """Read an application's events, oldest first."""
    return (
        sa.select(application_event)
        .where(application_event.c.application_id == application_id)
        .order_by(application_event.c.occurred_at, application_event.c.id)
    )


def select_loan(application_id: UUID) -> sa.Select[Any]:
    """Read the loan that an application became."""
    return sa.select(loan).where(loan.c.application_id == application_id)


def select_instalments(loan_id: UUID) -> sa.Select[Any]:
    """Read a loan's schedule."""
    return sa.select(instalment).where(instalment.c.loan_id == loan_id).order_by(instalment.c.number)


def select_transactions(loan_id: UUID) -> sa.Select[Any]:
    """Read what was paid out and back under a loan, oldest first."""
    return (
        sa.select(loan_transaction)
        .where(loan_transaction.c.loan_id == loan_id)
        .order_by(loan_transaction.c.recorded_at, loan_transaction.c.id)
    )


def select_judged(table: sa.Table, loan_id: UUID) -> sa.Select[Any]:
    """Read which proposals, or classifications, a loan has."""
    return sa.select(table.c.id).where(table.c.loan_id == loan_id)


def select_document_ids(application_id: UUID) -> sa.Select[Any]:
    """Read which documents belong to an application."""
    return sa.select(document.c.id).where(document.c.application_id == application_id)


class SearchRepository:
    """Reads the replica, and the lake where a caller asks for it; keeps nothing."""

    async def prepare_replica(self, tx: ApplicationTransaction) -> list[str]:
        """Create search's indexes on the replica's tables; returns the tables that are still missing."""
        return list(await tx.scalar(PREPARE_REPLICA))

    async def selection(
        self, reader: ApplicationReader, filters: Filters, caller: Caller, facets: Sequence[Facet] = ()
    ) -> Selection:
        """What `caller` searches for, with the approval bands where a filter or a facet needs them."""
        if not filters.bands and Facet.BAND not in facets:
            return Selection(filters, caller)
        rows = await self._rows(reader, select_bands())
        bands = [
            BandRange(
                row["band"],
                row["currency"],
                row["amount_from"],
                row["amount_below"],
                row["counts_from"],
                row["counts_until"],
            )
            for row in rows
        ]
        return Selection(filters, caller, bands)

    async def facets(
        self,
        reader: ApplicationReader,
        selection: Selection,
        facets: Sequence[Facet],
        most_counted: int = MOST_COUNTED,
    ) -> Facets:
        """The counts by `facets`: exact up to `most_counted` applications, above that estimated from a sample."""
        await reader.execute(PLAN_FOR_THE_VALUES)
        estimate: Facets | None = None
        table_rows = await reader.scalar(select_table_rows)
        # The statistics may be older than the rows.
        percent = min(100.0, 100 * SAMPLED_ROWS / max(table_rows, most_counted + 1))
        # Words find their applications by an index, whatever the sample: then it comes last, if at all.
        if table_rows > most_counted and not selection.filters.words:
            rows = await self._rows(reader, select_facets(selection, facets, percent=percent))
            estimate = facets_of(rows, facets, percent)
            if counted_rows(rows, facets) * 100 / percent > SURELY_TOO_MANY * most_counted:
                return estimate
        rows = await self._rows(reader, select_facets(selection, facets, limit=most_counted + 1))
        if counted_rows(rows, facets) <= most_counted:
            return facets_of(rows, facets, None)
        if estimate is None:
            rows = await self._rows(reader, select_facets(selection, facets, percent=percent))
            estimate = facets_of(rows, facets, percent)
        return estimate

    async def find(
        self,
        reader: ApplicationReader,
        selection: Selection,
        order: Order,
        after: Cursor | None,
        limit: int,
    ) -> list[dict[str, Any]]:
        """At most `limit` applications of `selection` in `order`, each with the borrower that the caller sees."""
        if selection.filters.words:
            await reader.execute(PLAN_FOR_THE_VALUES)
        found = await self._rows(reader, select_found(selection, order, after, limit))
        rows = await self._rows(reader, select_borrowers([row["id"] for row in found])) if found else []
        borrowers = {row["application_id"]: row for row in rows}
        for row in found:
            # The replica is not transaction-consistent across tables: a borrower may arrive slightly later.
            borrower = borrowers.get(row["id"])
            row["borrower_id"] = borrower["id"] if borrower else None
            visible = access.shown(borrower or {}, row.pop("personal"))
            row["borrower_name"] = visible.get("full_name")
        return found

    async def record(self, reader: Reader, application_id: UUID, caller: Caller) -> dict[str, Any] | None:
        """The whole application by the names of `ApplicationRecord` as `caller` sees it, or None."""
        own = await self._rows(reader, select_application(application_id, caller))
        if not own:
            return None
        level = own[0].pop("personal")
        record: dict[str, Any] = {
            "application": own[0],
            "versions": await self._rows(reader, select_versions(application_id)),
            "parties": [
                access.shown(row, level) for row in await self._rows(reader, select_parties(application_id))
            ],
            "decisions": await self._rows(reader, select_decisions(application_id)),
            "events": await self._rows(reader, select_events(application_id)),
            "loan": None,
        }
        for row in await self._rows(reader, select_loan(application_id)):
            row["instalments"] = await self._rows(reader, select_instalments(row["id"]))
            row["transactions"] = await self._rows(reader, select_transactions(row["id"]))
            record["loan"] = row
        return record

    async def history(self, reader: LakeReader, application_id: UUID, caller: Caller) -> History | None:
        """Every journalled change of the application and of what belongs to it, in order; None if it is hidden."""
        own = await self._rows(reader, select_application(application_id, caller))
        if not own:
            return None
        places = [
            (table.fullname, application_id)
            for table in (application, application_version, application_version_party, application_party)
        ]
        for table, select in (
            (application_event, select_events),
            (decision, select_decisions),
            (document, select_document_ids),
        ):
            places += [
                (table.fullname, row["id"]) for row in await self._rows(reader, select(application_id))
            ]
        for booked in await self._rows(reader, select_loan(application_id)):
            places += [(loan.fullname, booked["id"]), (instalment.fullname, booked["id"])]
            paid = await self._rows(reader, select_transactions(booked["id"]))
            places += [(loan_transaction.fullname, row["id"]) for row in paid]
            for judged in (loan_proposal, loan_classification):
                rows_of_loan = await self._rows(reader, select_judged(judged, booked["id"]))
                places += [(judged.fullname, row["id"]) for row in rows_of_loan]
        select_history = reader.dialect.select_history()
        changes: list[Change] = []
        for table_name, first_of_key in places:
            parameters = {"table_name": table_name, "first_of_key": str(first_of_key)}
            rows = (await reader.execute(select_history, parameters)).mappings()
            changes += [
                Change(
                    position=Position(row["major"], row["minor"]),
                    table=row["table_name"],
                    operation=row["operation"],
                    key=row["key"],
                    image=row["image"],
                    actor=row["actor"],
                    traceparent=row["traceparent"],
                    captured_at=row["captured_at"],
                )
                for row in rows
            ]
        changes.sort(key=lambda change: change.position)
        (gone,) = await self._rows(reader, sa.select(purged))
        through = Position(gone["position_major"], gone["position_minor"])
        return History(changes, Purged(through, gone["purged_at"]), own[0]["personal"])

    async def _rows(self, reader: Reader, statement: sa.Executable) -> list[dict[str, Any]]:
        rows = (await reader.execute(statement)).mappings()
        return [{str(name): value for name, value in row.items()} for row in rows]


def statements() -> Iterator[sa.Executable]:
    """Yield an example of every statement that search can run on the lake; journal reads are its dialect's."""
    some = UUID(int=1)
    for caller in access.examples():
        yield select_application(some, caller)
    yield select_versions(some)
    yield select_parties(some)
    yield select_decisions(some)
    yield select_events(some)
    yield select_loan(some)
    yield select_instalments(some)
    yield select_transactions(some)
    yield select_document_ids(some)
    yield sa.select(purged)
    for table in (loan_proposal, loan_classification):
        yield select_judged(table, some)
