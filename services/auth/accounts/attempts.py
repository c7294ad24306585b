"""Failed proofs other than passwords: they count as failed logins, and are refused while the name is locked."""

from collections.abc import Callable
from datetime import datetime
from math import ceil

from services.auth import repository
from services.auth.accounts.audit import EventKind, Origin, record
from services.auth.errors import LoginLocked
from services.auth.service import utc_now
from services.chassis.database import ApplicationDatabase


class Attempts:
    """Counts failed codes under a name and from a network, together with failed logins."""

    def __init__(self, database: ApplicationDatabase, *, clock: Callable[[], datetime] = utc_now) -> None:
        """`clock` tells the time."""
        self._database = database
        self._clock = clock

    async def refuse_locked(self, username: str, origin: Origin) -> None:
        """Raise LoginLocked after repeated failures under the name from this network, or from this network."""
        now = self._clock()
        async with self._database.reading() as db:
            failures = await repository.failures(db, username, origin.network)
            of_network = await repository.failures_of_network(db, origin.network)
        if locked_for := max(failures.locked_for(now), of_network.locked_for(now)):
            seconds = ceil(locked_for.total_seconds())
            raise LoginLocked(f"Try again in {seconds} seconds.", retry_after=seconds)

    async def count(self, kind: EventKind, username: str, origin: Origin) -> None:
        """Count one more failure and record it as an event of `kind`."""
        now = self._clock()
        async with self._database.transaction() as tx:
            counted = await repository.add_failure(tx, username, origin.network, now)
            await record(tx, kind, at=now, origin=origin, name=username, failures=counted.count)
