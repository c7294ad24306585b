"""The relay: journal → Kafka. One owner, no loss, repeats only after a crash, bounded memory."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from aiokafka import AIOKafkaProducer
from opentelemetry.trace import SpanKind, TraceFlags, Tracer

from services.chassis import messaging
from services.chassis.telemetry.logging import get_logger
from services.chassis.telemetry.spans import current_traceparent, link_from
from services.lake.journal.model import Position
from services.lake.journal.reader import Change, JournalReader, JournalStream
from services.replicator import metrics
from services.replicator.errors import CursorAheadOfJournal, JournalReplaced
from services.replicator.failpoints import failpoint
from services.replicator.progress import Backlog, Work
from services.replicator.records import (
    HEARTBEAT,
    OPERATIONS,
    TRACEPARENT,
    Headers,
    Source,
    change_header,
    is_sampled,
)
from services.replicator.relay.held import HeldTables
from services.replicator.relay.lease import Cursor, Lease
from services.replicator.relay.partitions import HELD, Partitions
from services.replicator.relay.retention import refuse_purged

SAVE_EVERY_SECONDS = 0.1
"""A cursor saved later only means more repeats after a crash, which the sink drops."""
HEARTBEAT_SECONDS = 1.0
ASK_SECONDS = 2.0
"""After so long without an acknowledgement an idle relay asks whether Kafka is there."""
HEARTBEAT_TURNS = 10
"""A tenth of the partitions at a time, so that they never hold up a change together."""
SHORTEST_PAUSE_SECONDS = 0.001
MANY_CHANGES = 500
"""So many at once, and more will follow: they are read without a wait."""
MAX_LINKS = 10_000
RESEND_CHANGES = 5000
"""How much of the journal is looked through at once for a table that is resumed, between what all tables send."""

_log = get_logger(__name__)


class Relay:
    """Sends every change above the cursor, in order, each to the partition of its key."""

    def __init__(
        self,
        journal: JournalReader,
        producer: AIOKafkaProducer,
        lease: Lease,
        tracer: Tracer,
        *,
        topic_prefix: str,
        partitions: int,
        batch_changes: int,
        idle_poll_seconds: float,
        pace_seconds: float,
        work: Work,
        backlog: Backlog,
    ) -> None:
        self._journal = journal
        self._lease = lease
        self._tracer = tracer
        self._partitions = Partitions(producer, topic_prefix, partitions)
        self._batch_changes = batch_changes
        self._idle_poll_seconds = idle_poll_seconds
        self._incarnation = UUID(int=0)
        self._cursor = Cursor(None, Position(0), None)
        self._saved_at = 0.0
        self._unsaved = False
        self._sending: asyncio.Task[None] | None = None
        self._saving: asyncio.Task[None] | None = None
        self._measuring: asyncio.Task[None] | None = None
        self._turn = 0
        self._pace_seconds = pace_seconds
        self._work = work
        self._backlog = backlog
        self._asking: asyncio.Task[None] | None = None
        self._held = HeldTables(journal, self._partitions)

    @property
    def position(self) -> Position:
        """Up to where Kafka has acknowledged everything."""
        return self._cursor.position

    async def begin(self, cursor: Cursor, tables: Mapping[str, int]) -> None:
        """Check that `cursor` belongs to this journal, and take it up.

        Args:
            cursor: what the lease remembered.
            tables: every captured table, and how many bytes a record batch of its topic may have.

        Raises:
            JournalReplaced: the journal has another incarnation, or another change where the cursor stands.
            CursorBehindRetention: changes above the cursor have been purged.
            CursorAheadOfJournal: there is no change where the cursor stands.
        """
        self._incarnation = await self._journal.incarnation()
        if cursor.incarnation is not None and cursor.incarnation != self._incarnation:
            raise JournalReplaced(
                f"the cursor is of journal {cursor.incarnation}, the lake holds {self._incarnation}: the lake was "
                "replaced. Make the replica anew and let the relay begin from the start"
            )
        refuse_purged(await self._journal.purged(), cursor.position)
        if cursor.captured_at is not None:
            captured_at = await self._journal.captured_at(cursor.position)
            if captured_at is None:
                raise CursorAheadOfJournal(
                    f"the journal holds no change at {cursor.position}, where the cursor stands: it was restored from "
                    "an older copy, or purged too far. See docs/runbooks/relay-stopped.md"
                )
            if captured_at.replace(tzinfo=UTC) != cursor.captured_at:
                raise JournalReplaced(
                    f"the change at {cursor.position} was captured at {captured_at}, the cursor remembers "
                    f"{cursor.captured_at}: the journal went another way after a restore. Verify the replica first"
                )
        self._cursor = Cursor(self._incarnation, cursor.position, cursor.captured_at)
        self._partitions.begin(tables, cursor.sent)
        self._held.begin(cursor.held)
        metrics.RELAY_EPOCH.set(self._lease.epoch)
        _log.info("relay begins", epoch=self._lease.epoch, position=str(cursor.position))

    async def run(self, stop: asyncio.Event) -> None:
        """Relay until `stop` is set.

        Raises:
            LeaseLost: another relay has taken over.
            aiokafka.errors.KafkaError: a send was not acknowledged; begin again from the saved cursor.
        """
        async with self._journal.stream() as stream:
            await self._relay(stream, stop)
        if self._unsaved:
            self._begin_saving()
            await self._saved()
        await self._lease.release()

    async def _relay(self, stream: JournalStream, stop: asyncio.Event) -> None:
        pause = SHORTEST_PAUSE_SECONDS
        beat_at = time.monotonic() + HEARTBEAT_SECONDS / HEARTBEAT_TURNS
        after = self._cursor.position
        try:
            while not stop.is_set():
                began = time.monotonic()
                changes = await stream.read(after, self._batch_changes)
                beat = time.monotonic() >= beat_at
                if beat:
                    beat_at = time.monotonic() + HEARTBEAT_SECONDS / HEARTBEAT_TURNS
                if changes:
                    after = changes[-1].position
                if changes or beat:
                    # Beside the reading of what follows: one round at a time, each after all acks of the one before.
                    await self._sent()
                    self._sending = asyncio.create_task(self._round(changes, beat))
                if changes:
                    pause = SHORTEST_PAUSE_SECONDS
                    if len(changes) < MANY_CHANGES:
                        # What a round costs, here and behind, depends little on what it carries: under load a
                        # short wait makes few rounds of many, and all of it faster.
                        await asyncio.sleep(began + self._pace_seconds - time.monotonic())
                else:
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, self._idle_poll_seconds)
            await self._sent()
            await self._saved()
            await self._measured()
        finally:
            under_way = [
                task
                for task in (self._sending, self._saving, self._measuring, self._asking)
                if task is not None
            ]
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    async def _sent(self) -> None:
        """Wait until the round that is on its way has arrived; raises whatever its sending raised."""
        sending, self._sending = self._sending, None
        if sending is not None:
            await sending

    async def _round(self, changes: Sequence[Change], beat: bool) -> None:
        """Send changes, if there are any, and heartbeats, if it is time for them: by one request."""
        if changes:
            await self._send(changes, beat)
        elif await self._append_heartbeats(self._cursor.position):
            await self._partitions.flush()
            await self._partitions.acknowledged()
            self._work.acknowledged()
            self._unsaved = True
        for table in list(self._held.resuming):
            await self._resend(table)
        await self._save_when_due()
        if self._held and beat and self._turn == 0:
            await self._saved()
            self._held.find_resumed(await self._lease.stopped())
        if beat and self._turn == 0 and (self._measuring is None or self._measuring.done()):
            await self._measured()
            self._measuring = asyncio.create_task(self._measure())

    async def _send(self, changes: Sequence[Change], beat: bool) -> None:
        self._backlog.waits(changes[0].captured_at.replace(tzinfo=UTC))
        # One link a transaction: its changes share the context.
        contexts = {
            traceparent
            for traceparent in {change.traceparent for change in changes}
            if traceparent and is_sampled(traceparent)
        }
        with self._tracer.start_as_current_span(
            "send lake",
            kind=SpanKind.PRODUCER,
            links=[link for context in contexts if (link := link_from(context))][:MAX_LINKS],
            attributes={
                messaging.SYSTEM: "kafka",
                messaging.OPERATION_NAME: "send",
                messaging.OPERATION_TYPE: "send",
                messaging.DESTINATION: "lake",
                messaging.BATCH_COUNT: len(changes),
            },
        ):
            await self._append_all(changes)
            if beat:
                await self._append_heartbeats(changes[-1].position)
            await self._partitions.flush()
            failpoint("relay.before_acks")
            await self._partitions.acknowledged()
        failpoint("relay.after_acks")
        self._work.acknowledged()
        self._backlog.empty()
        # Only now, after every ack: a crash before this repeats the batch, and the sink drops what it has.
        self._cursor.position = changes[-1].position
        self._cursor.captured_at = changes[-1].captured_at.replace(tzinfo=UTC)
        self._unsaved = True
        for table, count in Counter(change.table for change in changes).items():
            if table not in self._held:
                metrics.RELAYED.labels(table).inc(count)

    async def _append_all(self, changes: Sequence[Change]) -> None:
        """Put every change into the batch of its partition."""
        sources: dict[str, str] = {}
        contexts: dict[str | None, Headers] = {}
        captured_at: datetime | None = None
        captured_ms = 0
        for major, minor, table, operation, key, image, fingerprint, _, traceparent, at in changes:
            # What is the same for many changes is made once.
            source = sources.get(fingerprint)
            if source is None:
                source = sources[fingerprint] = str(Source(self._lease.epoch, self._incarnation, fingerprint))
            context = contexts.get(traceparent)
            if context is None:
                context = contexts[traceparent] = self._context(traceparent)
            if at != captured_at:
                captured_at = at
                captured_ms = int(at.replace(tzinfo=UTC).timestamp() * 1000)
            position = f"{major}.{minor}"
            value = None if image is None else image.encode()
            partition = self._partitions.of(table, encoded := key.encode())
            # Of a table that is held no change is small enough.
            if (0 if value is None else len(value)) > partition.largest or operation not in OPERATIONS:
                if partition.largest != HELD:
                    unknown = None if operation in OPERATIONS else operation
                    await self._held.leave_out(Position(major, minor), table, unknown, key, len(value or b""))
                continue
            headers = [change_header(operation, position, partition.sent, source), *context]
            if not partition.append(encoded, value, captured_ms, headers):
                await self._partitions.hand_over(partition)
                partition.append(encoded, value, captured_ms, headers)
            partition.sent = position

    async def _resend(self, table: str) -> None:
        """Send some of what a table has missed; when that is all, it goes on with the others.

        All of the journal that is not above the cursor has been read, and nothing of this table was sent of it.
        """
        through = self._cursor.position
        changes = await self._journal.read_between(self._held.after(table), through, RESEND_CHANGES)
        self._partitions.resume(table)
        await self._append_all([change for change in changes if change.table == table])
        await self._partitions.flush()
        await self._partitions.acknowledged()
        self._unsaved = True
        is_all = not changes or changes[-1].position >= through
        self._held.sent(table, None if is_all else changes[-1].position)

    def _context(self, traceparent: str | None) -> Headers:
        if traceparent is None:
            # A script's or a DBA's change: its trace begins here, one root for all of this read.
            traceparent = self._root()
        return [(TRACEPARENT, traceparent.encode())] if traceparent else []

    def _root(self) -> str | None:
        with self._tracer.start_as_current_span("change without context", kind=SpanKind.PRODUCER) as span:
            sampled = span.get_span_context().trace_flags & TraceFlags.SAMPLED
            return current_traceparent() if sampled else None

    async def _save_when_due(self) -> None:
        """Save the cursor beside the relaying: it need not wait for the disk, only not run far ahead of it.

        Saving renews the lease; when there is nothing to save, it is renewed now and then.
        """
        elapsed = time.monotonic() - self._saved_at
        if elapsed >= SAVE_EVERY_SECONDS:
            await self._saved()
            if self._unsaved:
                self._begin_saving()
            elif elapsed >= HEARTBEAT_SECONDS:
                self._saving = asyncio.create_task(self._renew())
                self._saved_at = time.monotonic()

    async def _renew(self) -> None:
        """Hold the lease while nothing is to be sent, and find out meanwhile whether Kafka still answers."""
        if self._work.silent_seconds > ASK_SECONDS and (self._asking is None or self._asking.done()):
            self._asking = asyncio.create_task(self._ask())
        await self._lease.renew(self._work.silent_seconds)

    async def _ask(self) -> None:
        if await self._partitions.answers():
            self._work.acknowledged()

    def _begin_saving(self) -> None:
        # A copy: what is sent from now on is not acknowledged yet.
        held, stopping = self._held.to_save()
        cursor = replace(self._cursor, sent=self._partitions.sent(), held=held, stopping=stopping)
        self._saving = asyncio.create_task(self._save(cursor))
        self._saved_at = time.monotonic()
        self._unsaved = False

    async def _save(self, cursor: Cursor) -> None:
        await self._lease.save(cursor)
        failpoint("relay.after_save")

    async def _saved(self) -> None:
        """Wait until the cursor that is being saved is; raises whatever its saving raised."""
        saving, self._saving = self._saving, None
        if saving is not None:
            await saving

    async def _append_heartbeats(self, position: Position) -> bool:
        """Tell the partitions whose turn it is how far the journal has been relayed, unless their last record does.

        Whether there are any. All that is at or below `position` must have been appended before.
        """
        self._turn = (self._turn + 1) % HEARTBEAT_TURNS
        behind = self._partitions.behind(position, self._turn, HEARTBEAT_TURNS)
        text = str(position)
        source = str(Source(self._lease.epoch, self._incarnation))
        now_ms = int(time.time() * 1000)
        for partition in behind:
            headers = [change_header(HEARTBEAT, text, partition.sent, source)]
            if not partition.append(None, None, now_ms, headers):
                await self._partitions.hand_over(partition)
                partition.append(None, None, now_ms, headers)
            partition.sent = text
        return bool(behind)

    async def _measure(self) -> None:
        metrics.HORIZON_HELD.set(await self._journal.oldest_writer_seconds())

    async def _measured(self) -> None:
        """Wait until what is being measured is; raises whatever that raised."""
        measuring, self._measuring = self._measuring, None
        if measuring is not None:
            await measuring
