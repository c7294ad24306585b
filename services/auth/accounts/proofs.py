"""The SQL of what proves a user beside the password: devices, recovery codes, and codes that reset a password."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from services.auth.domain import ResetCode
from services.auth.tables import recovery_codes, reset_codes, totp
from services.chassis.database import ApplicationReader, ApplicationTransaction


async def store_device(tx: ApplicationTransaction, user_id: UUID, secret: bytes, at: datetime) -> bool:
    """Keep a new device's encrypted secret, unconfirmed; False when the user has a confirmed device."""
    values = {"secret_encrypted": secret, "created_at": at, "last_step": 0}
    stored = (
        insert(totp)
        .values(user_id=user_id, **values)
        .on_conflict_do_update(
            index_elements=[totp.c.user_id], set_=values, where=totp.c.confirmed_at.is_(None)
        )
    )
    return (await tx.execute(stored)).rowcount == 1


async def has_device(db: ApplicationReader, user_id: UUID) -> bool:
    """Whether the user has a confirmed device."""
    query = sa.exists().where(_device(user_id, confirmed=True)).select()
    return bool(await db.scalar(query))


async def device_secret(tx: ApplicationTransaction, user_id: UUID, *, confirmed: bool) -> bytes | None:
    """The encrypted secret of the user's confirmed, or of their new device."""
    query = sa.select(totp.c.secret_encrypted).where(_device(user_id, confirmed=confirmed))
    secret: bytes | None = await tx.scalar(query)
    return secret


async def use_step(tx: ApplicationTransaction, user_id: UUID, step: int, *, confirmed: bool) -> bool:
    """Let the code of a time step count; False for a step that is not later than the last one: a replay."""
    later = totp.update().where(_device(user_id, confirmed=confirmed), totp.c.last_step < step)
    return (await tx.execute(later.values(last_step=step))).rowcount == 1


async def confirm_device(tx: ApplicationTransaction, user_id: UUID, at: datetime) -> None:
    """Let the user's new device count."""
    await tx.execute(totp.update().where(totp.c.user_id == user_id).values(confirmed_at=at))


async def remove_device(tx: ApplicationTransaction, user_id: UUID) -> None:
    """Remove the user's device and their recovery codes."""
    for table in (recovery_codes, totp):
        await tx.execute(table.delete().where(table.c.user_id == user_id))


async def replace_recovery_codes(tx: ApplicationTransaction, user_id: UUID, digests: Iterable[bytes]) -> None:
    """Put these recovery codes in place of the user's."""
    await tx.execute(recovery_codes.delete().where(recovery_codes.c.user_id == user_id))
    rows = [{"user_id": user_id, "code_sha256": digest} for digest in digests]
    await tx.execute(recovery_codes.insert(), rows)


async def use_recovery_code(tx: ApplicationTransaction, user_id: UUID, digest: bytes, at: datetime) -> bool:
    """Use up a recovery code; False when there is none such that can be used."""
    own = recovery_codes.c
    used = recovery_codes.update().where(
        own.user_id == user_id, own.code_sha256 == digest, own.used_at.is_(None)
    )
    return (await tx.execute(used.values(used_at=at))).rowcount == 1


async def add_reset_code(tx: ApplicationTransaction, code: ResetCode) -> None:
    """Add a code; those of the user that can be used end."""
    await _end(tx, reset_codes.c.user_id == code.user_id, code.issued_at)
    await tx.execute(reset_codes.insert().values(asdict(code)))


async def lock_waiting_code(
    tx: ApplicationTransaction, user_id: UUID, code_id: UUID, now: datetime
) -> ResetCode | None:
    """The code of this id that waits for a second administrator, locked until the transaction ends."""
    own = reset_codes.c
    query = sa.select(reset_codes).where(
        own.id == code_id,
        own.user_id == user_id,
        own.expires_at > now,
        own.confirmed_at.is_(None),
        own.ended_at.is_(None),
    )
    row = (await tx.execute(query.with_for_update())).mappings().one_or_none()
    return None if row is None else ResetCode(**row)


async def confirm_reset_code(tx: ApplicationTransaction, code_id: UUID, by: UUID, at: datetime) -> None:
    """Let a code be used."""
    confirmed = reset_codes.update().where(reset_codes.c.id == code_id)
    await tx.execute(confirmed.values(confirmed_by=by, confirmed_at=at))


async def usable_reset_code(
    db: ApplicationReader, user_id: UUID | None, digest: bytes, now: datetime
) -> UUID | None:
    """The id of the user's code with this digest, if it can be used; asks for an unknown user too."""
    own = reset_codes.c
    query = sa.select(own.id).where(
        own.code_sha256 == digest,
        own.user_id == user_id,
        own.confirmed_at.is_not(None),
        own.ended_at.is_(None),
        own.expires_at > now,
    )
    code_id: UUID | None = await db.scalar(query)
    return code_id


async def end_reset_code(tx: ApplicationTransaction, code_id: UUID, at: datetime) -> bool:
    """End a code; False when it has ended already."""
    return await _end(tx, reset_codes.c.id == code_id, at) == 1


def _device(user_id: UUID, *, confirmed: bool) -> sa.ColumnElement[bool]:
    return sa.and_(totp.c.user_id == user_id, totp.c.confirmed_at.is_not(None) == confirmed)


async def _end(tx: ApplicationTransaction, which: sa.ColumnElement[bool], at: datetime) -> int:
    live = reset_codes.update().where(which, reset_codes.c.ended_at.is_(None))
    return (await tx.execute(live.values(ended_at=at))).rowcount
