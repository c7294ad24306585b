"""One national id, one party: a second record of the same person needs an officer's confirmation with a reason.

All spellings count as the same id (`reference_key`). `keep_filled` soon adds the key of parties that other programs
write (imports, samples, older rows). A lock on the key lasts until the commit: of two concurrent requests with the
same id, the second sees the first.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from uuid_utils.compat import uuid7

from services.chassis.web.input.strict import reference_key
from services.intake.errors import DuplicateNationalId, NothingToConfirm
from services.intake.upkeep import repeat
from services.lake.database import Lake, LakeReader, LakeTransaction
from services.lake.errors import PartiesBusy
from services.lake.tables import national_id_confirmation, party, party_national_id

LOCK_WAIT_SECONDS = 5
KEY_LENGTH = 64
FILL_LOCK = "intake:national-ids"
FILL_ROWS = 1_000
FILL_EVERY_SECONDS = 60.0

INSERT_KEY = sa.insert(party_national_id)
INSERT_CONFIRMATION = sa.insert(national_id_confirmation)
_CONFIRMATION_COLUMNS = [
    national_id_confirmation.c[name] for name in ("id", "reason", "confirmed_by", "confirmed_at")
]


@dataclass(frozen=True, slots=True)
class Confirmation:
    """An officer's confirmation that one more party may have a national id; `parties` have it already."""

    id: UUID
    reason: str
    confirmed_by: UUID
    confirmed_at: datetime
    parties: list[UUID]


def key_of(national_id: str) -> str:
    """The common form of all spellings of a national id, as stored."""
    return reference_key(national_id)[:KEY_LENGTH]


def select_parties(key: str) -> sa.Select[Any]:
    """Read the parties with a national id, and who created them."""
    return (
        sa.select(party.c.id, party.c.created_by)
        .join_from(party_national_id, party, party.c.id == party_national_id.c.party_id)
        .where(party_national_id.c.national_id_key == key)
        .order_by(party.c.id)
    )


def select_confirmations(key: str) -> sa.Select[Any]:
    """Read the confirmations of a national id that nobody has used, the oldest first."""
    confirmation = national_id_confirmation.c
    return (
        sa.select(*_CONFIRMATION_COLUMNS)
        .where(confirmation.national_id_key == key, confirmation.party_id.is_(None))
        .order_by(confirmation.confirmed_at, confirmation.id)
    )


def select_confirmation(confirmation_id: UUID) -> sa.Select[Any]:
    """Read one confirmation, used or not."""
    return sa.select(*_CONFIRMATION_COLUMNS).where(national_id_confirmation.c.id == confirmation_id)


def use_confirmation(confirmation_id: UUID, **values: Any) -> sa.Update:
    """Use a confirmation, once."""
    confirmation = national_id_confirmation.c
    return (
        sa.update(national_id_confirmation)
        .where(confirmation.id == confirmation_id, confirmation.party_id.is_(None))
        .values(**values)
    )


def delete_key(party_id: UUID) -> sa.Delete:
    """Delete the key of a party."""
    return sa.delete(party_national_id).where(party_national_id.c.party_id == party_id)


def select_keyless(limit: int) -> sa.Select[Any]:
    """Read parties with a national id but without a key."""
    return (
        sa.select(party.c.id, party.c.national_id)
        .outerjoin_from(party, party_national_id, party_national_id.c.party_id == party.c.id)
        .where(party.c.national_id.is_not(None), party_national_id.c.party_id.is_(None))
        .order_by(party.c.id)
        .limit(limit)
    )


class NationalIds:
    """The parties' national ids, always in the caller's transaction; has no state."""

    async def record(self, tx: LakeTransaction, party_id: UUID, national_id: str | None, by: UUID) -> None:
        """Record the national id of a party that was just put on record.

        Raises:
            DuplicateNationalId: another party has it, and no officer has confirmed a second record.
            PartiesBusy: somebody else is recording the same id.
        """
        if national_id is None:
            return
        key = key_of(national_id)
        await self._lock(tx, key)
        others = (await tx.execute(select_parties(key))).all()
        if others:
            confirmed = (await tx.execute(select_confirmations(key))).all()
            usable = next((one.id for one in confirmed if one.confirmed_by != by), None)
            if usable is None:
                raise DuplicateNationalId([one.id for one in others if one.created_by == by])
            values = {"party_id": party_id, "used_by": by, "used_at": datetime.now(UTC)}
            await tx.execute(use_confirmation(usable, **values))
        await tx.execute(INSERT_KEY, {"party_id": party_id, "national_id_key": key})

    async def change(self, tx: LakeTransaction, party_id: UUID, national_id: str | None, by: UUID) -> None:
        """Record the national id of a party that was just changed; raises as `record` does."""
        if not (await tx.execute(delete_key(party_id))).rowcount:
            # `fill` may be adding the key of what the party was: both would add one, or the old key would stay.
            if not await tx.try_lock(FILL_LOCK, LOCK_WAIT_SECONDS):
                raise PartiesBusy
            await tx.execute(delete_key(party_id))
        await self.record(tx, party_id, national_id, by)

    async def confirm(self, tx: LakeTransaction, national_id: str, reason: str, by: UUID) -> Confirmation:
        """Allow one more party with a national id.

        A confirmation of the same officer that is not used yet is given again.

        Raises:
            NothingToConfirm: no party has the id.
            PartiesBusy: somebody else is recording the same id.
        """
        key = key_of(national_id)
        await self._lock(tx, key)
        others = [one.id for one in await tx.execute(select_parties(key))]
        if not others:
            raise NothingToConfirm("No party has this national id: it can be put on record as it is.")
        for one in (await tx.execute(select_confirmations(key))).mappings():
            if one["confirmed_by"] == by:
                return Confirmation(**one, parties=others)
        made = Confirmation(uuid7(), reason, by, datetime.now(UTC), others)
        await tx.execute(
            INSERT_CONFIRMATION,
            {
                "id": made.id,
                "national_id_key": key,
                "reason": made.reason,
                "confirmed_by": made.confirmed_by,
                "confirmed_at": made.confirmed_at,
                "party_id": None,
                "used_by": None,
                "used_at": None,
            },
        )
        return made

    async def confirmation(
        self, reader: LakeReader, confirmation_id: UUID, national_id: str
    ) -> Confirmation | None:
        """A confirmation of `national_id`, used or not; None when there is none with this id."""
        row = (await reader.execute(select_confirmation(confirmation_id))).mappings().first()
        return None if row is None else Confirmation(**row, parties=await self.parties(reader, national_id))

    async def fill(self, lake: Lake) -> int:
        """Add the missing keys of parties that other programs wrote, in one transaction; returns their number."""
        async with lake.transaction(actor="intake") as tx:
            if not await tx.try_lock(FILL_LOCK):
                return 0
            missing = (await tx.execute(select_keyless(FILL_ROWS))).all()
            if missing:
                rows = [{"party_id": one.id, "national_id_key": key_of(one.national_id)} for one in missing]
                await tx.execute(sa.insert(party_national_id).values(rows))
        return len(missing)

    async def keep_filled(self, lake: Lake) -> None:
        """Fill again and again; runs until it is cancelled."""

        async def fill_all() -> None:
            while await self.fill(lake) == FILL_ROWS:
                pass

        failure = "keys of national ids could not be filled"
        await repeat(fill_all, seconds=FILL_EVERY_SECONDS, failure=failure, costly=True)

    async def parties(self, reader: LakeReader, national_id: str) -> list[UUID]:
        """Who has a national id."""
        return [one.id for one in await reader.execute(select_parties(key_of(national_id)))]

    async def _lock(self, tx: LakeTransaction, key: str) -> None:
        # The hash of the id: other sessions can see the names of locks.
        if not await tx.try_lock(f"national-id:{sha256(key.encode()).hexdigest()}", LOCK_WAIT_SECONDS):
            raise PartiesBusy


def statements() -> Iterator[sa.Executable]:
    """Yield an example of every statement on national ids that intake can run."""
    some = UUID(int=1)
    yield from (INSERT_KEY, INSERT_CONFIRMATION)
    yield select_parties("KEY")
    yield select_confirmations("KEY")
    yield select_confirmation(some)
    yield use_confirmation(
        some, party_id=some, used_by=some, used_at=datetime.fromisoformat("2000-01-01T00:00:00Z")
    )
    yield delete_key(some)
    yield select_keyless(1)
    yield sa.insert(party_national_id).values([{"party_id": some, "national_id_key": "KEY"}])
