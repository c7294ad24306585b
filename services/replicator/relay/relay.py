"""The relay: journal → Kafka. One owner, no loss, repeats only after a crash, bounded memory."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC

from opentelemetry.trace import SpanKind, Tracer

from services.chassis import messaging
from services.chassis.telemetry.logging import get_logger
from services.chassis.telemetry.spans import link_from
from services.lake.journal.model import Position
from services.lake.journal.reader import Change
from services.replicator import metrics
from services.replicator.errors import CursorAheadOfJournal, JournalReplaced
from services.replicator.failpoints import failpoint as process_failpoint
from services.replicator.ports import ChangeStream, Clock, Failpoint, Journal, RecordProducer
from services.replicator.progress import Backlog, Work
from services.replicator.records import is_sampled
from services.replicator.relay.appender import Appender
from services.replicator.relay.held import HeldTables
from services.replicator.relay.lease import Cursor
from services.replicator.relay.partitions import Partitions
from services.replicator.relay.ports import RelayLease
from services.replicator.relay.retention import refuse_purged
from services.replicator.relay.timing import RelayTiming

MAX_LINKS = 10_000

_log = get_logger(__name__)


class Relay:
    """Sends every change above the cursor, in order, each to the partition of its key."""

    def __init__(
        self,
        journal: Journal,
        producer: RecordProducer,
        lease: RelayLease,
        tracer: Tracer,
        *,
        topic_prefix: str,
        partitions: int,
        batch_changes: int,
        idle_poll_seconds: float,
        pace_seconds: float,
        work: Work,
        backlog: Backlog,
        timing: RelayTiming | None = None,
        clock: Clock = time.monotonic,
        failpoint: Failpoint = process_failpoint,
    ) -> None:
        """Create a relay for one epoch; `begin` and then `run` must follow.

        Args:
            journal: where changes are read from.
            producer: sends them. It must be new with each epoch, so that nothing buffered before is sent after.
            lease: acquired; its epoch goes into every record.
            tracer: of the spans that sending is seen by.
            topic_prefix: stands before a table's name in its topic's, such as `lake.`.
            partitions: of each topic, at least 1; a topic's number never changes.
            batch_changes: the most changes that one read returns, at least 1.
            idle_poll_seconds: the longest pause between two reads while nothing is captured.
            pace_seconds: the shortest time from one read to the next while pages are not full; 0 for none.
            work: is told of each acknowledgement.
            backlog: is told of the oldest change that waits for one.
            timing: intervals and sizes, the defaults of `RelayTiming` when None.
            clock: monotonic seconds.
            failpoint: is called at each crash point.
        """
        self._journal = journal
        self._lease = lease
        self._tracer = tracer
        self._timing = timing or RelayTiming()
        self._clock = clock
        self._failpoint = failpoint
        self._partitions = Partitions(
            producer, topic_prefix, partitions, ack_seconds=self._timing.ack_seconds
        )
        self._held = HeldTables(journal, self._partitions)
        self._appender = Appender(self._partitions, self._held, tracer, turns=self._timing.heartbeat_turns)
        self._batch_changes = batch_changes
        self._idle_poll_seconds = idle_poll_seconds
        self._pace_seconds = pace_seconds
        self._work = work
        self._backlog = backlog
        self._cursor = Cursor(None, Position(0), None)
        self._saved_at = 0.0
        self._unsaved = False
        self._sending: asyncio.Task[None] | None = None
        self._saving: asyncio.Task[None] | None = None
        self._measuring: asyncio.Task[None] | None = None
        self._asking: asyncio.Task[None] | None = None

    @property
    def position(self) -> Position:
        """Up to where Kafka has acknowledged everything."""
        return self._cursor.position

    async def begin(self, cursor: Cursor, tables: Mapping[str, int]) -> None:
        """Check that `cursor` belongs to this journal, and adopt it.

        Args:
            cursor: as the lease returned it.
            tables: every captured table, and how many bytes a record batch of its topic may have.

        Raises:
            JournalReplaced: the journal has another incarnation, or another change where the cursor stands.
            CursorBehindRetention: changes above the cursor have been purged.
            CursorAheadOfJournal: there is no change where the cursor stands.
        """
        incarnation = await self._journal.incarnation()
        if cursor.incarnation is not None and cursor.incarnation != incarnation:
            raise JournalReplaced(
                f"the cursor is of journal {cursor.incarnation}, the lake holds {incarnation}: the lake was "
                "replaced. Rebuild the replica and let the relay begin from the start"
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
        self._cursor = Cursor(incarnation, cursor.position, cursor.captured_at)
        self._partitions.begin(tables, cursor.sent)
        self._held.begin(cursor.held)
        self._appender.begin(self._lease.epoch, incarnation)
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
            await self._await_save()
        await self._lease.release()

    async def _relay(self, stream: ChangeStream, stop: asyncio.Event) -> None:
        pause = self._timing.shortest_pause_seconds
        beat_seconds = self._timing.heartbeat_seconds / self._timing.heartbeat_turns
        beat_at = self._clock() + beat_seconds
        after = self._cursor.position
        try:
            while not stop.is_set():
                began = self._clock()
                changes = await stream.read(after, self._batch_changes)
                beat = self._clock() >= beat_at
                if beat:
                    beat_at = self._clock() + beat_seconds
                if changes:
                    after = changes[-1].position
                if changes or beat:
                    # Beside the reading of what follows: one round at a time, each after all acks of the one before.
                    await self._await_send()
                    self._sending = asyncio.create_task(self._round(changes, beat))
                if changes:
                    pause = self._timing.shortest_pause_seconds
                    if len(changes) < self._timing.full_page_changes:
                        # What a round costs, here and behind, depends little on what it carries: under load a
                        # short wait makes few rounds of many, and all of it faster.
                        await asyncio.sleep(began + self._pace_seconds - self._clock())
                else:
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, self._idle_poll_seconds)
            await self._await_send()
            await self._await_save()
            await self._await_measurement()
        finally:
            under_way = [
                task
                for task in (self._sending, self._saving, self._measuring, self._asking)
                if task is not None
            ]
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    async def _await_send(self) -> None:
        """Wait until the round that is on its way has arrived; raises whatever its sending raised."""
        sending, self._sending = self._sending, None
        if sending is not None:
            await sending

    async def _round(self, changes: Sequence[Change], beat: bool) -> None:
        """Send changes, if there are any, and heartbeats, if it is time for them: by one request."""
        if changes:
            await self._send(changes, beat)
        elif await self._appender.append_heartbeats(self._cursor.position):
            await self._partitions.flush()
            await self._partitions.await_acknowledgements()
            self._work.acknowledged()
            self._unsaved = True
        for table in list(self._held.resuming):
            await self._resend(table)
        await self._save_when_due()
        if self._held and beat and self._appender.turn == 0:
            await self._await_save()
            self._held.find_resumed(await self._lease.stopped())
        if beat and self._appender.turn == 0 and (self._measuring is None or self._measuring.done()):
            await self._await_measurement()
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
            await self._appender.append(changes)
            if beat:
                await self._appender.append_heartbeats(changes[-1].position)
            await self._partitions.flush()
            self._failpoint("relay.before_acks")
            await self._partitions.await_acknowledgements()
        self._failpoint("relay.after_acks")
        self._work.acknowledged()
        self._backlog.empty()
        # Only now, after every ack: a crash before this repeats the batch, and the sink drops what it has.
        self._cursor.position = changes[-1].position
        self._cursor.captured_at = changes[-1].captured_at.replace(tzinfo=UTC)
        self._unsaved = True
        for table, count in Counter(change.table for change in changes).items():
            if table not in self._held:
                metrics.RELAYED.labels(table).inc(count)

    async def _resend(self, table: str) -> None:
        """Send some of what a table has missed; when that is all, it goes on with the others.

        All of the journal that is not above the cursor has been read, and nothing of this table was sent of it.
        """
        through = self._cursor.position
        changes = await self._journal.read_between(
            self._held.after(table), through, self._timing.resend_changes
        )
        self._partitions.resume(table)
        await self._appender.append([change for change in changes if change.table == table])
        await self._partitions.flush()
        await self._partitions.await_acknowledgements()
        self._unsaved = True
        is_all = not changes or changes[-1].position >= through
        self._held.sent(table, None if is_all else changes[-1].position)

    async def _save_when_due(self) -> None:
        """Save the cursor beside the relaying: it need not wait for the disk, only not run far ahead of it.

        Saving renews the lease; when there is nothing to save, it is renewed now and then.
        """
        elapsed = self._clock() - self._saved_at
        if elapsed >= self._timing.save_every_seconds:
            await self._await_save()
            if self._unsaved:
                self._begin_saving()
            elif elapsed >= self._timing.heartbeat_seconds:
                self._saving = asyncio.create_task(self._renew())
                self._saved_at = self._clock()

    async def _renew(self) -> None:
        """Hold the lease while nothing is to be sent, and find out meanwhile whether Kafka still answers."""
        if self._work.silent_seconds > self._timing.ask_seconds and (
            self._asking is None or self._asking.done()
        ):
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
        self._saved_at = self._clock()
        self._unsaved = False

    async def _save(self, cursor: Cursor) -> None:
        await self._lease.save(cursor)
        self._failpoint("relay.after_save")

    async def _await_save(self) -> None:
        """Wait until the cursor that is being saved is; raises whatever its saving raised."""
        saving, self._saving = self._saving, None
        if saving is not None:
            await saving

    async def _measure(self) -> None:
        metrics.HORIZON_HELD.set(await self._journal.oldest_writer_seconds())

    async def _await_measurement(self) -> None:
        """Wait until what is being measured is; raises whatever that raised."""
        measuring, self._measuring = self._measuring, None
        if measuring is not None:
            await measuring
