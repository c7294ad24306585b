"""The load itself: a window, its rows, its batch and the moved watermark are one transaction of the warehouse."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import sqlalchemy as sa
from opentelemetry.trace import Span, Tracer

from services.chassis.telemetry.spans import current_traceparent, parent_from
from services.loader.connectors.interface import Connector, Window
from services.loader.errors import LoaderError, NotReplayable, SourceChanged, WarehouseFailed, what_failed
from services.loader.flows.model import JournalFlow, LoadFlow
from services.loader.loading import bookkeeping
from services.loader.loading.bookkeeping import Batch
from services.loader.loading.contexts import Contexts
from services.loader.loading.tally import Counted, Tally, checksum
from services.loader.quality.checks import Checks
from services.loader.warehouse import Warehouse, WarehouseTransaction

Tell = Callable[[int], None]
"""Called with the number of further rows that were written."""


class Watcher(Protocol):
    """Hears of each load, one at a time; lineage is one."""

    async def started(self, flow: LoadFlow) -> str:
        """A window is about to be read; returns an id for this run of the flow."""

    async def completed(self, flow: LoadFlow, batch: Batch | None) -> None:
        """A batch is committed, or there was nothing new."""

    async def failed(self, flow: LoadFlow, error: BaseException) -> None:
        """Nothing was committed."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What one run has done: its batches, none when there was nothing new."""

    flow: str
    batches: tuple[Batch, ...]

    @property
    def rows(self) -> int:
        """Rows of all batches."""
        return sum(batch.row_count for batch in self.batches)


class Loader:
    """Loads one flow by one connector."""

    def __init__(
        self,
        warehouse: Warehouse,
        connector: Connector,
        flow: LoadFlow,
        tracer: Tracer,
        watcher: Watcher,
        *,
        batch_rows: int,
        parent: str | None = None,
    ) -> None:
        """`batch_rows`: a larger window is cut; `parent`: the traceparent that loads continue."""
        self._warehouse = warehouse
        self._connector = connector
        self._flow = flow
        self._tracer = tracer
        self._watcher = watcher
        self._batch_rows = batch_rows
        self._parent = parent
        # What the journal brings is looked at when it is typed, and set aside there.
        journal = isinstance(flow, JournalFlow)
        self._checks = {} if journal else {target.table: Checks(target) for target in flow.targets}

    async def run(self, tell: Tell) -> Loaded:
        """Load everything that is new, batch by batch.

        Raises:
            LoaderError: batches committed before it stay; of the one that failed nothing is there.
        """
        batches: list[Batch] = []
        more = True
        while more:
            batch = await self._watched(lambda span: self._next(span, tell))
            if batch is None:
                break
            batches.append(batch)
            # Only now: what is committed here may go there.
            await self._connector.loaded(batch.window.position_to)
            more = batch.window.more
        return Loaded(self._flow.name, tuple(batches))

    async def replay(self, batch_id: int, tell: Tell) -> Loaded:
        """Read a batch's window again, and put its rows under a new batch id in place of the old ones.

        Raises:
            NotReplayable: there is no such batch, or its window does not hold what was loaded.
        """
        if self._connector.compares:
            raise NotReplayable(
                f"flow {self._flow.name}: its source shows only what is there now, so a window cannot be read again; "
                "`run` lands whatever differs"
            )
        batch = await self._watched(lambda span: self._again(span, batch_id, tell))
        return Loaded(self._flow.name, () if batch is None else (batch,))

    async def _watched(self, load: Callable[[Span], Awaitable[Batch | None]]) -> Batch | None:
        with self._tracer.start_as_current_span(
            f"load {self._flow.name}",
            context=parent_from(self._parent),
            attributes={"creditmesh.flow": self._flow.name, "creditmesh.rows": 0},
        ) as span:
            span.set_attribute("creditmesh.run_id", await self._watcher.started(self._flow))
            try:
                with self._reaching():
                    batch = await load(span)
            except BaseException as error:
                await self._watcher.failed(self._flow, error)
                raise
            if batch is not None:
                span.set_attribute("creditmesh.batch_id", batch.batch_id)
                span.set_attribute("creditmesh.rows", batch.row_count)
            await self._watcher.completed(self._flow, batch)
            return batch

    async def _next(self, span: Span, tell: Tell) -> Batch | None:
        started_at, traceparent = datetime.now(UTC), current_traceparent()
        async with self._warehouse.transaction() as tx:
            mark = await bookkeeping.lock(tx, self._flow.name)
            window = await self._connector.next_window(mark, self._batch_rows)
            if window is None:
                await bookkeeping.nothing_new(tx, self._flow.name, mark.position)
                return None
            batch_id = await bookkeeping.draw_batch_id(tx)
            for checks in self._checks.values():
                checks.take()  # of a window that was not committed
            counted = await self._write(tx, span, batch_id, window, tell)
            if self._connector.compares and not counted:
                await bookkeeping.nothing_new(tx, self._flow.name, window.position_to)
                return None
            await self._keep_findings(tx, batch_id)
            return await bookkeeping.keep(
                tx,
                self._flow.name,
                batch_id,
                window,
                counted,
                traceparent=traceparent,
                started_at=started_at,
            )

    async def _again(self, span: Span, replayed: int, tell: Tell) -> Batch:
        started_at, traceparent = datetime.now(UTC), current_traceparent()
        async with self._warehouse.transaction() as tx:
            await bookkeeping.lock(tx, self._flow.name)
            kept = await bookkeeping.find(tx, self._flow.name, replayed)
            batch_id = await bookkeeping.draw_batch_id(tx)
            counted = await self._write(tx, span, batch_id, kept.window, tell)
            if (found := checksum(counted)) != kept.checksum:
                rows = sum(each.rows for each in counted.values())
                raise NotReplayable(
                    f"flow {self._flow.name}: the window of batch {replayed} holds {rows:,} rows with checksum "
                    f"{found}, and {kept.row_count:,} with {kept.checksum} were loaded: the source was changed behind "
                    "the loader's back, or the flow file since. The rows that landed stay as they are"
                )
            for table in counted:
                await tx.execute(tx.landing.delete_batch(table), {"batch_id": replayed})
            return await bookkeeping.keep(
                tx,
                self._flow.name,
                batch_id,
                kept.window,
                counted,
                traceparent=traceparent,
                started_at=started_at,
                replaces=replayed,
            )

    def _look(self, table: str, lines: Sequence[bytes]) -> None:
        if checks := self._checks.get(table):
            checks.look(lines)

    async def _keep_findings(self, tx: WarehouseTransaction, batch_id: int) -> None:
        found = [finding for checks in self._checks.values() for finding in checks.take()]
        await bookkeeping.keep_findings(tx, self._flow.name, batch_id, found)

    async def _write(
        self, tx: WarehouseTransaction, span: Span, batch_id: int, window: Window, tell: Tell
    ) -> Mapping[str, Counted]:
        if self._connector.compares:
            return await self._write_differences(tx, batch_id, window, tell)
        contexts = Contexts()
        tallies: dict[str, Tally] = {}
        async for chunk in self._connector.read(window):
            contexts.look(chunk)
            for table, lines in chunk.items():
                self._look(table, lines)
                tallies.setdefault(table, Tally()).add(lines)
                written = await tx.landing.write(tx.connection, table, batch_id, lines)
                if written != len(lines):
                    raise WarehouseFailed(f"dl.{table}: {len(lines)} rows were sent, and {written} written")
                tell(written)
        contexts.link(span)
        return {table: tally.counted() for table, tally in tallies.items()}

    async def _write_differences(
        self, tx: WarehouseTransaction, batch_id: int, window: Window, tell: Tell
    ) -> Mapping[str, Counted]:
        """Put what was read beside the landing, compare inside the warehouse, and land what differs."""
        read = dict.fromkeys((target.table for target in self._flow.targets), 0)
        for table in read:
            for statement in tx.landing.create_stage(table):
                await tx.connection.exec_driver_sql(statement)
        async for chunk in self._connector.read(window):
            for table, lines in chunk.items():
                self._look(table, lines)
                read[table] += await tx.landing.write(tx.connection, table, batch_id, lines, stage=True)
                tell(len(lines))
        counted: dict[str, Counted] = {}
        for table, rows in read.items():
            complete = self._connector.complete
            if complete and not rows and not self._connector.may_be_empty:
                alive = await tx.scalar(tx.landing.count_alive(table))
                if alive:
                    raise SourceChanged(
                        f"flow {self._flow.name}: the source of dl.{table} is empty, and {alive:,} rows of it have "
                        "landed: all of them would be deleted. If that is right, set source.may_be_empty: true"
                    )
            await tx.execute(tx.landing.land_differences(table, complete=complete), {"batch_id": batch_id})
            tally = Tally()
            async for lines in tx.landing.read(tx.connection, table, batch_id):
                tally.add(lines)
            if (each := tally.counted()).rows:
                counted[table] = each
        return counted

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except LoaderError:
            raise
        except (OSError, TimeoutError, sa.exc.SQLAlchemyError) as error:
            raise WarehouseFailed(
                f"flow {self._flow.name}: the warehouse {what_failed(error)}. Nothing of this window was loaded; "
                "the next run loads it"
            ) from error
