"""The auth service's use cases for sessions: login, logout, change of one's password; each is one transaction."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from math import ceil
from typing import NoReturn
from uuid import UUID

from uuid_utils.compat import uuid7

from services.auth import repository
from services.auth.accounts.audit import EventKind, Origin, record
from services.auth.accounts.otp import SecondFactor
from services.auth.accounts.passwords import Passwords
from services.auth.clients import store
from services.auth.domain import KNOWN_FOR, Account, Session
from services.auth.errors import (
    InvalidCredentials,
    LoginLocked,
    PasswordTooWeak,
    SessionEnded,
    WrongOtp,
    WrongPassword,
)
from services.auth.metrics import LOGINS
from services.auth.service import utc_now
from services.auth.settings import LONGEST_TOKEN_MINUTES
from services.auth.tokens.access import AccessTokens, IssuedToken
from services.auth.tokens.refresh import Refreshes
from services.chassis.database import ApplicationDatabase
from services.chassis.telemetry.spans import exemplar
from services.chassis.web.identity import LEEWAY_SECONDS, Caller

_NOBODY = UUID(int=0)
LONGEST_LIFETIME = timedelta(minutes=LONGEST_TOKEN_MINUTES)
LIST_SECONDS = 0.5
"""For this time the list of ended sessions is served from memory, because anybody may request it at any rate."""


class Sessions:
    """Logging in and out."""

    def __init__(
        self,
        database: ApplicationDatabase,
        passwords: Passwords,
        tokens: AccessTokens,
        refreshes: Refreshes,
        factor: SecondFactor,
        *,
        session_lifetime: timedelta,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """Sessions end after `session_lifetime`, however often they are refreshed; `clock` tells the time."""
        self._database = database
        self._passwords = passwords
        self._tokens = tokens
        self._refreshes = refreshes
        self._factor = factor
        self._lifetime = session_lifetime
        self._clock = clock

    async def login(
        self, username: str, password: str, origin: Origin, otp: str | None = None
    ) -> IssuedToken:
        """Check a password and open a session; while another person's password is set, it allows only its change.

        Raises InvalidCredentials, with the same text after the same work for an unknown name, a wrong password
        and a disabled user; LoginLocked after repeated failures under the name from this network, or from this network
        under many names; OtpRequired for a user with a device, after the right password, without a code of it. A wrong
        code is a failed login like a wrong password.
        """
        # Check the lock only when a slot is free, so that guesses that are sent all at once are still counted.
        async with self._passwords.slots:
            account = await self._checked(username, password, origin)
            try:
                amr = ("pwd", *await self._factor.check(account, otp))
            except WrongOtp:
                await self._refuse(account, username, origin)
        now, must_enrol = self._clock(), await self._factor.is_missing(account)
        # Who must change the password or enrol logs in again afterwards: their session has one token, and no refresh.
        limited = account.must_change_password or must_enrol
        lifetime = self._tokens.lifetime if limited else self._lifetime
        session = Session(uuid7(), account.id, now, now + lifetime, amr)
        async with self._database.transaction() as tx:
            # A change of the user ends the existing sessions. A session that is opened from data read before that
            # change would survive, so the user is read again under a lock.
            if await repository.lock_user(tx, account.id) != account:
                raise InvalidCredentials("Check both and try again.")
            # A device that was confirmed meanwhile counts for this login too.
            if "otp" not in amr and await self._factor.is_enrolled(tx, account.id):
                raise InvalidCredentials("Check both and try again.")
            await repository.clear_failures(tx, username, origin.network)
            await repository.add_session(tx, session, self._tokens.expiry(session, now), origin.network)
            refresh = None if limited else await self._refreshes.begin(tx, session, now)
            # In the transaction: without keys there must be no session.
            issued = self._tokens.issue(account, session, now, refresh, must_enrol=must_enrol)
            await record(
                tx,
                EventKind.LOGIN_ACCEPTED,
                at=now,
                origin=origin,
                actor=account.id,
                about=account.id,
                session=str(session.id),
            )
        LOGINS.labels("accepted").inc(1, exemplar())
        return issued

    async def logout(self, caller: Caller, origin: Origin) -> None:
        """End the caller's session; ending it again changes nothing."""
        if caller.session_id is not None:
            now = self._clock()
            async with self._database.transaction() as tx:
                if await repository.revoke_session(tx, caller.session_id, now):
                    await record(
                        tx,
                        EventKind.LOGOUT,
                        at=now,
                        origin=origin,
                        actor=caller.id,
                        about=caller.id,
                        session=str(caller.session_id),
                    )

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

    async def change_password(self, caller: Caller, old: str, new: str, origin: Origin) -> None:
        """Replace the caller's password and end their other sessions.

        Raises SessionEnded, PasswordTooWeak, LoginLocked, and WrongPassword, which counts as a failed login: with a
        stolen token nobody can guess the password.
        """
        account = await self.user_of(caller)
        async with self._passwords.slots:
            try:
                checked = await self._checked(account.username, old, origin)
            except InvalidCredentials:
                raise WrongPassword("Check it and try again.") from None
            if new == old:
                raise PasswordTooWeak("/body/new_password", "it is the old one")
            names = (account.username, account.display_name)
            await self._passwords.judge(new, names, pointer="/body/new_password")
            new_hash = await self._passwords.hash(new)
        now = self._clock()
        async with self._database.transaction() as tx:
            # Keep what an administrator changed in the meantime: a new password, or the user disabled.
            if await repository.lock_for_change(tx, account.id) != checked:
                raise SessionEnded("Log in again.", error="invalid_token")
            await repository.update_user(
                tx, replace(checked, password_hash=new_hash, must_change_password=False)
            )
            await repository.clear_failures(tx, account.username)
            await repository.revoke_sessions_of(tx, account.id, now, but=caller.session_id)
            await record(
                tx,
                EventKind.PASSWORD_CHANGED,
                at=now,
                origin=origin,
                actor=account.id,
                about=account.id,
            )

    async def _checked(self, username: str, password: str, origin: Origin) -> Account:
        network, now = origin.network, self._clock()
        async with self._database.reading() as db:
            failures = await repository.failures(db, username, network)
            of_network = await repository.failures_of_network(db, network)
            account = await repository.find_user(db, username)
            # A user who works in that network is not locked out by a neighbour who tries many names.
            # Query for an unknown user too: the response time must not reveal whether the user exists.
            known = await repository.has_logged_in_from(
                db, account.id if account else _NOBODY, network, now - KNOWN_FOR
            )
        locked_for = failures.locked_for(now)
        if not known:
            locked_for = max(locked_for, of_network.locked_for(now))
        if locked_for:
            LOGINS.labels("locked").inc(1, exemplar())
            seconds = ceil(locked_for.total_seconds())
            raise LoginLocked(f"Try again in {seconds} seconds.", retry_after=seconds)
        matches = await self._passwords.matches(account.password_hash if account else None, password)
        if account is None or not matches or account.disabled:
            await self._refuse(account, username, origin)
        if self._passwords.is_outdated(account.password_hash):
            renewed = await self._passwords.hash(password)
            async with self._database.transaction() as tx:
                await repository.replace_hash(tx, account.id, account.password_hash, renewed)
            account = replace(account, password_hash=renewed)
        return account

    async def _refuse(self, account: Account | None, username: str, origin: Origin) -> NoReturn:
        now = self._clock()
        async with self._database.transaction() as tx:
            counted = await repository.add_failure(tx, username, origin.network, now)
            await record(
                tx,
                EventKind.LOGIN_LOCKED if counted.locked_for(now) else EventKind.LOGIN_REFUSED,
                at=now,
                origin=origin,
                about=account.id if account else None,
                name=username,
                failures=counted.count,
            )
        LOGINS.labels("refused").inc(1, exemplar())
        raise InvalidCredentials("Check both and try again.")


class EndedSessions:
    """The list of ended sessions whose tokens may not have expired yet."""

    def __init__(
        self,
        database: ApplicationDatabase,
        *,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """`clock` tells the time."""
        self._database = database
        self._clock = clock
        self._list: Sequence[UUID] = ()
        self._read_at = float("-inf")
        self._lock = asyncio.Lock()

    async def list(self) -> Sequence[UUID]:
        """The ids of the ended sessions, in order."""
        async with self._lock:
            if time.monotonic() - self._read_at >= LIST_SECONDS:
                # Verifiers allow for clocks that differ a little.
                expired = self._clock() - timedelta(seconds=2 * LEEWAY_SECONDS)
                async with self._database.reading() as db:
                    after = expired - LONGEST_LIFETIME
                    ended = await repository.ended_sessions(db, ended_after=after, expiring_after=expired)
                    self._list = sorted(ended + await store.ended_secrets(db, after))
                self._read_at = time.monotonic()
            return self._list
