"""Use cases of the auth service for sessions: logging in and out, one's own password; each owns its transaction."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil
from uuid import UUID

from uuid_utils.compat import uuid7

from services.auth import repository
from services.auth.domain import Account
from services.auth.errors import InvalidCredentials, LoginLocked, SessionEnded, WrongPassword
from services.auth.keys import KeyRing
from services.auth.metrics import LOGINS
from services.auth.passwords import Passwords
from services.auth.service import utc_now
from services.chassis.access import Role, scopes_of
from services.chassis.database import ApplicationDatabase
from services.chassis.identity import AUDIENCE, LEEWAY_SECONDS, Caller
from services.chassis.telemetry import exemplar

CLIENT_ID = "creditmesh"
"""The client of RFC 9068: the platform's own, which alone may send passwords."""
LIST_SECONDS = 0.5
"""For so long the list of ended sessions is answered from memory: anybody may ask for it, however often."""


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """What a login gives."""

    token: str
    expires_in: timedelta
    roles: frozenset[Role]


class Sessions:
    """Logging in and out."""

    def __init__(
        self,
        database: ApplicationDatabase,
        passwords: Passwords,
        keys: KeyRing,
        *,
        issuer: str,
        token_lifetime: timedelta,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """Tokens name `issuer` and live for `token_lifetime`; `clock` tells the time."""
        self._database = database
        self._passwords = passwords
        self._keys = keys
        self._issuer = issuer
        self._lifetime = token_lifetime
        self._clock = clock

    async def login(self, username: str, password: str) -> IssuedToken:
        """Check a password and open a session.

        Raises InvalidCredentials, the same and after the same work for an unknown name, a wrong password
        and a disabled user; LoginLocked after repeated failures.
        """
        # The lock is looked at only when a slot is free: guesses sent all at once are still counted.
        async with self._passwords.slots:
            account = await self._checked(username, password)
        now = self._clock()
        session_id = uuid7()
        # Signed before it is stored: without keys there must be no session.
        token = self._token(account, session_id, now)
        async with self._database.transaction() as tx:
            # Whoever disables or changes the user ends the sessions that there are: one that is opened from what was
            # read before would be left.
            if await repository.lock_user(tx, account.id) != account:
                raise InvalidCredentials("Check both and try again.")
            await repository.clear_failures(tx, username)
            await repository.add_session(tx, session_id, account.id, now, now + self._lifetime)
        LOGINS.labels("accepted").inc(1, exemplar())
        return IssuedToken(token, self._lifetime, account.roles)

    async def logout(self, caller: Caller) -> None:
        """End the caller's session; ending it again changes nothing."""
        if caller.session_id is not None:
            async with self._database.transaction() as tx:
                await repository.revoke_session(tx, caller.session_id, self._clock())

    async def user_of(self, caller: Caller) -> Account:
        """The caller's account; raises SessionEnded after a logout or when the user was changed since."""
        async with self._database.reading() as db:
            account = (
                await repository.session_user(db, caller.session_id, self._clock())
                if caller.session_id
                else None
            )
        if account is None:
            raise SessionEnded("Log in again.", error="invalid_token")
        return account

    async def change_password(self, caller: Caller, old: str, new: str) -> None:
        """Replace the caller's password and end their other sessions.

        Raises SessionEnded, LoginLocked, and WrongPassword, which counts as a failed login: a stolen token is no way
        to guess the password.
        """
        account = await self.user_of(caller)
        async with self._passwords.slots:
            try:
                await self._checked(account.username, old)
            except InvalidCredentials:
                raise WrongPassword("Check it and try again.") from None
            new_hash = await self._passwords.hash(new)
        async with self._database.transaction() as tx:
            await repository.lock_for_change(tx, account.id)
            await repository.set_password(tx, account.id, new_hash)
            await repository.clear_failures(tx, account.username)
            await repository.revoke_sessions_of(tx, account.id, self._clock(), but=caller.session_id)

    async def _checked(self, username: str, password: str) -> Account:
        async with self._database.reading() as db:
            failures = await repository.failures(db, username)
            account = await repository.find_user(db, username)
        locked_for = failures.locked_for(self._clock())
        if locked_for:
            LOGINS.labels("locked").inc(1, exemplar())
            seconds = ceil(locked_for.total_seconds())
            raise LoginLocked(f"Try again in {seconds} seconds.", retry_after=seconds)
        matches = await self._passwords.matches(account.password_hash if account else None, password)
        if account is None or not matches or account.disabled:
            async with self._database.transaction() as tx:
                await repository.add_failure(tx, username, self._clock())
            LOGINS.labels("refused").inc(1, exemplar())
            raise InvalidCredentials("Check both and try again.")
        if self._passwords.is_outdated(account.password_hash):
            renewed = await self._passwords.hash(password)
            async with self._database.transaction() as tx:
                await repository.replace_hash(tx, account.id, account.password_hash, renewed)
            account = replace(account, password_hash=renewed)
        return account

    def _token(self, account: Account, session_id: UUID, now: datetime) -> str:
        return self._keys.sign(
            {
                "iss": self._issuer,
                "aud": AUDIENCE,
                "sub": str(account.id),
                "client_id": CLIENT_ID,
                "sid": str(session_id),
                "jti": str(uuid7()),
                "iat": now,
                "exp": now + self._lifetime,
                "auth_time": int(now.timestamp()),
                "amr": ["pwd"],
                "scope": " ".join(sorted(scopes_of(account.roles))),
                "roles": sorted(account.roles),
                "username": account.username,
            },
            now,
        )


class EndedSessions:
    """The list of sessions that ended while tokens of theirs may still verify."""

    def __init__(
        self,
        database: ApplicationDatabase,
        *,
        token_lifetime: timedelta,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """`token_lifetime`: for how long a token of an ended session would go on; `clock` tells the time."""
        self._database = database
        # Verifiers allow for clocks that differ a little.
        self._since = token_lifetime + timedelta(seconds=2 * LEEWAY_SECONDS)
        self._clock = clock
        self._list: Sequence[UUID] = ()
        self._read_at = float("-inf")
        self._lock = asyncio.Lock()

    async def list(self) -> Sequence[UUID]:
        """The ids of the ended sessions, in order."""
        async with self._lock:
            if time.monotonic() - self._read_at >= LIST_SECONDS:
                async with self._database.reading() as db:
                    self._list = await repository.ended_sessions(db, self._clock() - self._since)
                self._read_at = time.monotonic()
            return self._list
