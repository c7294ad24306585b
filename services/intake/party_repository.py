"""SQL of parties."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from services.chassis.database import LakeReader, LakeTransaction
from services.intake.domain import Party, PartyDetails, PartyKind
from services.intake.parties import PartyUse
from services.lake.states import State
from services.lake.tables import application, application_party, party

INSERT_PARTY = sa.insert(party)


def select_party(party_id: UUID) -> sa.Select[Any]:
    """Read one party."""
    return sa.select(party).where(party.c.id == party_id)


def select_present_parties(party_ids: Sequence[UUID]) -> sa.Select[Any]:
    """Read which of `party_ids` exist."""
    return sa.select(party.c.id).where(party.c.id.in_(party_ids))


def select_party_uses(party_id: UUID) -> sa.Select[Any]:
    """Read the applications that a party takes part in: who made each, and its state."""
    return (
        sa.select(application.c.created_by, application.c.state)
        .join_from(application_party, application, application.c.id == application_party.c.application_id)
        .where(application_party.c.party_id == party_id)
    )


def update_party(party_id: UUID, expected_revision: int, details: PartyDetails) -> sa.Update:
    """Change a party if it still is at `expected_revision`."""
    return (
        sa.update(party)
        .where(party.c.id == party_id, party.c.revision == expected_revision)
        .values(**asdict(details), revision=expected_revision + 1)
    )


class PartyRepository:
    """Reads and writes parties, always in the caller's transaction; keeps nothing."""

    async def party(self, reader: LakeReader, party_id: UUID) -> Party | None:
        """The party, or None."""
        row = (await reader.execute(select_party(party_id))).mappings().first()
        if row is None:
            return None
        details = PartyDetails(
            PartyKind(row["kind"]),
            row["full_name"],
            row["birth_date"],
            row["national_id"],
            row["email"],
            row["phone"],
        )
        return Party(row["id"], details, row["created_by"], row["created_at"], row["revision"])

    async def add_party(self, tx: LakeTransaction, new: Party) -> None:
        """Put a party on record."""
        await tx.execute(
            INSERT_PARTY,
            {
                "id": new.id,
                **asdict(new.details),
                "created_by": new.created_by,
                "created_at": new.created_at,
                "revision": new.revision,
            },
        )

    async def change_party(
        self, tx: LakeTransaction, party_id: UUID, expected_revision: int, details: PartyDetails
    ) -> bool:
        """Replace a party's details; False when it is not at `expected_revision` any more."""
        done = await tx.execute(update_party(party_id, expected_revision, details))
        return done.rowcount == 1

    async def party_uses(self, reader: LakeReader, party_id: UUID) -> list[PartyUse]:
        """The applications that the party takes part in, by what decides who may change it."""
        rows = (await reader.execute(select_party_uses(party_id))).mappings()
        return [PartyUse(row["created_by"], State(row["state"])) for row in rows]

    async def missing_parties(self, reader: LakeReader, party_ids: Sequence[UUID]) -> set[UUID]:
        """Which of `party_ids` are on no record."""
        rows = await reader.execute(select_present_parties(party_ids))
        return set(party_ids).difference(rows.scalars())


def statements() -> Iterator[sa.Executable]:
    """Yield an example of every statement on parties that intake can run."""
    some = UUID(int=1)
    yield INSERT_PARTY
    yield select_party(some)
    yield select_party_uses(some)
    yield select_present_parties([some])
    yield update_party(some, 1, PartyDetails(PartyKind.PERSON, "name"))
