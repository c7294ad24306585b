"""The sessions of people in the application database: opened, used, checked with auth, and ended."""

import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import sqlalchemy as sa
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from services.chassis.database import ApplicationDatabase, ApplicationTransaction
from services.chassis.telemetry.logging import get_logger
from services.chassis.web.problems import Unavailable
from services.dashboard.clients.auth import Auth, AuthUnreachable
from services.dashboard.sessions.domain import (
    IDLE,
    LONGEST,
    RECHECK,
    REFRESH_BEFORE,
    RETRY,
    SEEN_AGAIN,
    Person,
    Session,
    Tokens,
)
from services.dashboard.tables import sessions

_log = get_logger(__name__)


def utc_now() -> datetime:
    """The time now."""
    return datetime.now(UTC)


def key_of(cookie: str) -> bytes:
    """What a session is stored under."""
    return hashlib.sha256(cookie.encode()).digest()


class Sessions:
    """Sessions over the application database, with tokens that auth issues."""

    def __init__(
        self,
        database: ApplicationDatabase,
        auth: Auth,
        keys: Sequence[str],
        *,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """`keys` encrypt tokens: the first is used, the others still decrypt; `clock` tells the time."""
        self._database = database
        self._auth = auth
        self._fernet = MultiFernet([Fernet(key) for key in keys])
        self._clock = clock

    async def open(self, tokens: Tokens, person: Person) -> str:
        """Store a new session; returns the value of its cookie, which is nowhere else."""
        cookie, now = secrets.token_urlsafe(32), self._clock()
        async with self._database.transaction() as tx:
            await tx.execute(
                sa.delete(sessions).where(sa.or_(sessions.c.ends_at <= now, sessions.c.seen_at <= now - IDLE))
            )
            await tx.execute(
                sa.insert(sessions),
                {
                    "cookie_sha256": key_of(cookie),
                    "user_id": person.id,
                    "username": person.username,
                    "display_name": person.display_name,
                    "roles": list(person.roles),
                    "created_at": now,
                    "seen_at": now,
                    "checked_at": now,
                    "ends_at": now + LONGEST,
                    **self._stored(tokens),
                },
            )
        return cookie

    async def find(self, cookie: str) -> Session | None:
        """The session of a cookie with a valid access token; None when there is none, or no longer.

        Raises:
            Unavailable: its access token has expired, and auth does not answer.
        """
        key, now = key_of(cookie), self._clock()
        async with self._database.reading() as reader:
            row = (await reader.execute(sa.select(sessions).where(sessions.c.cookie_sha256 == key))).first()
        if row is None or not _goes_on(row, now):
            return None
        if self._is_due(row, now):
            return await self._renewed(key, now)
        return self._session(row)

    async def end(self, cookie: str) -> None:
        """Forget a session, and have auth end it."""
        async with self._database.transaction() as tx:
            row = (
                await tx.execute(
                    sa.delete(sessions)
                    .where(sessions.c.cookie_sha256 == key_of(cookie))
                    .returning(sessions.c.tokens_encrypted, sessions.c.access_expires_at)
                )
            ).first()
        tokens = None if row is None else self._tokens(row)
        if tokens is not None:
            try:
                await self._auth.revoke(tokens)
            except AuthUnreachable:
                # Nobody has the tokens any more: they were here alone, and are deleted.
                _log.warning("auth was not told of a logout: it does not answer")

    def _is_due(self, row: Any, now: datetime) -> bool:
        return _asks_auth(row, now) or bool(row.seen_at <= now - SEEN_AGAIN)

    async def _renewed(self, key: bytes, now: datetime) -> Session | None:
        """Do what is due, one request of a session at a time: a refresh token that is used twice ends the session."""
        async with self._database.transaction() as tx:
            row = (
                await tx.execute(sa.select(sessions).where(sessions.c.cookie_sha256 == key).with_for_update())
            ).first()
            if row is None or not _goes_on(row, now):
                return None
            session = await self._checked(tx, row, now) if self._is_due(row, now) else self._session(row)
            if session is None:
                await tx.execute(sa.delete(sessions).where(sessions.c.cookie_sha256 == key))
            return session

    async def _checked(self, tx: ApplicationTransaction, row: Any, now: datetime) -> Session | None:
        session, tokens = self._session(row), self._tokens(row)
        if session is None or tokens is None:
            return None
        changes: dict[str, Any] = {"seen_at": now}
        if _asks_auth(row, now):
            changes["checked_at"] = now
            try:
                if tokens.expires_at <= now + REFRESH_BEFORE:
                    refreshed = await self._auth.refresh(tokens, now)
                    if refreshed is None:
                        return None
                    tokens = refreshed
                    changes |= self._stored(tokens)
                    session = replace(session, access_token=tokens.access)
                person = await self._auth.person(tokens.access)
                if person is None:
                    return None
                changes |= {"display_name": person.display_name, "roles": list(person.roles)}
                session = replace(session, person=person)
            except AuthUnreachable as error:
                # The services refuse an ended session by themselves, so it may go on here while its token is valid.
                if tokens.expires_at <= now:
                    raise Unavailable("Logins cannot be checked at the moment; try again shortly.") from error
                # Not every request of the session waits for an auth that does not answer.
                changes["checked_at"] = now - RECHECK + RETRY
        await tx.execute(sa.update(sessions).where(sessions.c.cookie_sha256 == row.cookie_sha256), changes)
        return session

    def _session(self, row: Any) -> Session | None:
        tokens = self._tokens(row)
        if tokens is None:
            return None
        person = Person(row.user_id, row.username, row.display_name, tuple(row.roles))
        return Session(row.cookie_sha256, person, tokens.access)

    def _stored(self, tokens: Tokens) -> dict[str, Any]:
        text = orjson.dumps({"access": tokens.access, "refresh": tokens.refresh})
        return {"tokens_encrypted": self._fernet.encrypt(text), "access_expires_at": tokens.expires_at}

    def _tokens(self, row: Any) -> Tokens | None:
        try:
            read = orjson.loads(self._fernet.decrypt(row.tokens_encrypted))
        except InvalidToken:
            # Its key is gone: the session cannot go on.
            return None
        return Tokens(read["access"], read["refresh"], row.access_expires_at)


def _asks_auth(row: Any, now: datetime) -> bool:
    return bool(row.checked_at <= now - RECHECK or row.access_expires_at <= now)


def _goes_on(row: Any, now: datetime) -> bool:
    return bool(row.ends_at > now and row.seen_at > now - IDLE)
