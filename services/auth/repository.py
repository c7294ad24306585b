"""All SQL of the auth service."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from services.auth.domain import Account, Failures, is_username
from services.auth.keys import StoredKey
from services.auth.tables import login_failures, sessions, signing_keys, users
from services.chassis.access import Role
from services.chassis.database import ApplicationReader, ApplicationTransaction

# Any constant: instances that would both make a new signing key wait for each other.
_KEY_CREATION_LOCK = 0x61757468


async def find_user(db: ApplicationReader, username: str) -> Account | None:
    """The user of this name, upper and lower case alike."""
    if not is_username(username):
        return None
    found = await db.execute(sa.select(users).where(sa.func.lower(users.c.username) == username.lower()))
    row = found.mappings().one_or_none()
    return None if row is None else _account(row)


async def get_user(db: ApplicationReader, user_id: UUID) -> Account | None:
    """The user of this id."""
    row = (await db.execute(sa.select(users).where(users.c.id == user_id))).mappings().one_or_none()
    return None if row is None else _account(row)


async def list_users(db: ApplicationReader, *, after: str, limit: int) -> list[Account]:
    """The first `limit` users whose names, in lower case, come behind `after`."""
    name = sa.func.lower(users.c.username)
    page = sa.select(users).where(name > after.lower()).order_by(name).limit(limit)
    return [_account(row) for row in (await db.execute(page)).mappings()]


async def add_user(tx: ApplicationTransaction, account: Account) -> None:
    """Insert a user; raises sqlalchemy's IntegrityError when the name is taken."""
    await tx.execute(
        users.insert().values(
            id=account.id,
            username=account.username,
            display_name=account.display_name,
            password_hash=account.password_hash,
            roles=sorted(account.roles),
            disabled=account.disabled,
            created_at=account.created_at,
        )
    )


async def update_user(tx: ApplicationTransaction, account: Account) -> None:
    """Store the roles, status and password of a user."""
    await tx.execute(
        users.update()
        .where(users.c.id == account.id)
        .values(roles=sorted(account.roles), disabled=account.disabled, password_hash=account.password_hash)
    )


async def replace_hash(tx: ApplicationTransaction, user_id: UUID, old: str, new: str) -> None:
    """Store the password hash `new`, unless another change has replaced `old` meanwhile."""
    await tx.execute(
        users.update().where(users.c.id == user_id, users.c.password_hash == old).values(password_hash=new)
    )


async def lock_administrators(tx: ApplicationTransaction) -> frozenset[UUID]:
    """The users who administer now, locked, so that no two changes remove the last two at once."""
    administrators = (
        sa.select(users.c.id)
        .where(users.c.roles.contains([Role.ADMINISTRATOR.value]), sa.not_(users.c.disabled))
        .order_by(users.c.id)
        .with_for_update()
    )
    return frozenset((await tx.execute(administrators)).scalars())


async def failures(db: ApplicationReader, username: str) -> Failures:
    """The failed logins under this name."""
    query = sa.select(login_failures.c.failed, login_failures.c.last_at).where(
        login_failures.c.name_sha256 == _digest(username)
    )
    row = (await db.execute(query)).one_or_none()
    return Failures() if row is None else Failures(row.failed, row.last_at)


async def add_failure(tx: ApplicationTransaction, username: str, now: datetime) -> None:
    """Count one more failed login under this name."""
    # The row is made before it is locked and read: two first failures at once must count as two.
    await tx.execute(
        insert(login_failures)
        .values(name_sha256=_digest(username), failed=0, last_at=now)
        .on_conflict_do_nothing()
    )
    mine = login_failures.c.name_sha256 == _digest(username)
    locked = sa.select(login_failures.c.failed, login_failures.c.last_at).where(mine).with_for_update()
    row = (await tx.execute(locked)).one()
    counted = Failures(row.failed, row.last_at).after_another(now)
    await tx.execute(login_failures.update().where(mine).values(failed=counted.count, last_at=now))


async def clear_failures(tx: ApplicationTransaction, username: str) -> None:
    """Forget the failed logins under this name."""
    await tx.execute(login_failures.delete().where(login_failures.c.name_sha256 == _digest(username)))


async def forget_old(
    tx: ApplicationTransaction, *, failures_before: datetime, sessions_before: datetime
) -> None:
    """Delete failed logins and expired sessions that no longer matter, and keys no longer published."""
    await tx.execute(login_failures.delete().where(login_failures.c.last_at < failures_before))
    await tx.execute(sessions.delete().where(sessions.c.expires_at < sessions_before))
    await tx.execute(signing_keys.delete().where(signing_keys.c.published_until < sessions_before))


async def add_session(
    tx: ApplicationTransaction, session_id: UUID, user_id: UUID, issued_at: datetime, expires_at: datetime
) -> None:
    """Insert the session of one login."""
    await tx.execute(
        sessions.insert().values(id=session_id, user_id=user_id, issued_at=issued_at, expires_at=expires_at)
    )


async def lock_user(tx: ApplicationTransaction, user_id: UUID) -> Account | None:
    """The user of this id, who does not change before the transaction ends."""
    locked = sa.select(users).where(users.c.id == user_id).with_for_update(read=True)
    row = (await tx.execute(locked)).mappings().one_or_none()
    return None if row is None else _account(row)


async def lock_for_change(tx: ApplicationTransaction, user_id: UUID) -> Account | None:
    """The user of this id, whom nobody else changes, and nobody logs in as, before the transaction ends."""
    locked = sa.select(users).where(users.c.id == user_id).with_for_update()
    row = (await tx.execute(locked)).mappings().one_or_none()
    return None if row is None else _account(row)


async def set_password(tx: ApplicationTransaction, user_id: UUID, password_hash: str) -> None:
    """Store the hash of a user's new password."""
    await tx.execute(users.update().where(users.c.id == user_id).values(password_hash=password_hash))


async def ended_sessions(db: ApplicationReader, since: datetime) -> list[UUID]:
    """The sessions that were ended later than `since`, in the order of their ids."""
    ended = sa.select(sessions.c.id).where(sessions.c.revoked_at > since).order_by(sessions.c.id)
    return list((await db.execute(ended)).scalars())


async def session_user(db: ApplicationReader, session_id: UUID, now: datetime) -> Account | None:
    """The user of a session that is neither revoked nor expired and whose user is not disabled."""
    query = (
        sa.select(users)
        .join(sessions, sessions.c.user_id == users.c.id)
        .where(
            sessions.c.id == session_id,
            sessions.c.revoked_at.is_(None),
            sessions.c.expires_at > now,
            sa.not_(users.c.disabled),
        )
    )
    row = (await db.execute(query)).mappings().one_or_none()
    return None if row is None else _account(row)


async def revoke_session(tx: ApplicationTransaction, session_id: UUID, now: datetime) -> None:
    """End one session; ending it again changes nothing."""
    await tx.execute(
        sessions.update()
        .where(sessions.c.id == session_id, sessions.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )


async def revoke_sessions_of(
    tx: ApplicationTransaction, user_id: UUID, now: datetime, *, but: UUID | None = None
) -> None:
    """End every session of a user, except the one named `but`."""
    ended = sessions.update().where(
        sessions.c.user_id == user_id, sessions.c.revoked_at.is_(None), sessions.c.expires_at > now
    )
    if but is not None:
        ended = ended.where(sessions.c.id != but)
    await tx.execute(ended.values(revoked_at=now))


async def published_keys(db: ApplicationReader, now: datetime) -> list[StoredKey]:
    """The signing keys that still verify tokens, oldest first."""
    query = (
        sa.select(signing_keys)
        .where(signing_keys.c.published_until > now)
        .order_by(signing_keys.c.signs_from, signing_keys.c.id)
    )
    return [StoredKey(**row) for row in (await db.execute(query)).mappings()]


async def lock_key_creation(tx: ApplicationTransaction) -> None:
    """Wait until no other instance is making a signing key; held to the end of the transaction."""
    await tx.execute(sa.select(sa.func.pg_advisory_xact_lock(_KEY_CREATION_LOCK)))


async def add_key(tx: ApplicationTransaction, key: StoredKey) -> None:
    """Insert a signing key."""
    await tx.execute(
        signing_keys.insert().values(
            id=key.id,
            public_key=key.public_key,
            private_key_encrypted=key.private_key_encrypted,
            created_at=key.created_at,
            signs_from=key.signs_from,
            published_until=key.published_until,
        )
    )


def _digest(username: str) -> bytes:
    # Also names that no user can have are counted, so what is stored must not be what was typed.
    return hashlib.sha256(username.lower().encode("utf-8", "replace")).digest()


def _account(row: Mapping[Any, Any]) -> Account:
    values = dict(row)
    roles: Sequence[str] = values.pop("roles")
    return Account(**values, roles=frozenset(Role(role) for role in roles))
