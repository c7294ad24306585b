"""How those objects go that nobody needs."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from services.chassis.objects.interface import Objects
from services.chassis.telemetry.logging import get_logger
from services.intake.stored.domain import Folder

SWEEP_SECONDS = 600.0
ORPHAN_AGE = timedelta(hours=1)
"""No request lasts as long: an older object that nobody needs was left by a killed process."""

_log = get_logger(__name__)


async def discard(store: Objects, key: str) -> None:
    """Remove an object that got no row, or try to: what stays is swept."""
    try:
        await store.remove(key)
    except OSError as error:
        _log.warning("an object stays until it is swept", error=type(error).__name__)


async def sweep(
    store: Objects,
    folder: Folder,
    unneeded: Callable[[Sequence[UUID]], Awaitable[Sequence[UUID]]],
    age: timedelta = ORPHAN_AGE,
) -> int:
    """Remove the objects of a folder that are older than `age` and not needed; how many.

    Args:
        store: where they are.
        folder: what has another name was not stored there by intake, and stays.
        unneeded: gives those of some ids whose objects nobody needs.
        age: see ORPHAN_AGE.
    """
    before = datetime.now(UTC) - age
    found = [folder.id_of(key) async for key in store.older_than(folder.name, before)]
    ids = [one for one in found if one is not None]
    if not ids:
        return 0
    orphans = await unneeded(ids)
    for one in orphans:
        await store.remove(folder.key(one))
    if orphans:
        _log.info("objects that nobody needs were removed", folder=folder.name, objects=len(orphans))
    return len(orphans)
