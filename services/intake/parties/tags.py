"""Tags of parties: keyed hashes of what identifies them, by which intake finds equal ones.

A tag is an HMAC of a normalised value: without the key, nobody finds out from the table whose national id, address or
number it is, however few of them there are. The table is not captured. `keep_filled` soon adds the tags of parties that
other programs write (imports, samples, older rows), and replaces those of an earlier key.
"""

import hmac
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from services.intake.domain import Party, PartyDetails, PartyKind, Sought
from services.intake.parties.contacts import email_key, folded, phone_key
from services.intake.parties.national_ids import key_of
from services.intake.upkeep import repeat
from services.lake.database import Lake, LakeTransaction
from services.lake.tables import party, person_tag

SHORTEST_KEY = 32
FILL_ROWS = 1_000
FILL_EVERY_SECONDS = 60.0

INSERT_TAGS = sa.insert(person_tag)


class Tagged(StrEnum):
    """What is tagged; the tag is in the column `<value>_tag`."""

    NATIONAL_ID = "national_id"
    EMAIL = "email"
    PHONE = "phone"
    PERSON = "person"
    """Birth date and name."""

    @property
    def column(self) -> sa.ColumnElement[bytes]:
        """The column of its tags."""
        column: sa.ColumnElement[bytes] = person_tag.c[f"{self}_tag"]
        return column


def normalised(details: PartyDetails | Sought) -> dict[Tagged, str]:
    """The common form of all spellings of what identifies a party; only of what is known of it."""
    known: dict[Tagged, str] = {}
    if details.national_id is not None:
        known[Tagged.NATIONAL_ID] = key_of(details.national_id)
    if details.email is not None:
        known[Tagged.EMAIL] = email_key(details.email)
    if details.phone is not None:
        known[Tagged.PHONE] = phone_key(details.phone)
    if isinstance(details, PartyDetails) and details.birth_date is not None:
        known[Tagged.PERSON] = (
            f"{details.birth_date.isoformat()} {' '.join(folded(details.full_name).split())}"
        )
    return known


class TagKeys:
    """The keys of tags: the first one makes them, all of them find."""

    def __init__(self, keys: str) -> None:
        """`keys`: one, or several separated by commas.

        Raises:
            ValueError: one is shorter than SHORTEST_KEY characters.
        """
        self._keys = [one.strip().encode() for one in keys.split(",")]
        if any(len(one) < SHORTEST_KEY for one in self._keys):
            raise ValueError(f"each key of PERSON_TAG_KEY needs {SHORTEST_KEY} characters or more")

    @property
    def newest(self) -> str:
        """A name of the first key, from which the key cannot be found."""
        return hmac.digest(self._keys[0], b"name of the key", "sha256").hex()[:16]

    def tags(self, kind: Tagged, value: str) -> list[bytes]:
        """The tags of a normalised value, that of the first key first."""
        # The kind keeps a number apart that is somebody's national id and somebody's phone.
        return [hmac.digest(key, f"{kind}\0{value}".encode(), "sha256") for key in self._keys]

    def row(self, details: PartyDetails, revision: int) -> dict[str, Any]:
        """The tags of a party at a revision, by column."""
        known = normalised(details)
        tags = {f"{kind}_tag": self.tags(kind, known[kind])[0] if kind in known else None for kind in Tagged}
        return {**tags, "key_id": self.newest, "party_revision": revision}


def update_tags(party_id: UUID, values: dict[str, Any]) -> sa.Update:
    """Replace the tags of a party that has some."""
    return sa.update(person_tag).where(person_tag.c.party_id == party_id).values(**values)


def select_untagged(key_id: str, limit: int) -> sa.Select[Any]:
    """Read parties whose tags are missing, older than they are, or of another key than `key_id`."""
    details = [party.c[name] for name in PartyDetails.__dataclass_fields__]
    tags = person_tag.c
    return (
        sa.select(party.c.id, party.c.revision, tags.party_id.label("tagged"), *details)
        .outerjoin_from(party, person_tag, tags.party_id == party.c.id)
        .where(
            sa.or_(tags.party_id.is_(None), tags.key_id != key_id, tags.party_revision != party.c.revision)
        )
        .order_by(party.c.id)
        .limit(limit)
    )


class PersonTags:
    """The tags of parties, always in the caller's transaction."""

    def __init__(self, keys: TagKeys) -> None:
        """`keys`: of this installation, the same for all processes."""
        self._keys = keys

    def of(self, details: PartyDetails | Sought) -> dict[Tagged, Sequence[bytes]]:
        """The tags of every key by which parties with these details are found."""
        return {kind: self._keys.tags(kind, value) for kind, value in normalised(details).items()}

    async def add(self, tx: LakeTransaction, new: Party) -> None:
        """Tag a party that was just put on record."""
        await tx.execute(INSERT_TAGS, {"party_id": new.id, **self._keys.row(new.details, new.revision)})

    async def change(self, tx: LakeTransaction, changed: Party) -> None:
        """Replace the tags of a party that was just changed."""
        # A party that has none yet gets them from `fill`: an INSERT here could meet that of `fill`, and fail.
        await tx.execute(update_tags(changed.id, self._keys.row(changed.details, changed.revision)))

    async def fill(self, lake: Lake) -> int:
        """Tag parties that other programs wrote, or another key tagged, in one transaction; returns their number."""
        async with lake.transaction(actor="intake") as tx:
            if not await tx.try_lock("intake:person-tags"):
                return 0
            rows = (await tx.execute(select_untagged(self._keys.newest, FILL_ROWS))).mappings().all()
            new = []
            for row in rows:
                details = PartyDetails(
                    PartyKind(row["kind"]),
                    **{name: row[name] for name in PartyDetails.__dataclass_fields__ if name != "kind"},
                )
                values = self._keys.row(details, row["revision"])
                if row["tagged"] is None:
                    new.append({"party_id": row["id"], **values})
                else:
                    await tx.execute(update_tags(row["id"], values))
            if new:
                await tx.execute(INSERT_TAGS, new)
        return len(rows)

    async def keep_filled(self, lake: Lake) -> None:
        """Fill again and again; runs until it is cancelled."""

        async def fill_all() -> None:
            while await self.fill(lake) == FILL_ROWS:
                pass

        # It compares all parties with all tags.
        failure = "tags of parties could not be filled"
        await repeat(fill_all, seconds=FILL_EVERY_SECONDS, failure=failure, costly=True)


def statements() -> Iterator[sa.Executable]:
    """Yield an example of every statement on tags that intake can run."""
    yield INSERT_TAGS
    yield update_tags(UUID(int=1), {"key_id": "KEY", "email_tag": bytes(32)})
    yield select_untagged("KEY", 1)
