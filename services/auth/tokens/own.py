"""The auth service's use cases for the caller's own sessions: list and end them, and revoke a token (RFC 7009)."""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from services.auth import repository
from services.auth.accounts.audit import EventKind, Origin, record
from services.auth.domain import Account
from services.auth.errors import SessionNotFound, UnsupportedTokenType
from services.auth.service import utc_now
from services.auth.tokens import chain
from services.auth.tokens.chain import LiveSession
from services.chassis.database import ApplicationDatabase
from services.chassis.web.identity import TokenVerifier
from services.chassis.web.paging import Cursor
from services.chassis.web.problems import Unauthenticated
from services.lake.domain.roles import Role


class OwnSessions:
    """Listing and ending sessions, by their user or by whoever holds one of their tokens."""

    def __init__(
        self,
        database: ApplicationDatabase,
        verifier: TokenVerifier,
        *,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """`verifier` verifies this service's own access tokens; `clock` tells the time."""
        self._database = database
        self._verifier = verifier
        self._clock = clock

    async def page(self, account: Account, after: Cursor | None, limit: int) -> list[LiveSession]:
        """At most `limit` sessions of the user that go on, after `after`, newest first."""
        async with self._database.reading() as db:
            return await chain.live_sessions(db, account.id, self._clock(), after, limit)

    async def end(self, account: Account, session_id: UUID, origin: Origin) -> None:
        """End one session of the user; raises SessionNotFound when it is another's, unknown or over."""
        now = self._clock()
        async with self._database.transaction() as tx:
            owner = await repository.user_id_of_session(tx, session_id)
            if owner != account.id or not await repository.revoke_session(tx, session_id, now):
                raise SessionNotFound("None of your sessions that go on has this id.")
            await record(
                tx,
                EventKind.SESSION_ENDED,
                at=now,
                origin=origin,
                actor=account.id,
                about=account.id,
                session=str(session_id),
            )

    async def end_all(self, account: Account, origin: Origin) -> None:
        """End every session of the user."""
        now = self._clock()
        async with self._database.transaction() as tx:
            await repository.revoke_sessions_of(tx, account.id, now)
            await record(
                tx,
                EventKind.SESSIONS_ENDED,
                at=now,
                origin=origin,
                actor=account.id,
                about=account.id,
            )

    async def revoke(self, token: str, origin: Origin) -> None:
        """End the session that a refresh token or an access token belongs to; any other text changes nothing.

        Whoever holds a token could use it, so they may also give it up. Raises UnsupportedTokenType for a program's,
        which has no session.
        """
        now = self._clock()
        session_id = await self._session_of(token)
        async with self._database.transaction() as tx:
            if session_id is None:
                link = await chain.find(tx, chain.digest(token))
                session_id = None if link is None else link.session_id
            if session_id is not None and await repository.revoke_session(tx, session_id, now):
                user_id = await repository.user_id_of_session(tx, session_id)
                # A token proves whose session it is, not who sends it.
                await record(
                    tx,
                    EventKind.TOKEN_REVOKED,
                    at=now,
                    origin=origin,
                    about=user_id,
                    session=str(session_id),
                )

    async def _session_of(self, token: str) -> UUID | None:
        if token.count(".") != 2:
            return None
        try:
            caller = await self._verifier.verify(token)
        except Unauthenticated:
            return None
        if Role.SERVICE in caller.roles:
            raise UnsupportedTokenType(
                "A program's token ends by itself; disable its client to end all of them."
            )
        return caller.session_id
