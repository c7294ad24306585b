"""The relay: journal → Kafka. One owner, no loss, repeats only after a crash, bounded memory."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from aiokafka import AIOKafkaProducer
from opentelemetry.trace import SpanKind, TraceFlags, Tracer

from services.chassis import messaging
from services.chassis.dialects import START, Position
from services.chassis.logging import get_logger
from services.chassis.metrics import MESSAGES_SENT
from services.chassis.telemetry import current_traceparent, link_from
from services.lake.journal import Change, JournalReader
from services.replicator import metrics
from services.replicator.errors import ChangeNotRelayable, CursorAheadOfJournal, JournalReplaced
from services.replicator.events import (
    HEARTBEAT,
    OPERATIONS,
    Header,
    Headers,
    headers_of,
    is_sampled,
    partition_of,
)
from services.replicator.failpoints import failpoint
from services.replicator.lease import Cursor, Lease

SAVE_EVERY_SECONDS = 0.1
"""A cursor saved later only means more repeats after a crash, which the sink drops."""
HEARTBEAT_SECONDS = 1.0
SHORTEST_PAUSE_SECONDS = 0.002
MAX_LINKS = 10_000
LARGEST_RECORD_BYTES = 16 * 1024 * 1024
"""What a topic takes, where Kafka's default is 1 MiB: the `max.message.bytes` of the topics."""
LARGEST_IMAGE_BYTES = LARGEST_RECORD_BYTES - 64 * 1024

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
    ) -> None:
        self._journal = journal
        self._producer = producer
        self._lease = lease
        self._tracer = tracer
        self._topic_prefix = topic_prefix
        self._partitions = partitions
        self._batch_changes = batch_changes
        self._idle_poll_seconds = idle_poll_seconds
        self._incarnation = UUID(int=0)
        self._cursor = Cursor(None, Position(0), None)
        self._saved_at = 0.0
        self._unsaved = False

    async def begin(self, cursor: Cursor, tables: Sequence[str]) -> None:
        """Check that `cursor` belongs to this journal, and take it up.

        Args:
            cursor: what the lease remembered.
            tables: every captured table, whose partitions get heartbeats.

        Raises:
            JournalReplaced: the journal has another incarnation, or another change where the cursor stands.
            CursorAheadOfJournal: there is no change where the cursor stands.
        """
        self._incarnation = await self._journal.incarnation()
        if cursor.incarnation is not None and cursor.incarnation != self._incarnation:
            raise JournalReplaced(
                f"the cursor is of journal {cursor.incarnation}, the lake holds {self._incarnation}: the lake was "
                "replaced. Make the replica anew and let the relay begin from the start"
            )
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
        self._cursor = Cursor(self._incarnation, cursor.position, cursor.captured_at, dict(cursor.sent))
        for table in tables:
            for partition in range(self._partitions):
                self._cursor.sent.setdefault(f"{self._topic_prefix}{table}/{partition}", Position(0))
        metrics.RELAY_EPOCH.set(self._lease.epoch)
        _log.info("relay begins", epoch=self._lease.epoch, position=str(cursor.position))

    async def run(self, stop: asyncio.Event) -> None:
        """Relay until `stop` is set.

        Raises:
            LeaseLost: another relay has taken over.
            aiokafka.errors.KafkaError: a send was not acknowledged; begin again from the saved cursor.
        """
        pause = SHORTEST_PAUSE_SECONDS
        beat_at = time.monotonic() + HEARTBEAT_SECONDS
        reading = self._read_after(self._cursor.position)
        try:
            while not stop.is_set():
                changes = await reading
                if changes:
                    # Read on while these are on their way; nothing is saved before their acks.
                    reading = self._read_after(changes[-1].position)
                    await self._send(changes)
                    pause = SHORTEST_PAUSE_SECONDS
                await self._save_when_due()
                if time.monotonic() >= beat_at:
                    await self._heartbeat()
                    beat_at = time.monotonic() + HEARTBEAT_SECONDS
                if not changes:
                    metrics.RELAY_BACKLOG_AGE.set(0)
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, self._idle_poll_seconds)
                    reading = self._read_after(self._cursor.position)
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
        if self._unsaved:
            await self._lease.save(self._cursor)
        await self._lease.release()

    def _read_after(self, position: Position) -> asyncio.Task[list[Change]]:
        return asyncio.create_task(self._journal.read(position, self._batch_changes))

    async def _send(self, changes: Sequence[Change]) -> None:
        oldest = changes[0].captured_at.replace(tzinfo=UTC).timestamp()
        metrics.RELAY_BACKLOG_AGE.set(max(0.0, time.time() - oldest))
        # One link a transaction: its changes share the context.
        contexts = {
            change.traceparent for change in changes if change.traceparent and is_sampled(change.traceparent)
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
            batches = _Batches(self._producer)
            await self._append_all(batches, changes)
            failpoint("relay.before_acks")
            await batches.flush()
        failpoint("relay.after_acks")
        # Only now, after every ack: a crash before this repeats the batch, and the sink drops what it has.
        self._cursor.position = changes[-1].position
        self._cursor.captured_at = changes[-1].captured_at.replace(tzinfo=UTC)
        self._unsaved = True
        for table, count in Counter(change.table for change in changes).items():
            metrics.RELAYED.labels(table).inc(count)

    async def _append_all(self, batches: "_Batches", changes: Sequence[Change]) -> None:
        """Encode every change into the batch of its partition. What is the same for all is encoded once."""
        operations = {operation: ("operation", operation.encode()) for operation in OPERATIONS}
        epoch = ("epoch", str(self._lease.epoch).encode())
        incarnation = ("incarnation", self._incarnation.hex.encode())
        fingerprints: dict[str, Header] = {}
        sent = self._cursor.sent
        rootless: str | None = None
        captured_at: datetime | None = None
        captured_ms = 0
        for change in changes:
            key = change.key.encode()
            topic = self._topic_prefix + change.table
            partition = partition_of(key, self._partitions)
            place = f"{topic}/{partition}"
            position = change.position
            fingerprint = fingerprints.get(change.fingerprint)
            if fingerprint is None:
                fingerprint = fingerprints[change.fingerprint] = ("fingerprint", change.fingerprint.encode())
            traceparent = change.traceparent
            if traceparent is None:
                # A script's or a DBA's change: its trace begins here, one root for all of this read.
                rootless = traceparent = rootless or self._root()
            if captured_at != change.captured_at:
                captured_at = change.captured_at
                captured_ms = int(captured_at.replace(tzinfo=UTC).timestamp() * 1000)
            image = None if change.image is None else change.image.encode()
            if change.operation not in operations or (image is not None and len(image) > LARGEST_IMAGE_BYTES):
                raise ChangeNotRelayable(
                    f"the change at {position} of {change.table} {change.key} cannot be relayed: operation "
                    f"{change.operation!r}, image of {len(image or b''):,} bytes (at most {LARGEST_IMAGE_BYTES:,}). "
                    "See docs/runbooks/relay-stopped.md"
                )
            headers = [
                operations[change.operation],
                ("position", str(position).encode()),
                ("previous", str(sent.get(place, START)).encode()),
                epoch,
                incarnation,
                fingerprint,
            ]
            if traceparent:
                headers.append(("traceparent", traceparent.encode()))
            await batches.append(topic, partition, key, image, captured_ms, headers)
            sent[place] = position

    def _root(self) -> str | None:
        with self._tracer.start_as_current_span("change without context", kind=SpanKind.PRODUCER) as span:
            sampled = span.get_span_context().trace_flags & TraceFlags.SAMPLED
            return current_traceparent() if sampled else None

    async def _save_when_due(self) -> None:
        if self._unsaved and time.monotonic() - self._saved_at >= SAVE_EVERY_SECONDS:
            await self._lease.save(self._cursor)
            failpoint("relay.after_save")
            self._saved_at = time.monotonic()
            self._unsaved = False

    async def _heartbeat(self) -> None:
        """Tell the partitions that got nothing lately how far the journal has been relayed."""
        behind = [place for place, position in self._cursor.sent.items() if position < self._cursor.position]
        if behind:
            batches = _Batches(self._producer)
            now_ms = int(datetime.now(UTC).timestamp() * 1000)
            for place in behind:
                topic, _, partition = place.rpartition("/")
                headers = headers_of(
                    operation=HEARTBEAT,
                    position=self._cursor.position,
                    previous=self._cursor.sent[place],
                    epoch=self._lease.epoch,
                    incarnation=self._incarnation,
                )
                await batches.append(topic, int(partition), None, None, now_ms, headers)
                self._cursor.sent[place] = self._cursor.position
            await batches.flush()
            self._unsaved = True
        metrics.HORIZON_HELD.set(await self._journal.oldest_writer_seconds())
        if not self._unsaved:
            await self._lease.renew()


class _Batches:
    """One record batch a partition, encoded here and handed over whole: much less work a record than send()."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer
        self._open: dict[tuple[str, int], object] = {}
        self._acks: list[asyncio.Future[object]] = []
        self._counts: dict[str, int] = {}

    async def append(  # noqa: PLR0917 - the parts of a Kafka record
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        timestamp_ms: int,
        headers: Headers,
    ) -> None:
        """Add a record; a full batch goes to the producer, whose bounded buffer holds the caller back."""
        place = (topic, partition)
        builder = self._open.get(place)
        if builder is None:
            builder = self._open[place] = self._producer.create_batch()
        record = {"key": key, "value": value, "timestamp": timestamp_ms, "headers": headers}
        if builder.append(**record) is None:  # type: ignore[attr-defined] # aiokafka ships no types
            await self._hand_over(place)
            builder = self._open[place] = self._producer.create_batch()
            builder.append(**record)
        self._counts[topic] = self._counts.get(topic, 0) + 1

    async def _hand_over(self, place: tuple[str, int]) -> None:
        topic, partition = place
        batch = self._open.pop(place)
        self._acks.append(await self._producer.send_batch(batch, topic, partition=partition))

    async def flush(self) -> None:
        """Send what is left and wait for every acknowledgement.

        Raises:
            aiokafka.errors.KafkaError: the first that failed.
        """
        for place in list(self._open):
            await self._hand_over(place)
        results = await asyncio.gather(*self._acks, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        for topic, count in self._counts.items():
            MESSAGES_SENT.labels(topic, "").inc(count)
