"""SQL of parties."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from itertools import combinations
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from services.chassis.database import beyond
from services.chassis.web.identity import Caller
from services.chassis.web.paging import Cursor
from services.intake.domain import Party, PartyDetails, PartyKind
from services.intake.parties.rights import PartyUse
from services.intake.parties.tags import Tagged
from services.lake import access
from services.lake.database import LakeReader, LakeTransaction
from services.lake.domain.roles import Personal
from services.lake.domain.states import State
from services.lake.tables import application, application_party, party, person_tag

INSERT_PARTY = sa.insert(party)
MOST_DUPLICATES = 20
_DUPLICATES = (Tagged.NATIONAL_ID, Tagged.PERSON, Tagged.EMAIL)
"""Two parties that are equal in two of these may be the same."""

Tags = Mapping[Tagged, Sequence[bytes]]


def select_party(party_id: UUID, caller: Caller) -> sa.Select[Any]:
    """Read one party, if `caller` may see it; the column `clear` says with 1 that they see it unmasked."""
    clear = sa.case((access.clear_parties(caller), sa.literal(1)), else_=sa.literal(0)).label("clear")
    return sa.select(party, clear).where(party.c.id == party_id, access.parties(caller))


def select_present_parties(party_ids: Sequence[UUID], caller: Caller) -> sa.Select[Any]:
    """Read which of `party_ids` exist for `caller`."""
    # Unmasked only: otherwise a caller could add a masked party to their own application, and then see all of it.
    return sa.select(party.c.id).where(party.c.id.in_(party_ids), access.clear_parties(caller))


def select_found(tags: Tags, caller: Caller, after: Cursor | None, limit: int) -> sa.Select[Any]:
    """Read the parties with all of `tags` that `caller` sees unmasked, the first on record first.

    Unmasked only: finding a masked value would tell it.
    """
    query = (
        sa.select(party)
        .join_from(person_tag, party, party.c.id == person_tag.c.party_id)
        .where(*(kind.column.in_(of) for kind, of in tags.items()), access.clear_parties(caller))
        .order_by(party.c.created_at, party.c.id)
        .limit(limit)
    )
    return (
        query if after is None else query.where(beyond(party.c.created_at, party.c.id, (after.at, after.id)))
    )


def select_duplicates(party_id: UUID, tags: Tags, caller: Caller) -> sa.Select[Any]:
    """Read which other parties that `caller` sees unmasked have two of those `tags` that identify a person."""
    equal = [kind.column.in_(tags[kind]) for kind in _DUPLICATES if kind in tags]
    return (
        sa.select(party.c.id)
        .join_from(person_tag, party, party.c.id == person_tag.c.party_id)
        .where(
            party.c.id != party_id,
            sa.or_(sa.false(), *(sa.and_(*two) for two in combinations(equal, 2))),
            access.clear_parties(caller),
        )
        .order_by(party.c.id)
        .limit(MOST_DUPLICATES)
    )


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
    """Reads and writes parties, always in the caller's transaction; has no state."""

    async def party(
        self, reader: LakeReader, party_id: UUID, caller: Caller, *, whole: bool = False
    ) -> Party | None:
        """The party as `caller` sees it, or None.

        Args:
            reader: the database to read.
            party_id: the party.
            caller: the user who reads it.
            whole: return it only if the caller sees it unmasked; a change of masked data would store the mask.
        """
        found = (await reader.execute(select_party(party_id, caller))).mappings().first()
        if found is None or (whole and not found["clear"]):
            return None
        level = Personal.CLEAR if found["clear"] else Personal.MASKED
        return _party(access.shown({str(name): value for name, value in found.items()}, level))

    async def found(
        self, reader: LakeReader, tags: Tags, caller: Caller, after: Cursor | None, limit: int
    ) -> list[Party]:
        """At most `limit` parties as `select_found` says."""
        rows = await reader.execute(select_found(tags, caller, after, limit))
        return [_party(row) for row in rows.mappings()]

    async def duplicates(self, reader: LakeReader, party_id: UUID, tags: Tags, caller: Caller) -> list[UUID]:
        """At most MOST_DUPLICATES parties that may be the same as this one, as `select_duplicates` says."""
        return list((await reader.execute(select_duplicates(party_id, tags, caller))).scalars())

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
        """The applications that the party takes part in, with the facts that determine who may change it."""
        rows = (await reader.execute(select_party_uses(party_id))).mappings()
        return [PartyUse(row["created_by"], State(row["state"])) for row in rows]

    async def missing_parties(
        self, reader: LakeReader, party_ids: Sequence[UUID], caller: Caller
    ) -> set[UUID]:
        """Which of `party_ids` are on no record that `caller` sees."""
        rows = await reader.execute(select_present_parties(party_ids, caller))
        return set(party_ids).difference(rows.scalars())


def _party(row: Mapping[Any, Any]) -> Party:
    details = PartyDetails(
        PartyKind(row["kind"]),
        row["full_name"],
        row["birth_date"],
        row["national_id"],
        row["email"],
        row["phone"],
    )
    return Party(row["id"], details, row["created_by"], row["created_at"], row["revision"])


def statements() -> Iterator[sa.Executable]:
    """Yield an example of every statement on parties that intake can run."""
    some, at = UUID(int=1), datetime.fromisoformat("2000-01-01T00:00:00Z")
    yield INSERT_PARTY
    yield select_party_uses(some)
    for caller in access.examples():
        yield select_party(some, caller)
        yield select_present_parties([some], caller)
        yield select_found({Tagged.PHONE: [bytes(32)]}, caller, None, 1)
        yield select_found({Tagged.EMAIL: [bytes(32), bytes(32)]}, caller, Cursor(at, some), 1)
        yield select_duplicates(some, {kind: [bytes(32)] for kind in Tagged}, caller)
        yield select_duplicates(some, {}, caller)
    yield update_party(some, 1, PartyDetails(PartyKind.PERSON, "name"))
