"""The SQL of batches and watermarks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import sqlalchemy as sa
from uuid_utils.compat import uuid7

from services.loader.connectors.interface import Mark, Window
from services.loader.errors import AlreadyLoading, NotReplayable
from services.loader.loading.tally import Counted, checksum
from services.loader.quality.checks import Finding
from services.loader.tables import batch, batch_target, quality_result, watermark
from services.loader.warehouse import WarehouseReader, WarehouseTransaction

LOCK_TIMEOUT_SECONDS = 5.0
"""How long a load waits for another load of its flow before it reports that."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One loaded window, as it is kept."""

    batch_id: int
    flow: str
    window: Window
    row_count: int
    checksum: str
    traceparent: str | None
    started_at: datetime
    loaded_at: datetime
    counted: Mapping[str, Counted]
    replaces: int | None = None


async def lock(tx: WarehouseTransaction, flow: str) -> Mark:
    """Lock a flow's watermark until the transaction ends, and say where it stands.

    Raises:
        AlreadyLoading: another process holds it.
    """
    try:
        await tx.connection.exec_driver_sql(tx.dialect.set_lock_timeout(LOCK_TIMEOUT_SECONDS))
        row = (await tx.execute(tx.landing.lock_watermark(), {"flow": flow})).first()
        if row is None:
            await tx.execute(sa.insert(watermark).values(flow=flow))
            return Mark()
    except sa.exc.DBAPIError as error:
        if tx.dialect.is_lock_timeout(error) or isinstance(error, sa.exc.IntegrityError):
            raise AlreadyLoading(
                f"flow {flow} is being loaded by another process, which holds its watermark; "
                "wait for it, or end it: what it has not committed is taken back"
            ) from error
        raise
    return await _mark(tx, row.position, row.batch_id)


async def mark_of(reading: WarehouseReader, flow: str) -> Mark:
    """Say where a flow stands, without locking it."""
    row = (await reading.execute(sa.select(watermark).where(watermark.c.flow == flow))).first()
    return Mark() if row is None else await _mark(reading, row.position, row.batch_id)


async def _mark(reading: WarehouseReader, position: str | None, batch_id: int | None) -> Mark:
    if batch_id is None:
        return Mark(position)
    query = sa.select(batch.c.incarnation).where(batch.c.batch_id == batch_id)
    return Mark(position, _uuid(await reading.scalar(query)))


async def draw_batch_id(tx: WarehouseTransaction) -> int:
    """Draw a batch id; after the lock, so that they rise in the order of commits within a flow."""
    return int((await tx.connection.exec_driver_sql(tx.landing.draw_batch_id())).scalar_one())


async def keep(
    tx: WarehouseTransaction,
    flow: str,
    batch_id: int,
    window: Window,
    counted: Mapping[str, Counted],
    *,
    traceparent: str | None,
    started_at: datetime,
    replaces: int | None = None,
) -> Batch:
    """Write a batch and what went into each table; the watermark moves unless it replaces another."""
    kept = Batch(
        batch_id,
        flow,
        window,
        sum(each.rows for each in counted.values()),
        checksum(counted),
        traceparent,
        started_at,
        datetime.now(UTC),
        counted,
        replaces,
    )
    await tx.execute(
        sa.insert(batch).values(
            batch_id=batch_id,
            flow=flow,
            window_from=window.position_from,
            window_to=window.position_to,
            row_count=kept.row_count,
            checksum=kept.checksum,
            incarnation=window.incarnation,
            traceparent=traceparent,
            started_at=started_at,
            loaded_at=kept.loaded_at,
            replaces=replaces,
        )
    )
    if counted:
        await tx.execute(
            sa.insert(batch_target),
            [
                {"batch_id": batch_id, "target": table, "row_count": rows, "checksum": digest}
                for table, (rows, digest) in sorted(counted.items())
            ],
        )
    if replaces is None:
        await tx.execute(
            sa.update(watermark)
            .where(watermark.c.flow == flow)
            .values(
                position=window.position_to,
                batch_id=batch_id,
                moved_at=kept.loaded_at,
                checked_at=kept.loaded_at,
            )
        )
    return kept


async def keep_findings(
    tx: WarehouseTransaction, flow: str, batch_id: int, findings: Sequence[Finding]
) -> None:
    """Keep what the checks of a load have found, as one run of the flow's checks."""
    if not findings:
        return
    run_id, at = uuid7(), datetime.now(UTC)
    await tx.execute(
        sa.insert(quality_result),
        [
            {
                "result_id": uuid7(),
                "run_id": run_id,
                "flow": flow,
                "target": one.target,
                "column_name": one.column,
                "expectation": one.rule,
                "severity": one.severity,
                "success": one.failed == 0,
                "checked_count": one.checked,
                "failed_count": one.failed,
                "details": None,
                "through_batch_id": batch_id,
                "checked_at": at,
            }
            for one in findings
        ],
    )


async def nothing_new(tx: WarehouseTransaction, flow: str, position: str | None) -> None:
    """Note that a source was looked into up to `position`, and nothing was to be loaded."""
    await tx.execute(
        sa.update(watermark)
        .where(watermark.c.flow == flow)
        .values(position=position, checked_at=datetime.now(UTC))
    )


async def find(reading: WarehouseReader, flow: str, batch_id: int) -> Batch:
    """Read a batch of a flow whose rows are there.

    Raises:
        NotReplayable: there is none, or its rows were replaced.
    """
    row = (
        await reading.execute(sa.select(batch).where(batch.c.batch_id == batch_id, batch.c.flow == flow))
    ).first()
    if row is None:
        raise NotReplayable(f"flow {flow} has no batch {batch_id}; `status {flow}` lists the newest")
    successor = await reading.scalar(sa.select(batch.c.batch_id).where(batch.c.replaces == batch_id))
    if successor is not None:
        raise NotReplayable(
            f"the rows of batch {batch_id} were replaced by batch {successor}: replay that one"
        )
    targets = await reading.execute(sa.select(batch_target).where(batch_target.c.batch_id == batch_id))
    return Batch(
        row.batch_id,
        row.flow,
        Window(row.window_from, row.window_to, _uuid(row.incarnation)),
        row.row_count,
        row.checksum,
        row.traceparent,
        row.started_at,
        row.loaded_at,
        {each.target: Counted(each.row_count, each.checksum) for each in targets},
        row.replaces,
    )


def _uuid(value: UUID | str | None) -> UUID | None:
    return value if value is None or isinstance(value, UUID) else UUID(value)
