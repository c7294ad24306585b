"""The auth service's use case for refresh tokens: each is used once, and a repeat is answered or ends the session."""

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

from uuid_utils.compat import uuid7

from services.auth import repository
from services.auth.accounts.audit import EventKind, Origin, record
from services.auth.domain import Account, Session
from services.auth.errors import InvalidGrant
from services.auth.metrics import REFRESH_REUSE
from services.auth.service import utc_now
from services.auth.tokens import chain
from services.auth.tokens.access import AccessTokens, IssuedRefresh, IssuedToken
from services.auth.tokens.chain import Link, RefreshKey
from services.chassis.database import ApplicationDatabase, ApplicationTransaction
from services.chassis.telemetry.spans import exemplar

GRACE = timedelta(seconds=10)
"""For this time the newest refresh is answered again: two tabs at once, or an answer that was lost."""


class Refreshes:
    """Opening a session's chain of refresh tokens, and going along it."""

    def __init__(
        self,
        database: ApplicationDatabase,
        key: RefreshKey,
        tokens: AccessTokens,
        *,
        idle: timedelta,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """`idle`: how long a refresh token can be used; `clock` tells the time."""
        self._database = database
        self._key = key
        self._tokens = tokens
        self._idle = idle
        self._clock = clock

    async def begin(self, tx: ApplicationTransaction, session: Session, now: datetime) -> IssuedRefresh:
        """The first refresh token of a new session."""
        return await self._add(tx, session, chain.first_token(), None, now)

    async def refresh(self, token: str, origin: Origin) -> IssuedToken:
        """Exchange a refresh token for an access token and the next refresh token.

        The newest used token gets the identical next token again within 10 s, as long as that one is unused. Any other
        repeat shows that two hold the token, and ends the session: nobody can tell which of them is the user.

        Raises:
            InvalidGrant: for a token that is unknown, expired, used before, or of an ended session.
            Unavailable: without a signing key; the token stays unused.
        """
        now = self._clock()
        async with self._database.transaction() as tx:
            used = await chain.use(tx, chain.digest(token), now)
            if used is not None:
                session, account = await self._extended(tx, used.session_id, now)
                following = await self._add(tx, session, self._key.child(token), used.id, now)
                return self._tokens.issue(account, session, now, following)
            issued = await self._repeated(tx, token, now, origin)
        # Only after the commit: an exception inside would undo the end of the session.
        if issued is None:
            raise InvalidGrant
        return issued

    async def _repeated(
        self, tx: ApplicationTransaction, token: str, now: datetime, origin: Origin
    ) -> IssuedToken | None:
        before = await chain.find(tx, chain.digest(token))
        if before is None or before.used_at is None:
            return None
        following = await chain.child_of(tx, before)
        child = self._key.child(token)
        if (
            following is not None
            and following.used_at is None
            and following.token_sha256 == chain.digest(child)
            and now - before.used_at <= GRACE
        ):
            session, account = await self._extended(tx, before.session_id, now)
            return self._tokens.issue(account, session, now, IssuedRefresh(child, following.expires_at - now))
        if await repository.revoke_session(tx, before.session_id, now):
            await record(
                tx,
                EventKind.REFRESH_REUSED,
                at=now,
                origin=origin,
                about=await repository.user_id_of_session(tx, before.session_id),
                session=str(before.session_id),
            )
            REFRESH_REUSE.inc(1, exemplar())
        return None

    async def _extended(
        self, tx: ApplicationTransaction, session_id: UUID, now: datetime
    ) -> tuple[Session, Account]:
        found = await chain.extend(tx, session_id, now, now + self._tokens.lifetime)
        if found is None:
            raise InvalidGrant
        return found

    async def _add(
        self, tx: ApplicationTransaction, session: Session, token: str, parent_id: UUID | None, now: datetime
    ) -> IssuedRefresh:
        expires_at = min(now + self._idle, session.ends_at)
        await chain.add(tx, Link(uuid7(), session.id, chain.digest(token), parent_id, now, expires_at))
        return IssuedRefresh(token, expires_at - now)
