"""The chain of refresh tokens of a session: how a token leads to the next one, and its SQL."""

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from services.auth.domain import Account, Session
from services.auth.repository import account_of
from services.auth.tables import refresh_tokens, sessions, users
from services.chassis.database import ApplicationReader, ApplicationTransaction, beyond
from services.chassis.web.paging import Cursor

TOKEN_BYTES = 32


class RefreshKey:
    """Derives each refresh token from the one before: a repeated request gets the identical answer.

    The child is HMAC-SHA256(key, parent), so nothing that opens a session is stored, and nobody without the key can
    compute the next token from one that leaked.
    """

    def __init__(self, secret: bytes) -> None:
        """`secret`: the key that encrypts the signing keys; the key used here is derived from it (RFC 5869)."""
        self._key = HKDF(SHA256(), TOKEN_BYTES, salt=None, info=b"creditmesh refresh tokens").derive(secret)

    def child(self, parent: str) -> str:
        """The token that follows `parent`."""
        return _text(hmac.digest(self._key, parent.encode(), "sha256"))


def first_token() -> str:
    """A new random token, with which a chain begins."""
    return _text(secrets.token_bytes(TOKEN_BYTES))


def digest(token: str) -> bytes:
    """The SHA-256 of a token, by which it is stored and found; any text has one."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


@dataclass(frozen=True, slots=True)
class Link:
    """A refresh token as stored."""

    id: UUID
    session_id: UUID
    token_sha256: bytes
    parent_id: UUID | None
    issued_at: datetime
    expires_at: datetime
    used_at: datetime | None = None


async def add(tx: ApplicationTransaction, link: Link) -> None:
    """Insert a token."""
    await tx.execute(refresh_tokens.insert().values(asdict(link)))


async def use(tx: ApplicationTransaction, token_sha256: bytes, now: datetime) -> Link | None:
    """Mark an unused, unexpired token as used; None when it is neither, or unknown.

    Of transactions that try at once, one gets the token; the others wait for its end and get None.
    """
    own = refresh_tokens.c
    used = (
        refresh_tokens.update()
        .where(own.token_sha256 == token_sha256, own.used_at.is_(None), own.expires_at > now)
        .values(used_at=now)
        .returning(refresh_tokens)
    )
    row = (await tx.execute(used)).mappings().one_or_none()
    return None if row is None else Link(**row)


async def find(tx: ApplicationTransaction, token_sha256: bytes) -> Link | None:
    """The token with this digest."""
    query = sa.select(refresh_tokens).where(refresh_tokens.c.token_sha256 == token_sha256)
    row = (await tx.execute(query)).mappings().one_or_none()
    return None if row is None else Link(**row)


async def child_of(tx: ApplicationTransaction, parent: Link) -> Link | None:
    """The token that followed `parent`, locked: nobody uses it before the transaction ends."""
    query = sa.select(refresh_tokens).where(refresh_tokens.c.parent_id == parent.id).with_for_update()
    row = (await tx.execute(query)).mappings().one_or_none()
    return None if row is None else Link(**row)


async def extend(
    tx: ApplicationTransaction, session_id: UUID, now: datetime, until: datetime
) -> tuple[Session, Account] | None:
    """Let the access tokens of a session live to `until`; None when the session has ended or its user is disabled.

    The row is locked before the user is read: a change of the user that is under way has either ended the session, or
    ends it after this transaction, with the token that it issues.
    """
    own = sessions.c
    extended = (
        sessions.update()
        .where(own.id == session_id, own.revoked_at.is_(None), own.ends_at > now)
        .values(expires_at=sa.func.greatest(own.expires_at, sa.func.least(until, own.ends_at)))
        .returning(sessions)
    )
    row = (await tx.execute(extended)).mappings().one_or_none()
    if row is None:
        return None
    query = sa.select(users).where(users.c.id == row["user_id"], sa.not_(users.c.disabled))
    user = (await tx.execute(query)).mappings().one_or_none()
    return None if user is None else (_session(row), account_of(user))


@dataclass(frozen=True, slots=True)
class LiveSession:
    """A session that goes on, as its user sees it."""

    id: UUID
    started_at: datetime
    last_used_at: datetime
    """The time of its newest refresh, or of its login."""
    expires_at: datetime
    """When it ends unless it is refreshed."""
    ends_at: datetime
    network: str | None
    amr: tuple[str, ...]


async def live_sessions(
    db: ApplicationReader, user_id: UUID, now: datetime, after: Cursor | None, limit: int
) -> list[LiveSession]:
    """At most `limit` sessions of a user that can still be used, after `after`, newest first."""
    own, newest = sessions.c, refresh_tokens.c
    expires_at = sa.func.greatest(own.expires_at, newest.expires_at)
    query = (
        sa.select(
            own.id,
            own.issued_at.label("started_at"),
            sa.func.coalesce(newest.issued_at, own.issued_at).label("last_used_at"),
            expires_at.label("expires_at"),
            own.ends_at,
            own.network,
            own.amr,
        )
        .outerjoin(refresh_tokens, sa.and_(newest.session_id == own.id, newest.used_at.is_(None)))
        .where(own.user_id == user_id, own.revoked_at.is_(None), own.ends_at > now, expires_at > now)
        .order_by(own.issued_at.desc(), own.id.desc())
        .limit(limit)
    )
    if after is not None:
        query = query.where(beyond(own.issued_at, own.id, (after.at, after.id), descending=True))
    rows = (await db.execute(query)).mappings()
    return [LiveSession(**{**row, "amr": tuple(row["amr"])}) for row in rows]


def _session(row: Mapping[Any, Any]) -> Session:
    return Session(row["id"], row["user_id"], row["issued_at"], row["ends_at"], tuple(row["amr"]))


def _text(token: bytes) -> str:
    return urlsafe_b64encode(token).rstrip(b"=").decode()
