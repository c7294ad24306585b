"""The auth service's use case for signing keys, and the clock of all use cases."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from services.auth import repository
from services.auth.accounts import ledger
from services.auth.accounts.audit import NOWHERE, EventKind, record
from services.auth.domain import FORGET_AFTER
from services.auth.settings import LONGEST_SESSION_HOURS
from services.auth.tokens.keys import KeyPolicy, KeyRing
from services.chassis.database import ApplicationDatabase


def utc_now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


class KeyKeeper:
    """Keeps the key ring up to date and creates the next key when it is due."""

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
        """Load the published keys, create a new one when it is due, and delete expired rows."""
        now = self._clock()
        async with self._database.reading() as db:
            stored = await repository.published_keys(db, now)
        if self._policy.is_due(stored, now):
            async with self._database.transaction() as tx:
                await repository.lock_key_creation(tx)
                # Another instance may have created it while this one waited.
                stored = await repository.published_keys(tx, now)
                if self._policy.is_due(stored, now):
                    key = self._keys.new_key(self._policy, now, stored)
                    await repository.add_key(tx, key)
                    await record(tx, EventKind.KEY_CREATED, at=now, origin=NOWHERE, about=key.id)
                    stored = await repository.published_keys(tx, now)
        self._keys.replace(stored)
        async with self._database.transaction() as tx:
            await ledger.forget_expired_passwords(tx, now)
            await repository.forget_old(
                tx,
                failures_before=now - FORGET_AFTER,
                # A used token is kept as long as its session can live: its repeat must end the session.
                refreshes_before=now - timedelta(hours=LONGEST_SESSION_HOURS),
                sessions_before=now - timedelta(days=90),
            )
