"""All SQL of claims."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from services.approval.claims.domain import Claim
from services.lake.database import LakeReader, LakeTransaction
from services.lake.tables import application, claim

INSERT_CLAIM = sa.insert(claim)


def counting(now: datetime) -> sa.ColumnElement[bool]:
    """The condition that a claim is of the application and still counts: joins `claim` to `application`."""
    return sa.and_(
        claim.c.application_id == application.c.id,
        claim.c.revision == application.c.revision,
        claim.c.expires_at > now,
    )


def select_claim(application_id: UUID) -> sa.Select[Any]:
    """Read an application's claim, whether or not it still counts."""
    return sa.select(claim).where(claim.c.application_id == application_id)


def update_claim(written: Claim) -> sa.Update:
    """Replace an application's claim."""
    return sa.update(claim).where(claim.c.application_id == written.application_id).values(**asdict(written))


def extend_claim(application_id: UUID, claimed_by: UUID, now: datetime, until: datetime) -> sa.Update:
    """Extend a person's claim that still counts."""
    return (
        sa.update(claim)
        .where(
            claim.c.application_id == application_id,
            claim.c.claimed_by == claimed_by,
            claim.c.expires_at > now,
        )
        .values(expires_at=until)
    )


def delete_claim(application_id: UUID) -> sa.Delete:
    """End an application's claim."""
    return sa.delete(claim).where(claim.c.application_id == application_id)


class ClaimRepository:
    """Reads and writes claims, always in the caller's transaction."""

    async def claim(self, reader: LakeReader, application_id: UUID) -> Claim | None:
        """The application's claim as it was last written."""
        row = (await reader.execute(select_claim(application_id))).mappings().first()
        return None if row is None else Claim(**row)

    async def write(self, tx: LakeTransaction, written: Claim) -> None:
        """Write the application's claim, of which there is one; the caller holds its lock."""
        if not (await tx.execute(update_claim(written))).rowcount:
            await tx.execute(INSERT_CLAIM, asdict(written))

    async def extend(
        self, tx: LakeTransaction, application_id: UUID, claimed_by: UUID, *, now: datetime, until: datetime
    ) -> bool:
        """Extend the person's claim; False when they have none that counts."""
        done = await tx.execute(extend_claim(application_id, claimed_by, now, until))
        return done.rowcount == 1

    async def end(self, tx: LakeTransaction, application_id: UUID) -> None:
        """End the application's claim."""
        await tx.execute(delete_claim(application_id))


def statements() -> Iterator[sa.Executable]:
    """Yield an example of every statement of claims."""
    some = UUID(int=1)
    at = datetime.fromisoformat("2000-01-01T00:00:00Z")
    yield INSERT_CLAIM
    yield select_claim(some)
    yield update_claim(Claim(some, 1, some, at, at))
    yield extend_claim(some, some, at, at)
    yield delete_claim(some)
