"""Resetting a forgotten password: a code that two administrators give to the user, who sets the password with it."""

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from services.auth import repository
from services.auth.accounts import proofs
from services.auth.accounts.attempts import Attempts
from services.auth.accounts.audit import EventKind, Origin, record
from services.auth.accounts.passwords import Passwords
from services.auth.accounts.users import Actor
from services.auth.domain import ResetCode
from services.auth.errors import (
    InvalidResetCode,
    OwnAccount,
    ProposalOutdated,
    ResetCodeNotFound,
    SecondPersonNeeded,
    UserNotFound,
)
from services.auth.service import utc_now
from services.chassis.database import ApplicationDatabase, ApplicationTransaction

LIFETIME = timedelta(minutes=30)
ALPHABET = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
"""No letters and digits that look alike: people read the code aloud."""
GROUPS, GROUP = 5, 4
"""20 characters of 31: 99 bits, which nobody can guess within the lifetime."""


class Resets:
    """Issuing, confirming and using reset codes; each is a transaction."""

    def __init__(
        self,
        database: ApplicationDatabase,
        passwords: Passwords,
        attempts: Attempts,
        *,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """`clock` tells the time."""
        self._database = database
        self._passwords = passwords
        self._attempts = attempts
        self._clock = clock

    async def issue(self, user_id: UUID, *, by: Actor) -> tuple[ResetCode, str]:
        """A new code for another user, which waits for a second administrator; the one before ends.

        Raises UserNotFound, OwnAccount.
        """
        if user_id == by.id:
            raise OwnAccount("Another administrator must do this; PUT /me/password changes your password.")
        now, text = self._clock(), new_code()
        code = ResetCode(uuid7(), user_id, digest(text), by.id, now, now + LIFETIME)
        async with self._database.transaction() as tx:
            if await repository.lock_for_change(tx, user_id) is None:
                raise UserNotFound(f"No user has the id {user_id}.")
            await proofs.add_reset_code(tx, code)
            await _record(tx, EventKind.RESET_ISSUED, code, by, now)
        return code, text

    async def confirm(self, user_id: UUID, code_id: UUID, *, by: Actor) -> ResetCode:
        """Let a code work that another administrator issued for a third user.

        Raises ResetCodeNotFound when it does not wait, SecondPersonNeeded, ProposalOutdated.
        """
        now = self._clock()
        async with self._database.transaction() as tx:
            administrators = await repository.lock_administrators(tx)
            code = await proofs.lock_waiting_code(tx, user_id, code_id, now)
            if code is None:
                raise ResetCodeNotFound(f"No code of this user that waits has the id {code_id}.")
            if by.id in {code.issued_by, user_id} or by.id not in administrators:
                raise SecondPersonNeeded("Ask an administrator who neither issued it nor is its user.")
            if code.issued_by not in administrators:
                raise ProposalOutdated("Who issued it is no longer an administrator; issue another code.")
            await proofs.confirm_reset_code(tx, code_id, by.id, now)
            await _record(tx, EventKind.RESET_CONFIRMED, code, by, now)
        return replace(code, confirmed_by=by.id, confirmed_at=now)

    async def use(self, username: str, code: str, password: str, origin: Origin) -> None:
        """Set the password of the user with a code, and end their sessions.

        Raises:
            InvalidResetCode: with the same text for an unknown user and for a code that is wrong, expired, used, not
                confirmed, or of a disabled user; it counts as a failed login.
            LoginLocked: after repeated failures.
            PasswordTooWeak: the code can then be used again.
        """
        now = self._clock()
        await self._attempts.refuse_locked(username, origin)
        async with self._database.reading() as db:
            account = await repository.find_user(db, username)
            enabled = account.id if account and not account.disabled else None
            code_id = await proofs.usable_reset_code(db, enabled, digest(code), now)
        if account is None or code_id is None:
            await self._attempts.count(EventKind.RESET_REFUSED, username, origin)
            raise InvalidResetCode("Check the name and the code, or ask for another code.")
        names = (account.username, account.display_name)
        async with self._passwords.slots:
            await self._passwords.judge(password, names, pointer="/body/new_password")
            new_hash = await self._passwords.hash(password)
        async with self._database.transaction() as tx:
            current = await repository.lock_for_change(tx, account.id)
            # Twice at once, or the user was disabled meanwhile: the code is used by one, once.
            if current is None or current.disabled or not await proofs.end_reset_code(tx, code_id, now):
                raise InvalidResetCode("Check the name and the code, or ask for another code.")
            await repository.update_user(
                tx, replace(current, password_hash=new_hash, must_change_password=False)
            )
            await repository.clear_failures(tx, current.username)
            await repository.revoke_sessions_of(tx, current.id, now)
            await record(
                tx,
                EventKind.PASSWORD_RESET,
                at=now,
                origin=origin,
                about=current.id,
                code=str(code_id),
            )


def new_code() -> str:
    """A random code, in groups."""
    return "-".join("".join(secrets.choice(ALPHABET) for _ in range(GROUP)) for _ in range(GROUPS))


def digest(code: str) -> bytes:
    """The SHA-256 of a code, without its dashes and in any case."""
    plain = "".join(one for one in code.upper() if one.isalnum())
    return hashlib.sha256(plain.encode("utf-8", "replace")).digest()


async def _record(
    tx: ApplicationTransaction, kind: EventKind, code: ResetCode, by: Actor, at: datetime, **details: Any
) -> None:
    await record(
        tx, kind, at=at, origin=by.origin, actor=by.id, about=code.user_id, code=str(code.id), **details
    )
