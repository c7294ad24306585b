"""Restarts a flow at a position that its loads did not reach."""

from datetime import UTC, datetime

import sqlalchemy as sa

from services.chassis.telemetry.spans import current_traceparent
from services.lake.journal.model import Position
from services.loader.connectors.interface import Mark, Window
from services.loader.flows.model import LoadFlow
from services.loader.loading import bookkeeping
from services.loader.warehouse import Warehouse


async def restart_flow(warehouse: Warehouse, flow: LoadFlow, window: Window) -> int:
    """Move a flow's watermark to the empty `window`, by a batch without rows.

    What has landed stays where nothing is lost between it and the window. It goes where the journal is another one,
    whose positions mean nothing beside these, and where the journal was purged further than was loaded: what was
    deleted in between would be taken to be there for ever.

    Returns:
        How many landed rows were removed.
    """
    removed = 0
    async with warehouse.transaction() as tx:
        mark = await bookkeeping.lock(tx, flow.name)
        if mark.incarnation != window.incarnation or _loses_changes(mark, window):
            for target in flow.targets:
                done = await tx.execute(sa.delete(sa.table(target.table, schema="dl")))
                removed += done.rowcount
        await bookkeeping.keep(
            tx,
            flow.name,
            await bookkeeping.draw_batch_id(tx),
            window,
            {},
            traceparent=current_traceparent(),
            started_at=datetime.now(UTC),
        )
    return removed


def _loses_changes(mark: Mark, window: Window) -> bool:
    """Whether the window begins behind changes that were not loaded."""
    return mark.position is not None and Position.parse(mark.position) < Position.parse(window.position_to)
