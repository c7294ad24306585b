"""Use cases of the auth service; each owns its transaction."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import ceil
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from uuid_utils.compat import uuid7

from services.auth import repository
from services.auth.domain import FORGET_AFTER, Account, NewUser, UserChange
from services.auth.errors import (
    InvalidCredentials,
    LastAdministrator,
    LoginLocked,
    OwnAccount,
    SessionEnded,
    UsernameTaken,
    UserNotFound,
)
from services.auth.keys import KeyPolicy, KeyRing
from services.auth.metrics import LOGINS
from services.auth.passwords import Passwords
from services.chassis.access import Role, scopes_of
from services.chassis.database import ApplicationDatabase
from services.chassis.identity import AUDIENCE, Caller
from services.chassis.telemetry import exemplar


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """What a login gives."""

    token: str
    expires_in: timedelta
    roles: frozenset[Role]


def utc_now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


class Users:
    """Adding, changing and listing users."""

    def __init__(
        self, database: ApplicationDatabase, passwords: Passwords, clock: Callable[[], datetime] = utc_now
    ) -> None:
        """`clock` tells the time."""
        self._database = database
        self._passwords = passwords
        self._clock = clock

    async def create(self, new: NewUser) -> Account:
        """Add a user; raises UsernameTaken."""
        account = Account(
            id=uuid7(),
            username=new.username,
            display_name=new.display_name,
            password_hash=await self._passwords.hash(new.password),
            roles=new.roles,
            disabled=False,
            created_at=self._clock(),
        )
        try:
            async with self._database.transaction() as tx:
                await repository.add_user(tx, account)
        except IntegrityError:
            raise UsernameTaken(f"Choose another name than {new.username}.") from None
        return account

    async def change(self, user_id: UUID, change: UserChange, *, by: UUID) -> Account:
        """Change a user and end all sessions of theirs.

        Raises UserNotFound; OwnAccount when administrators would change their own roles or status;
        LastAdministrator when none would be left.
        """
        if user_id == by and (change.roles is not None or change.disabled is not None):
            raise OwnAccount("Another administrator must do this.")
        new_hash = None if change.password is None else await self._passwords.hash(change.password)
        async with self._database.transaction() as tx:
            administrators = await repository.lock_administrators(tx)
            before = await repository.get_user(tx, user_id)
            if before is None:
                raise UserNotFound(f"No user has the id {user_id}.")
            after = replace(
                before,
                roles=before.roles if change.roles is None else change.roles,
                disabled=before.disabled if change.disabled is None else change.disabled,
                password_hash=new_hash or before.password_hash,
            )
            if before.administers and not after.administers and administrators <= {user_id}:
                raise LastAdministrator("Make another user an administrator first.")
            await repository.update_user(tx, after)
            if after != before:
                await repository.revoke_sessions_of(tx, user_id, self._clock())
            if new_hash is not None:
                await repository.clear_failures(tx, before.username)
        return after

    async def page(self, *, after: str, limit: int) -> list[Account]:
        """At most `limit` users in the order of their names, from behind the name `after`."""
        async with self._database.reading() as db:
            return await repository.list_users(db, after=after, limit=limit)

    async def find(self, username: str) -> Account | None:
        """The user of this name, or None."""
        async with self._database.reading() as db:
            return await repository.find_user(db, username)


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
            await repository.clear_failures(tx, username)
            await repository.add_session(tx, session_id, account.id, now, now + self._lifetime)
        LOGINS.labels("accepted").inc(1, exemplar())
        return IssuedToken(token, self._lifetime, account.roles)

    async def logout(self, caller: Caller) -> None:
        """End the caller's session; ending it again changes nothing."""
        if caller.token_id is not None:
            async with self._database.transaction() as tx:
                await repository.revoke_session(tx, caller.token_id, self._clock())

    async def user_of(self, caller: Caller) -> Account:
        """The caller's account; raises SessionEnded after a logout or when the user was changed since."""
        async with self._database.reading() as db:
            account = (
                await repository.session_user(db, caller.token_id, self._clock()) if caller.token_id else None
            )
        if account is None:
            raise SessionEnded("Log in again.", error="invalid_token")
        return account

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
        return account

    def _token(self, account: Account, session_id: UUID, now: datetime) -> str:
        return self._keys.sign(
            {
                "iss": self._issuer,
                "aud": AUDIENCE,
                "sub": str(account.id),
                "username": account.username,
                "roles": sorted(account.roles),
                "scope": " ".join(sorted(scopes_of(account.roles))),
                "iat": now,
                "exp": now + self._lifetime,
                "jti": str(session_id),
            },
            now,
        )


class KeyKeeper:
    """Keeps the key ring up to date and makes the next key when it is time."""

    def __init__(
        self,
        database: ApplicationDatabase,
        keys: KeyRing,
        policy: KeyPolicy,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """`policy` says when a key is due; `clock` tells the time."""
        self._database = database
        self._keys = keys
        self._policy = policy
        self._clock = clock

    async def refresh(self) -> None:
        """Load the published keys, making a new one when it is due, and delete what is long over."""
        now = self._clock()
        async with self._database.reading() as db:
            stored = await repository.published_keys(db, now)
        if self._policy.is_due(stored, now):
            async with self._database.transaction() as tx:
                await repository.lock_key_creation(tx)
                # Another instance may have made it while this one waited.
                stored = await repository.published_keys(tx, now)
                if self._policy.is_due(stored, now):
                    await repository.add_key(tx, self._keys.new_key(self._policy, now, stored))
                    stored = await repository.published_keys(tx, now)
        self._keys.replace(stored)
        async with self._database.transaction() as tx:
            await repository.forget_old(
                tx, failures_before=now - FORGET_AFTER, sessions_before=now - timedelta(days=90)
            )
