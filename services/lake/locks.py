"""Named locks that several services share, so that of two conflicting changes one waits for the other."""

from collections.abc import Iterable
from uuid import UUID

from services.lake.database import LakeTransaction
from services.lake.errors import PartiesBusy

PARTY_LOCK_WAIT_SECONDS = 5


async def lock_parties(
    tx: LakeTransaction, party_ids: Iterable[UUID], wait_seconds: int = PARTY_LOCK_WAIT_SECONDS
) -> None:
    """Lock these parties against changes, and against decisions that depend on them, until the commit.

    Args:
        tx: the transaction that holds the locks.
        party_ids: the parties; always locked in the same order, so that two callers never wait for each other.
        wait_seconds: how long to wait for each of them.

    Raises:
        PartiesBusy: a lock was not granted in time; the transaction can only be rolled back.
    """
    for name in sorted({f"party:{party_id}" for party_id in party_ids}):
        if not await tx.try_lock(name, wait_seconds):
            raise PartiesBusy
