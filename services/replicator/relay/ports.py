"""Port: the lease and the cursor, as the relay uses them."""

from typing import Protocol

from services.replicator.relay.lease import Cursor


class RelayLease(Protocol):
    """A lease that was acquired. `Lease` keeps it in the application database."""

    @property
    def epoch(self) -> int:
        """The epoch of this relay; higher than that of every relay before it."""
        ...

    async def save(self, cursor: Cursor) -> None:
        """Keep the cursor and renew the lease, in one transaction.

        Raises:
            LeaseLost: another relay has it.
        """
        ...

    async def renew(self, silent_seconds: float) -> None:
        """Renew the lease; Kafka has acknowledged nothing for `silent_seconds`.

        Raises:
            LeaseLost: another relay has it.
        """
        ...

    async def stopped(self) -> set[str]:
        """Return the tables that are stopped, for whatever reason."""
        ...

    async def release(self) -> None:
        """Let the next relay begin at once."""
        ...
