"""All SQL of decisions: applications with their versions, decisions, events, bookings."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
import sqlalchemy as sa

from services.approval.claims.repository import counting
from services.approval.domain import (
    FROZEN,
    Band,
    Case,
    ChangedParty,
    Decision,
    Event,
    Hold,
    Outcome,
    ReasonCode,
    Version,
    band_for,
    bands_of,
    changed_party,
)
from services.chassis.web.identity import Caller
from services.lake import access
from services.lake.database import LakeReader, LakeTransaction
from services.lake.domain.schedule import Instalment
from services.lake.domain.states import State
from services.lake.parameters import parameters_on
from services.lake.tables import (
    application,
    application_event,
    application_party,
    application_version,
    application_version_party,
    approval_band,
    claim,
    decision,
    instalment,
    loan,
    loan_transaction,
    party,
)

INSTALMENTS_OF_A_STATEMENT = 400
"""Rows of five parameters each: SQL Server takes at most 2,100 parameters and 1,000 rows of VALUES."""

INSERT_DECISION = sa.insert(decision)
INSERT_EVENT = sa.insert(application_event)
INSERT_LOAN = sa.insert(loan)
INSERT_LOAN_TRANSACTION = sa.insert(loan_transaction)

OPEN = (State.SUBMITTED, State.IN_REVIEW)
"""The states in which an application waits for a decision."""


def select_application(application_id: UUID, caller: Caller, now: datetime) -> sa.Select[Any]:
    """Read an application's own row, if `caller` may see it at all.

    With it comes how much personal data the caller may see, and the claim that counts `now`.
    """
    return (
        sa.select(
            application,
            access.personal(caller).label("personal"),
            claim.c.claimed_by,
            claim.c.expires_at.label("claimed_until"),
        )
        .join_from(application, claim, counting(now), isouter=True)
        .where(application.c.id == application_id, access.applications(caller))
    )


def select_versions(application_ids: Sequence[UUID]) -> sa.Select[Any]:
    """Read every version of some applications, oldest first."""
    return (
        sa.select(application_version)
        .where(application_version.c.application_id.in_(application_ids))
        .order_by(application_version.c.application_id, application_version.c.version)
    )


def select_decisions(application_ids: Sequence[UUID]) -> sa.Select[Any]:
    """Read every decision on some applications, oldest first."""
    return (
        sa.select(*(decision.c[name] for name in Decision.__dataclass_fields__))
        .where(decision.c.application_id.in_(application_ids))
        .order_by(decision.c.decided_at, decision.c.id)
    )


def select_events(application_id: UUID) -> sa.Select[Any]:
    """Read an application's events, oldest first."""
    return (
        sa.select(*(application_event.c[name] for name in Event.__dataclass_fields__))
        .where(application_event.c.application_id == application_id)
        .order_by(application_event.c.occurred_at, application_event.c.id)
    )


def select_parties(application_ids: Sequence[UUID]) -> sa.Select[Any]:
    """Read who takes part in some applications, by name."""
    return (
        sa.select(
            application_party.c.application_id,
            application_party.c.party_id,
            application_party.c.role,
            party.c.full_name,
        )
        .join_from(application_party, party, party.c.id == application_party.c.party_id)
        .where(application_party.c.application_id.in_(application_ids))
        .order_by(application_party.c.role, party.c.full_name)
    )


def select_frozen_parties(application_id: UUID, version: int) -> sa.Select[Any]:
    """Read who takes part in an application: as kept with a version, under `was_…`, and as they are."""
    kept = application_version_party
    return (
        sa.select(
            application_party.c.party_id,
            application_party.c.role,
            kept.c.origin,
            *(kept.c[name].label(f"was_{name}") for name in FROZEN),
            *(party.c[name] for name in FROZEN),
        )
        .join_from(application_party, party, party.c.id == application_party.c.party_id)
        .outerjoin(
            kept,
            sa.and_(
                kept.c.application_id == application_party.c.application_id,
                kept.c.version == version,
                kept.c.party_id == application_party.c.party_id,
                kept.c.role == application_party.c.role,
            ),
        )
        .where(application_party.c.application_id == application_id)
        .order_by(application_party.c.role, application_party.c.party_id)
    )


def select_party_ids(application_id: UUID) -> sa.Select[Any]:
    """Read which parties take part in an application."""
    return sa.select(application_party.c.party_id).where(application_party.c.application_id == application_id)


def select_bands() -> sa.Select[Any]:
    """Read the approval bands, ended and coming ones too, stages in order."""
    band = approval_band.c
    limits = (band.currency, band.amount_from, band.amount_below, band.counts_from, band.counts_until)
    return sa.select(band.band, band.stage, *limits).order_by(
        band.currency, band.amount_from, band.band, band.stage_order
    )


def update_application(application_id: UUID, expected_revision: int, **values: Any) -> sa.Update:
    """Change an application if it still is at `expected_revision`."""
    return (
        sa.update(application)
        .where(application.c.id == application_id, application.c.revision == expected_revision)
        .values(**values, revision=expected_revision + 1)
    )


def select_interest_rate(product_code: str, day: date) -> sa.Select[Any]:
    """Read a product's yearly interest rate on a day."""
    valid = parameters_on(day)
    return sa.select(valid.c.interest_rate).where(valid.c.product_code == product_code)


def select_borrower(application_id: UUID) -> sa.Select[Any]:
    """Read who the borrower is."""
    return sa.select(application_party.c.party_id).where(
        application_party.c.application_id == application_id, application_party.c.role == "borrower"
    )


def insert_instalments(loan_id: UUID, instalments: Sequence[Instalment]) -> Iterator[sa.Insert]:
    """Add a loan's instalments in as few statements as both engines take."""
    rows = [{"loan_id": loan_id, **asdict(one)} for one in instalments]
    for start in range(0, len(rows), INSTALMENTS_OF_A_STATEMENT):
        yield sa.insert(instalment).values(rows[start : start + INSTALMENTS_OF_A_STATEMENT])


class ApprovalRepository:
    """Reads what approval decides on and writes its part of the lake, always in the caller's transaction."""

    async def application(
        self, reader: LakeReader, application_id: UUID, caller: Caller, now: datetime
    ) -> Mapping[str, Any] | None:
        """The application's own row, with `personal` (a value of `Personal`) and its claim, or None."""
        row = (await reader.execute(select_application(application_id, caller, now))).mappings().first()
        return None if row is None else {str(name): value for name, value in row.items()}

    async def case(self, reader: LakeReader, row: Mapping[str, Any]) -> Case | None:
        """The application of `row` with what a decision on it depends on; None before its first submission."""
        identifier = row["id"]
        versions = (await self.versions(reader, [identifier]))[identifier]
        if not versions:
            return None
        decisions = (await self.decisions(reader, [identifier]))[identifier]
        return case_of(row, versions, decisions, await self.bands(reader))

    async def versions(self, reader: LakeReader, ids: Sequence[UUID]) -> dict[UUID, list[Version]]:
        """Every version of the applications `ids`, oldest first."""
        found: dict[UUID, list[Version]] = {one: [] for one in ids}
        for row in (await reader.execute(select_versions(ids))).mappings():
            values = {name: row[name] for name in Version.__dataclass_fields__}
            values["profile"] = orjson.loads(row["profile"] or "{}")
            values["score_reasons"] = tuple(orjson.loads(row["score_reasons"] or "[]"))
            found[row["application_id"]].append(Version(**values))
        return found

    async def decisions(self, reader: LakeReader, ids: Sequence[UUID]) -> dict[UUID, list[Decision]]:
        """Every decision on the applications `ids`, oldest first."""
        found: dict[UUID, list[Decision]] = {one: [] for one in ids}
        for row in (await reader.execute(select_decisions(ids))).mappings():
            values = dict(row)
            values["outcome"] = Outcome(row["outcome"])
            values["reason_code"] = ReasonCode(row["reason_code"]) if row["reason_code"] else None
            found[row["application_id"]].append(Decision(**values))
        return found

    async def parties(self, reader: LakeReader, ids: Sequence[UUID]) -> dict[UUID, list[Mapping[str, Any]]]:
        """Who takes part in the applications `ids`: rows of party_id, role and full_name."""
        found: dict[UUID, list[Mapping[str, Any]]] = {one: [] for one in ids}
        for row in (await reader.execute(select_parties(ids))).mappings():
            found[row["application_id"]].append(
                {"party_id": row["party_id"], "role": row["role"], "full_name": row["full_name"]}
            )
        return found

    async def party_ids(self, reader: LakeReader, application_id: UUID) -> list[UUID]:
        """The parties that take part in the application."""
        return list((await reader.execute(select_party_ids(application_id))).scalars())

    async def changed_parties(
        self, reader: LakeReader, application_id: UUID, version: int
    ) -> list[ChangedParty]:
        """The parties that changed since `version`, the current one, was submitted."""
        rows = (await reader.execute(select_frozen_parties(application_id, version))).mappings()
        compared = (
            changed_party(
                row["party_id"],
                row["role"],
                None if row["origin"] is None else {name: row[f"was_{name}"] for name in FROZEN},
                {name: row[name] for name in FROZEN},
            )
            for row in rows
        )
        return [one for one in compared if one is not None]

    async def events(self, reader: LakeReader, application_id: UUID) -> list[Event]:
        """The application's events, oldest first."""
        rows = (await reader.execute(select_events(application_id))).mappings()
        return [
            Event(
                **{
                    **row,
                    "from_state": State(row["from_state"]) if row["from_state"] else None,
                    "to_state": State(row["to_state"]),
                }
            )
            for row in rows
        ]

    async def bands(self, reader: LakeReader) -> list[Band]:
        """The approval bands, by currency and amount."""
        rows = await reader.execute(select_bands())
        return bands_of(tuple(row) for row in rows)

    async def move(
        self,
        tx: LakeTransaction,
        application_id: UUID,
        expected: int,
        state: State,
        decided_at: datetime | None,
    ) -> bool:
        """Put the application into `state`; False when it is not at the `expected` revision any more."""
        done = await tx.execute(
            update_application(application_id, expected, state=state, decided_at=decided_at)
        )
        return done.rowcount == 1

    async def add_decision(self, tx: LakeTransaction, made: Decision) -> None:
        """Insert a decision; raises IntegrityError when the database refuses it."""
        await tx.execute(INSERT_DECISION, asdict(made))

    async def add_events(self, tx: LakeTransaction, events: Sequence[Event]) -> None:
        """Insert events in their order."""
        for event in events:
            await tx.execute(INSERT_EVENT, asdict(event))

    async def interest_rate(self, reader: LakeReader, product_code: str, day: date) -> Decimal | None:
        """The product's yearly rate on `day`, as a fraction; None when it has no parameters then."""
        rate: Decimal | None = await reader.scalar(select_interest_rate(product_code, day))
        return rate

    async def borrower(self, reader: LakeReader, application_id: UUID) -> UUID:
        """The party that borrows."""
        borrower: UUID = await reader.scalar(select_borrower(application_id))
        return borrower

    async def add_loan(
        self,
        tx: LakeTransaction,
        values: Mapping[str, Any],
        instalments: Sequence[Instalment],
        disbursement: Mapping[str, Any],
    ) -> None:
        """Insert a loan, its schedule and its disbursement, each by the names of the table's columns."""
        await tx.execute(INSERT_LOAN, values)
        for statement in insert_instalments(values["id"], instalments):
            await tx.execute(statement)
        await tx.execute(INSERT_LOAN_TRANSACTION, disbursement)


def case_of(
    row: Mapping[str, Any], versions: Sequence[Version], decisions: Sequence[Decision], bands: Sequence[Band]
) -> Case:
    """Put an application together from its row, all its versions and decisions, and the bands."""
    current = next(one for one in versions if one.version == row["current_version"])
    held = row["claimed_by"]
    return Case(
        application_id=row["id"],
        state=State(row["state"]),
        revision=row["revision"],
        submitted_at=row["submitted_at"],
        decided_at=row["decided_at"],
        current=current,
        band=band_for(bands, current),
        decisions=tuple(one for one in decisions if one.version == current.version),
        hold=None if held is None else Hold(held, row["claimed_until"]),
    )


def statements() -> Iterator[sa.Executable]:
    """Yield an example of every statement that approval can run."""
    some = UUID(int=1)
    at = datetime.fromisoformat("2000-01-01T00:00:00Z")
    yield from (INSERT_DECISION, INSERT_EVENT, INSERT_LOAN, INSERT_LOAN_TRANSACTION)
    yield select_versions([some])
    yield select_decisions([some])
    yield select_events(some)
    yield select_parties([some])
    yield select_party_ids(some)
    yield select_frozen_parties(some, 1)
    yield select_bands()
    for caller in access.examples():
        yield select_application(some, caller, at)
    yield update_application(some, 1, state=State.APPROVED, decided_at=at)
    yield select_interest_rate("CODE", at.date())
    yield select_borrower(some)
    yield from insert_instalments(some, [Instalment(1, at.date(), Decimal(1), Decimal(0))])
