"""One-time passwords by the clock (TOTP, RFC 6238) as a second factor, and recovery codes for a lost device."""

import hmac
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID

import pyotp
from cryptography.fernet import Fernet

from services.auth import repository
from services.auth.accounts import proofs
from services.auth.accounts.attempts import Attempts
from services.auth.accounts.audit import EventKind, Origin, record
from services.auth.accounts.resets import digest, new_code
from services.auth.accounts.users import Actor
from services.auth.domain import Account
from services.auth.errors import (
    NoSecondFactor,
    OtpRequired,
    OwnAccount,
    SecondFactorExists,
    SecondFactorMandatory,
    UserNotFound,
    WrongOtp,
)
from services.auth.service import utc_now
from services.chassis.database import ApplicationDatabase, ApplicationReader, ApplicationTransaction
from services.lake.domain.roles import Role

STEP_SECONDS = 30
DRIFT_STEPS = 1
"""A device's clock may differ by this many steps."""
RECOVERY_CODES = 10
_OTP = re.compile(r"[0-9]{6}")


class SecondFactor:
    """Enrolling a device, checking its codes, and removing it; each use case is a transaction."""

    def __init__(
        self,
        database: ApplicationDatabase,
        cipher: Fernet,
        attempts: Attempts,
        *,
        mandatory_for: frozenset[Role] = frozenset(),
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """Prepare the use cases.

        Args:
            database: where devices and codes are.
            cipher: encrypts the secrets of devices.
            attempts: counts wrong codes outside of a login, which counts its own.
            mandatory_for: users with one of these roles need a device.
            clock: tells the time.
        """
        self._database = database
        self._cipher = cipher
        self._attempts = attempts
        self._mandatory_for = mandatory_for
        self._clock = clock

    async def enrol(self, account: Account) -> tuple[str, str]:
        """A new secret and its otpauth URI, which counts once it is confirmed; raises SecondFactorExists."""
        secret = pyotp.random_base32()
        encrypted = self._cipher.encrypt(secret.encode())
        async with self._database.transaction() as tx:
            if not await proofs.store_device(tx, account.id, encrypted, self._clock()):
                raise SecondFactorExists("Remove the device that you have first.")
        uri = pyotp.TOTP(secret).provisioning_uri(name=account.username, issuer_name="creditmesh")
        return secret, uri

    async def confirm(
        self, account: Account, otp: str, origin: Origin, *, session_id: UUID | None
    ) -> list[str]:
        """Let the new device count, end the user's other sessions; returns recovery codes, which are shown once.

        Raises NoSecondFactor when there is no new device, WrongOtp, LoginLocked.
        """
        now = self._clock()
        async with self._guarded(account, origin) as tx:
            await repository.lock_for_change(tx, account.id)
            if not await self._count(tx, account.id, otp, now, confirmed=False):
                raise WrongOtp("Check the device's clock and the code.")
            await proofs.confirm_device(tx, account.id, now)
            await repository.revoke_sessions_of(tx, account.id, now, but=session_id)
            await self._record(tx, EventKind.OTP_ENROLLED, account.id, account.id, origin)
            return await _new_recovery_codes(tx, account.id)

    async def renew_recovery_codes(self, account: Account, otp: str, origin: Origin) -> list[str]:
        """New recovery codes in place of the old ones; raises NoSecondFactor, WrongOtp."""
        now = self._clock()
        async with self._guarded(account, origin) as tx:
            await self._require(tx, account.id, otp, now)
            await self._record(tx, EventKind.RECOVERY_CODES_RENEWED, account.id, account.id, origin)
            return await _new_recovery_codes(tx, account.id)

    async def remove(self, account: Account, otp: str, origin: Origin) -> None:
        """Remove one's own device; raises NoSecondFactor, WrongOtp, SecondFactorMandatory."""
        if self._mandatory_for & account.roles:
            raise SecondFactorMandatory("One of your roles needs it; an administrator can remove a lost one.")
        now = self._clock()
        async with self._guarded(account, origin) as tx:
            await self._require(tx, account.id, otp, now)
            await proofs.remove_device(tx, account.id)
            await self._record(tx, EventKind.OTP_REMOVED, account.id, account.id, origin)

    async def remove_of(self, user_id: UUID, *, by: Actor) -> None:
        """Remove the lost device of another user and end their sessions; raises UserNotFound, OwnAccount.

        One administrator can do it: it gives no access without the password, which takes two to set.
        """
        if user_id == by.id:
            raise OwnAccount("Another administrator must do this; POST /me/otp/removal removes your device.")
        async with self._database.transaction() as tx:
            if await repository.lock_for_change(tx, user_id) is None:
                raise UserNotFound(f"No user has the id {user_id}.")
            await proofs.remove_device(tx, user_id)
            await repository.revoke_sessions_of(tx, user_id, self._clock())
            await self._record(tx, EventKind.OTP_REMOVED, by.id, user_id, by.origin)

    async def is_missing(self, account: Account) -> bool:
        """Whether a role of the user needs a device that they do not have."""
        if not self._mandatory_for & account.roles:
            return False
        async with self._database.reading() as db:
            return not await proofs.has_device(db, account.id)

    async def is_enrolled(self, db: ApplicationReader, user_id: UUID) -> bool:
        """Whether the user has a device that counts."""
        return await proofs.has_device(db, user_id)

    async def check(self, account: Account, otp: str | None) -> tuple[str, ...]:
        """The proofs of a login (RFC 8176) beside the password: none for a user without a device.

        A code of the device counts once, also when two requests send it at once; so does a recovery code.

        Raises OtpRequired when a code is missing, WrongOtp.
        """
        async with self._database.reading() as db:
            if not await proofs.has_device(db, account.id):
                return ()
        if otp is None:
            raise OtpRequired("Send the code of your device, or a recovery code, as otp.")
        async with self._database.transaction() as tx:
            if not await self._counts(tx, account.id, otp, self._clock()):
                raise WrongOtp("Check the device's clock and the code.")
        return ("otp", "mfa")

    @asynccontextmanager
    async def _guarded(self, account: Account, origin: Origin) -> AsyncGenerator[ApplicationTransaction]:
        """A transaction in which a wrong code counts as a failed login: nobody guesses with a stolen token."""
        await self._attempts.refuse_locked(account.username, origin)
        try:
            async with self._database.transaction() as tx:
                yield tx
        except WrongOtp:
            await self._attempts.count(EventKind.OTP_REFUSED, account.username, origin)
            raise

    async def _require(self, tx: ApplicationTransaction, user_id: UUID, otp: str, now: datetime) -> None:
        if not await proofs.has_device(tx, user_id):
            raise NoSecondFactor("Enrol a device first.")
        if not await self._counts(tx, user_id, otp, now):
            raise WrongOtp("Check the device's clock and the code.")

    async def _counts(self, tx: ApplicationTransaction, user_id: UUID, otp: str, now: datetime) -> bool:
        if _OTP.fullmatch(otp):
            return await self._count(tx, user_id, otp, now, confirmed=True)
        return await proofs.use_recovery_code(tx, user_id, digest(otp), now)

    async def _count(
        self, tx: ApplicationTransaction, user_id: UUID, otp: str, now: datetime, *, confirmed: bool
    ) -> bool:
        encrypted = await proofs.device_secret(tx, user_id, confirmed=confirmed)
        if encrypted is None:
            raise NoSecondFactor("Enrol a device first.")
        step = _step(self._cipher.decrypt(encrypted).decode(), otp, now)
        return step is not None and await proofs.use_step(tx, user_id, step, confirmed=confirmed)

    async def _record(
        self, tx: ApplicationTransaction, kind: EventKind, actor: UUID, about: UUID, origin: Origin
    ) -> None:
        await record(tx, kind, at=self._clock(), origin=origin, actor=actor, about=about)


def _step(secret: str, otp: str, now: datetime) -> int | None:
    """The time step whose code `otp` is; None when it is none of those around `now`."""
    if not _OTP.fullmatch(otp):
        return None
    generator, current = pyotp.TOTP(secret), int(now.timestamp()) // STEP_SECONDS
    for step in range(current - DRIFT_STEPS, current + DRIFT_STEPS + 1):
        if hmac.compare_digest(generator.generate_otp(step), otp):
            return step
    return None


async def _new_recovery_codes(tx: ApplicationTransaction, user_id: UUID) -> list[str]:
    codes = [new_code() for _ in range(RECOVERY_CODES)]
    await proofs.replace_recovery_codes(tx, user_id, map(digest, codes))
    return codes
