"""Use cases of the auth service for users and keys; each owns its transaction."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from uuid_utils.compat import uuid7

from services.auth import repository
from services.auth.domain import FORGET_AFTER, Account, NewUser, UserChange
from services.auth.errors import (
    LastAdministrator,
    OwnAccount,
    UsernameTaken,
    UserNotFound,
)
from services.auth.keys import KeyPolicy, KeyRing
from services.auth.passwords import Passwords
from services.chassis.database import ApplicationDatabase


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

        Raises UserNotFound; OwnAccount when administrators would change themselves; LastAdministrator when none
        would be left.
        """
        if user_id == by:
            raise OwnAccount("Another administrator must do this; PUT /me/password changes your password.")
        new_hash = None if change.password is None else await self._passwords.hash(change.password)
        async with self._database.transaction() as tx:
            administrators = await repository.lock_administrators(tx)
            before = await repository.lock_for_change(tx, user_id)
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
