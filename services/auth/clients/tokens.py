"""The use cases of programs: getting an access token (RFC 6749, 4.4) and asking about another's (RFC 7662)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import jwt

from services.auth import repository
from services.auth.accounts.attempts import Attempts
from services.auth.accounts.audit import EventKind, Origin, record
from services.auth.clients import store
from services.auth.clients.model import Client, Secret, digest
from services.auth.errors import InvalidClient, InvalidScope
from services.auth.metrics import LOGINS
from services.auth.service import utc_now
from services.auth.tokens.access import AccessTokens
from services.chassis.database import ApplicationDatabase
from services.chassis.telemetry.spans import exemplar
from services.chassis.web.identity import TokenVerifier
from services.chassis.web.problems import Unauthenticated

NO_CLIENT = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a program sent to prove itself."""

    client_id: str
    secret: str = field(repr=False)

    @property
    def id(self) -> UUID:
        """The client's id; one that no client has for any other text."""
        try:
            return UUID(self.client_id)
        except ValueError:
            return NO_CLIENT


@dataclass(frozen=True, slots=True)
class ClientToken:
    """The access token of a program."""

    token: str = field(repr=False)
    expires_in: timedelta
    scopes: frozenset[str]


class ClientTokens:
    """Access tokens for programs, and the introspection of access tokens by programs."""

    def __init__(
        self,
        database: ApplicationDatabase,
        tokens: AccessTokens,
        verifier: TokenVerifier,
        attempts: Attempts,
        *,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """`verifier` verifies this service's own access tokens, `attempts` counts failures; `clock` tells the time."""
        self._database = database
        self._tokens = tokens
        self._verifier = verifier
        self._attempts = attempts
        self._clock = clock

    async def issue(
        self, credentials: Credentials, scopes: frozenset[str] | None, origin: Origin
    ) -> ClientToken:
        """A token with `scopes`, or with all that the client has.

        Raises:
            InvalidClient: with the same text for an unknown client, a wrong secret, one that waits or has ended, and a
                disabled client.
            LoginLocked: instead, after many of these from the network.
            InvalidScope: for a scope that the client does not have.
            Unavailable: without a signing key.
        """
        client, secret = await self._authenticated(credentials, origin)
        granted = secret.scopes if scopes is None else scopes
        if not granted <= secret.scopes:
            raise InvalidScope("Ask for scopes that the client has, or leave the scope out.")
        now = self._clock()
        token = self._tokens.issue_to_client(client, secret.id, granted, now)
        async with self._database.transaction() as tx:
            await record(
                tx,
                EventKind.CLIENT_ACCEPTED,
                at=now,
                origin=origin,
                actor=client.id,
                about=client.id,
                secret=str(secret.id),
                scopes=sorted(granted),
            )
        LOGINS.labels("accepted").inc(1, exemplar())
        return ClientToken(token, self._tokens.lifetime, granted)

    async def introspect(self, token: str, credentials: Credentials, origin: Origin) -> dict[str, Any] | None:
        """The claims of an access token that is valid now; None for other texts. Raises InvalidClient, LoginLocked."""
        await self._authenticated(credentials, origin)
        try:
            caller = await self._verifier.verify(token)
        except Unauthenticated:
            return None
        async with self._database.reading() as db:
            alive = caller.session_id is not None and (
                await repository.session_user(db, caller.session_id, self._clock()) is not None
                or await store.active(db, secret_id=caller.session_id) is not None
            )
        claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
        return claims if alive else None

    async def _authenticated(self, credentials: Credentials, origin: Origin) -> tuple[Client, Secret]:
        async with self._database.reading() as db:
            found = await store.active(db, secret_sha256=digest(credentials.secret))
        if found is not None and found[0].id == credentials.id:
            return found
        # Nobody guesses a secret, but each failure is a row for ever: a network that fails often gets no more of them.
        # A right secret is never refused for it.
        await self._attempts.refuse_locked(credentials.client_id, origin)
        await self._attempts.count(EventKind.CLIENT_REFUSED, credentials.client_id, origin)
        LOGINS.labels("refused").inc(1, exemplar())
        raise InvalidClient("Check the client's id and secret.")
