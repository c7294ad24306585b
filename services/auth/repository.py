"""All SQL of the auth service."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from services.auth.accounts.audit import name_digest
from services.auth.domain import Account, Failures, NetworkFailures, Session, is_username
from services.auth.tables import (
    login_failures,
    network_failures,
    refresh_tokens,
    sessions,
    signing_keys,
    users,
)
from services.auth.tokens.keys import StoredKey
from services.chassis.database import ApplicationReader, ApplicationTransaction
from services.lake.domain.roles import Role

# Any constant: two instances must not create a signing key at the same time.
_KEY_CREATION_LOCK = 0x61757468


async def find_user(db: ApplicationReader, username: str) -> Account | None:
    """The user of this name, ignoring case."""
    if not is_username(username):
        return None
    found = await db.execute(sa.select(users).where(sa.func.lower(users.c.username) == username.lower()))
    row = found.mappings().one_or_none()
    return None if row is None else account_of(row)


async def get_user(db: ApplicationReader, user_id: UUID) -> Account | None:
    """The user of this id."""
    row = (await db.execute(sa.select(users).where(users.c.id == user_id))).mappings().one_or_none()
    return None if row is None else account_of(row)


async def list_users(db: ApplicationReader, *, after: str, limit: int) -> list[Account]:
    """The first `limit` users whose names, in lower case, come after `after`."""
    name = sa.func.lower(users.c.username)
    page = sa.select(users).where(name > after.lower()).order_by(name).limit(limit)
    return [account_of(row) for row in (await db.execute(page)).mappings()]


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
            must_change_password=account.must_change_password,
        )
    )


async def update_user(tx: ApplicationTransaction, account: Account) -> None:
    """Store the roles, status and password of a user."""
    await tx.execute(
        users.update()
        .where(users.c.id == account.id)
        .values(
            roles=sorted(account.roles),
            disabled=account.disabled,
            password_hash=account.password_hash,
            must_change_password=account.must_change_password,
        )
    )


async def replace_hash(tx: ApplicationTransaction, user_id: UUID, old: str, new: str) -> None:
    """Store the password hash `new`, unless another transaction has replaced `old`."""
    await tx.execute(
        users.update().where(users.c.id == user_id, users.c.password_hash == old).values(password_hash=new)
    )


async def lock_administrators(tx: ApplicationTransaction) -> frozenset[UUID]:
    """The current administrators, locked, so that two transactions cannot remove the last two at once."""
    administrators = (
        sa.select(users.c.id)
        .where(users.c.roles.contains([Role.ADMINISTRATOR.value]), sa.not_(users.c.disabled))
        .order_by(users.c.id)
        .with_for_update()
    )
    return frozenset((await tx.execute(administrators)).scalars())


async def failures(db: ApplicationReader, username: str, network: str) -> Failures:
    """The failed logins under this name from this network."""
    query = sa.select(login_failures.c.failed, login_failures.c.last_at).where(_tried(username, network))
    row = (await db.execute(query)).one_or_none()
    return Failures() if row is None else Failures(row.failed, row.last_at)


async def failures_of_network(db: ApplicationReader, network: str) -> NetworkFailures:
    """The failed logins from this network."""
    query = sa.select(network_failures.c.failed, network_failures.c.since).where(
        network_failures.c.network == network
    )
    row = (await db.execute(query)).one_or_none()
    return NetworkFailures() if row is None else NetworkFailures(row.failed, row.since)


async def add_failure(tx: ApplicationTransaction, username: str, network: str, now: datetime) -> Failures:
    """Count one more failed login under this name from this network; returns how many there are."""
    # Insert the rows before locking and reading them: two concurrent first failures must count as two.
    await tx.execute(
        insert(login_failures)
        .values(name_sha256=name_digest(username), network=network, failed=0, last_at=now)
        .on_conflict_do_nothing()
    )
    await tx.execute(
        insert(network_failures).values(network=network, failed=0, since=now).on_conflict_do_nothing()
    )
    mine = _tried(username, network)
    locked = sa.select(login_failures.c.failed, login_failures.c.last_at).where(mine).with_for_update()
    row = (await tx.execute(locked)).one()
    counted = Failures(row.failed, row.last_at).after_another(now)
    await tx.execute(login_failures.update().where(mine).values(failed=counted.count, last_at=now))
    ours = network_failures.c.network == network
    every = sa.select(network_failures.c.failed, network_failures.c.since).where(ours).with_for_update()
    row = (await tx.execute(every)).one()
    of_all = NetworkFailures(row.failed, row.since).after_another(now)
    await tx.execute(network_failures.update().where(ours).values(failed=of_all.count, since=of_all.since))
    return counted


async def clear_failures(tx: ApplicationTransaction, username: str, network: str | None = None) -> None:
    """Delete the failed logins under this name; with `network`, only those from it."""
    tried = login_failures.c.name_sha256 == name_digest(username)
    if network is not None:
        tried = _tried(username, network)
    await tx.execute(login_failures.delete().where(tried))


async def forget_old(
    tx: ApplicationTransaction,
    *,
    failures_before: datetime,
    refreshes_before: datetime,
    sessions_before: datetime,
) -> None:
    """Delete what expired before these times: failed logins, refresh tokens, sessions, and unpublished keys."""
    await tx.execute(refresh_tokens.delete().where(refresh_tokens.c.expires_at < refreshes_before))
    await tx.execute(login_failures.delete().where(login_failures.c.last_at < failures_before))
    await tx.execute(network_failures.delete().where(network_failures.c.since < failures_before))
    await tx.execute(sessions.delete().where(sessions.c.expires_at < sessions_before))
    await tx.execute(signing_keys.delete().where(signing_keys.c.published_until < sessions_before))


async def add_session(
    tx: ApplicationTransaction, session: Session, expires_at: datetime, network: str
) -> None:
    """Insert the session of one login from `network`, whose first access token expires at `expires_at`."""
    await tx.execute(
        sessions.insert().values(
            id=session.id,
            user_id=session.user_id,
            issued_at=session.issued_at,
            expires_at=expires_at,
            ends_at=session.ends_at,
            amr=list(session.amr),
            network=network,
        )
    )


async def has_logged_in_from(db: ApplicationReader, user_id: UUID, network: str, since: datetime) -> bool:
    """Whether the user has logged in from `network` later than `since`."""
    query = (
        sa.exists()
        .where(sessions.c.user_id == user_id, sessions.c.network == network, sessions.c.issued_at > since)
        .select()
    )
    return bool(await db.scalar(query))


async def lock_user(tx: ApplicationTransaction, user_id: UUID) -> Account | None:
    """The user of this id, with a lock against changes until the transaction ends."""
    locked = sa.select(users).where(users.c.id == user_id).with_for_update(read=True)
    row = (await tx.execute(locked)).mappings().one_or_none()
    return None if row is None else account_of(row)


async def lock_for_change(tx: ApplicationTransaction, user_id: UUID) -> Account | None:
    """The user of this id, with a lock against changes and logins until the transaction ends."""
    locked = sa.select(users).where(users.c.id == user_id).with_for_update()
    row = (await tx.execute(locked)).mappings().one_or_none()
    return None if row is None else account_of(row)


async def ended_sessions(
    db: ApplicationReader, *, ended_after: datetime, expiring_after: datetime
) -> list[UUID]:
    """The sessions that were ended before they would have expired, in the order of their ids.

    Args:
        db: where to read.
        ended_after: only sessions that ended later than this; lets the query use the index, which has no expiry.
        expiring_after: only sessions whose tokens expire later than this.
    """
    ended = (
        sa.select(sessions.c.id)
        .where(sessions.c.revoked_at > ended_after, sessions.c.expires_at > expiring_after)
        .order_by(sessions.c.id)
    )
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
    return None if row is None else account_of(row)


async def user_id_of_session(db: ApplicationReader, session_id: UUID) -> UUID | None:
    """The user of a session, ended or not."""
    found: UUID | None = await db.scalar(sa.select(sessions.c.user_id).where(sessions.c.id == session_id))
    return found


async def revoke_session(tx: ApplicationTransaction, session_id: UUID, now: datetime) -> bool:
    """End one session; False when it had ended."""
    ended = await tx.execute(
        sessions.update()
        .where(sessions.c.id == session_id, sessions.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    return ended.rowcount == 1


async def revoke_sessions_of(
    tx: ApplicationTransaction, user_id: UUID, now: datetime, *, but: UUID | None = None
) -> None:
    """End every session of a user, except the one named `but`."""
    ended = sessions.update().where(
        sessions.c.user_id == user_id, sessions.c.revoked_at.is_(None), sessions.c.ends_at > now
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
    """Wait until no other instance creates a signing key; the lock lasts until the end of the transaction."""
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


def _tried(username: str, network: str) -> sa.ColumnElement[bool]:
    # Names that no user can have are counted too, and may be passwords: do not store the typed text.
    return sa.and_(login_failures.c.name_sha256 == name_digest(username), login_failures.c.network == network)


def account_of(row: Mapping[Any, Any]) -> Account:
    """The user of a row of `users`."""
    values = dict(row)
    roles: Sequence[str] = values.pop("roles")
    return Account(**values, roles=frozenset(Role(role) for role in roles))
