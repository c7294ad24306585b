"""The sink: Kafka → replica. Each batch, its offsets and its quarantine are one transaction of the target."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError
from opentelemetry.trace import Link, Span, SpanKind, Tracer

from services.chassis import messaging
from services.chassis.logging import get_logger
from services.chassis.telemetry import parent_from
from services.lake.journal import JournalReader
from services.replicator import metrics, offsets, quarantine
from services.replicator.apply import (
    AT_FAULT,
    Plan,
    Refused,
    apply,
    apply_carefully,
    plan,
)
from services.replicator.errors import FenceRaised, GapOnPartition, MalformedEvent
from services.replicator.events import HEARTBEAT, Event, Source, fault_of, is_sampled, parse, where
from services.replicator.failpoints import failpoint
from services.replicator.offsets import Progress
from services.replicator.rebalances import Rebalances
from services.replicator.schema import ALTERED, Schema
from services.replicator.target import PASSING

POLL_MILLIS = 200
REPORT_SECONDS = 1.0
LONGEST_BACKOFF_SECONDS = 10.0
STUCK_SECONDS = 15.0
"""A turn of the loop that takes longer waits for a database that may never answer: the sink is not ready."""

_log = get_logger(__name__)


@dataclass(slots=True)
class _Batch:
    """What one poll brought, taken apart, and where its partitions stand when it is applied."""

    progress: dict[TopicPartition, Progress]
    events: list[Event] = field(default_factory=list)
    malformed: list[tuple[ConsumerRecord, str]] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    held: dict[TopicPartition, str] = field(default_factory=dict)
    heartbeat_ms: int | None = None
    oldest_ms: int | None = None


class Sink:
    """Applies what its share of the partitions brings, exactly once each."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        rebalances: Rebalances,
        journal: JournalReader,
        tracer: Tracer,
        connect: Any,
        *,
        topic_prefix: str,
        group: str,
        batch_changes: int,
    ) -> None:
        self._consumer = consumer
        self._rebalances = rebalances
        rebalances.forget = self.forget
        self._schema = Schema(journal, consumer, topic_prefix)
        self._tracer = tracer
        self._connect = connect
        self._group = group
        self._batch_changes = batch_changes
        self._connection: asyncpg.Connection | None = None
        self._owned: dict[TopicPartition, Progress] = {}
        self._quarantined = 0
        self._relay_epoch = 0
        self._report_at = 0.0
        self._waiting_ms: int | None = None
        self._turned_at = time.time()

    @property
    def ready(self) -> bool:
        """Whether every assigned partition has been taken over, and the loop turns."""
        if time.time() - self._turned_at > STUCK_SECONDS:
            return False
        return self._connection is not None and set(self._owned) == set(self._consumer.assignment())

    @property
    def stopped_tables(self) -> Mapping[str, str]:
        """Tables that stand still until a person acts, and why."""
        return self._schema.tables

    def forget(self) -> None:
        """Own nothing any more: the next batch begins by taking over what is assigned."""
        self._owned = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Apply until `stop` is set; what passes by itself is waited out, nothing is lost by it.

        Raises:
            ReplicationStopped: a person must look; the message says at what.
        """
        backoff = 0.1
        watching = asyncio.create_task(self._schema.watch())
        try:
            while not stop.is_set():
                try:
                    await self._turn()
                    backoff, self._turned_at = 0.1, time.time()
                except FenceRaised as fence:
                    _log.info("partitions were taken over", reason=str(fence))
                    self.forget()
                except (*PASSING, *ALTERED) as error:
                    await self._drop_connection()
                    _log.warning(
                        "the application database does not take the batch; it is kept and tried again",
                        error=type(error).__name__,
                        seconds=backoff,
                    )
                    # Before anything was polled it is not known what waits: something may since the last turn.
                    since = self._turned_at if self._waiting_ms is None else self._waiting_ms / 1000
                    metrics.LAG.set(max(0.0, time.time() - since))
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(stop.wait(), backoff)
                    backoff = min(backoff * 2, LONGEST_BACKOFF_SECONDS)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            await self._drop_connection()

    async def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        # Whether the last commit arrived is not known: the offset rows say, when the partitions are taken again.
        self.forget()
        if connection is not None:
            connection.terminate()

    async def _turn(self) -> None:
        if self._connection is None:
            self._connection = await self._connect()
            await self._schema.learn(self._connection)
            self._quarantined = await quarantine.count_open(self._connection)
        connection = self._connection
        if not self._rebalances.under_way:
            await self._take_over_assigned(connection)
        if time.monotonic() >= self._report_at:
            self._report_at = time.monotonic() + REPORT_SECONDS
            await self._schema.keep_up(connection, self._owned)
            await self._report()
        polled: dict[TopicPartition, list[ConsumerRecord]] = await self._consumer.getmany(
            timeout_ms=POLL_MILLIS, max_records=self._batch_changes
        )
        # A rebalance during the poll makes its records somebody else's, or to be sought anew.
        mine = {place: records for place, records in polled.items() if place in self._owned}
        if mine:
            await self._apply(connection, mine)
        else:
            metrics.LAG.set(0)
        metrics.QUARANTINED.set(self._quarantined)

    async def _take_over_assigned(self, connection: asyncpg.Connection) -> None:
        for place in sorted(set(self._consumer.assignment()) - set(self._owned)):
            progress = await offsets.take_over(connection, place)
            # It may have been given to another sink meanwhile.
            if place in self._consumer.assignment():
                self._consumer.seek(place, progress.kafka_offset)
                self._owned[place] = progress
                self._schema.let_go(place)
                # Before anything is read: a table that stands still must not move by a rebalance.
                self._report_at = 0.0

    async def _apply(
        self, connection: asyncpg.Connection, polled: dict[TopicPartition, list[ConsumerRecord]]
    ) -> None:
        poll = self._tracer.start_span(
            "poll lake",
            context=parent_from(None),
            kind=SpanKind.CLIENT,
            attributes={
                messaging.SYSTEM: "kafka",
                messaging.OPERATION_NAME: "poll",
                messaging.OPERATION_TYPE: "receive",
                messaging.GROUP: self._group,
                messaging.BATCH_COUNT: sum(map(len, polled.values())),
            },
        )
        poll.end()
        # A rebalance may make the sink forget what it owns at any await; the fence then refuses the batch.
        owned = {place: self._owned[place] for place in polled}
        try:
            batch = self._select(polled, owned)
        except GapOnPartition:
            # Unless another relay has begun since, and sends again what its predecessor could not.
            self._relay_epoch = await offsets.relay_epoch(connection)
            batch = self._select(polled, owned)
        self._waiting_ms = batch.oldest_ms
        if not all(map(self._schema.knows, {event.source.fingerprint for event in batch.events})):
            await self._schema.learn(connection)
            batch = self._select(polled, owned)
        work = plan(self._schema.writers, batch.events)
        spans = self._process_spans(batch.events, poll)
        try:
            with self._tracer.start_as_current_span(
                "apply batch",
                kind=SpanKind.CLIENT,
                links=[Link(span.get_span_context()) for span in spans],
                attributes={
                    "db.system.name": "postgresql",
                    "db.namespace": "application",
                    "db.operation.name": "UPSERT",
                    messaging.BATCH_COUNT: len(batch.events),
                },
            ):
                refused = await self._transact(connection, batch, work)
        except BaseException as error:
            for span in spans:
                span.set_attribute("error.type", type(error).__name__)
            raise
        finally:
            for span in spans:
                span.end()
        failpoint("sink.after_commit")
        for place, fingerprint in batch.held.items():
            self._schema.hold(place, fingerprint, batch.progress[place].kafka_offset)
        self._owned.update({place: state for place, state in batch.progress.items() if place in self._owned})
        self._waiting_ms = None
        self._count(batch, refused)

    def _select(
        self, polled: dict[TopicPartition, list[ConsumerRecord]], owned: dict[TopicPartition, Progress]
    ) -> _Batch:
        """Separate what must be applied from repeats, stale relays' records and what cannot be read.

        Raises:
            ReplicationStopped: a record that cannot be the next of its partition.
        """
        batch = _Batch({place: replace(progress) for place, progress in owned.items()})
        for place, records in polled.items():
            state = batch.progress[place]
            state.kafka_offset = records[-1].offset + 1
            source: Source | None = None
            superseded = False
            for record in records:
                try:
                    event = parse(record)
                except MalformedEvent as error:
                    batch.malformed.append((record, str(error)))
                    continue
                refusal = state.refusal(event, self._relay_epoch)
                if refusal is not None:
                    batch.dropped[refusal] += 1
                    continue
                if event.source is not source:
                    # Most records have their predecessor's.
                    source = event.source
                    if source.fingerprint in self._schema.stopped:
                        batch.held[place] = source.fingerprint
                        state.kafka_offset = record.offset
                        break
                    superseded = source.fingerprint in self._schema.superseded
                    batch.oldest_ms = min(batch.oldest_ms or record.timestamp, record.timestamp)
                state.advance(event)
                if superseded:
                    batch.dropped["superseded"] += 1
                elif fault := fault_of(event):
                    # Its place is taken all the same: the next record follows it.
                    batch.malformed.append((record, f"{where(record)}: {fault}"))
                elif event.operation == HEARTBEAT:
                    batch.heartbeat_ms = event.captured_ms
                else:
                    batch.events.append(event)
        return batch

    async def _transact(self, connection: asyncpg.Connection, batch: _Batch, work: Plan) -> list[Refused]:
        try:
            return await self._write(connection, batch, work, apply)
        except AT_FAULT:
            # Rare enough to do it all again, and find who it is.
            return await self._write(connection, batch, work, apply_carefully)

    async def _write(
        self, connection: asyncpg.Connection, batch: _Batch, work: Plan, write: Any
    ) -> list[Refused]:
        async with connection.transaction():
            await offsets.claim(connection, batch.progress)
            failpoint("sink.before_write")
            refused: list[Refused] = await write(connection, self._schema.writers, work)
            failpoint("sink.after_write")
            open_entries = 0
            if self._quarantined or refused or batch.malformed:
                open_entries = await self._quarantine(connection, batch, refused)
            failpoint("sink.before_commit")
        self._quarantined = open_entries
        return refused

    async def _quarantine(
        self, connection: asyncpg.Connection, batch: _Batch, refused: Sequence[Refused]
    ) -> int:
        """Put aside what was not applied, and close the entries of what was; give how many are open then."""
        for refusal in refused:
            record = refusal.event.record
            await quarantine.keep(connection, record, f"{where(record)}: {refusal.reason}")
        for record, reason in batch.malformed:
            await quarantine.keep(connection, record, reason)
        not_applied = {id(refusal.event) for refusal in refused}
        await quarantine.heal(connection, [e for e in batch.events if id(e) not in not_applied])
        return await quarantine.count_open(connection)

    def _process_spans(self, events: Sequence[Event], poll: Span) -> list[Span]:
        """A span for each sampled transaction and table, in the trace that caused the change.

        One a row would bury a trace under the thousands of a bulk change, and cost more than applying them.
        """
        changes: dict[tuple[str, str], list[Event]] = {}
        for event in events:
            if event.traceparent and is_sampled(event.traceparent):
                changes.setdefault((event.traceparent, event.record.topic), []).append(event)
        link = [Link(poll.get_span_context())]
        return [
            self._tracer.start_span(
                f"process {topic}",
                context=parent_from(traceparent),
                kind=SpanKind.CONSUMER,
                links=link,
                attributes={
                    messaging.SYSTEM: "kafka",
                    messaging.DESTINATION: topic,
                    messaging.PARTITION: str(caused[0].partition),
                    messaging.OFFSET: caused[0].offset,
                    messaging.GROUP: self._group,
                    messaging.OPERATION_NAME: "process",
                    messaging.OPERATION_TYPE: "process",
                    messaging.BATCH_COUNT: len(caused),
                    "creditmesh.operation": caused[0].operation,
                    "creditmesh.position": str(caused[0].position),
                },
            )
            for (traceparent, topic), caused in changes.items()
        ]

    def _count(self, batch: _Batch, refused: Sequence[Refused]) -> None:
        """Measure what was committed; a batch that is tried again counts once."""
        events = batch.events
        now = time.time()
        for reason, count in batch.dropped.items():
            metrics.DROPPED.labels(reason).inc(count)
        if batch.heartbeat_ms is not None and not self._schema.tables:
            metrics.FRESHNESS.set(batch.heartbeat_ms / 1000)
        applied = Counter([(event.source.fingerprint, event.operation) for event in events])
        for (fingerprint, operation), count in applied.items():
            writer = self._schema.writers.get(fingerprint)
            table = "(unknown)" if writer is None else writer.codec.table.full_name
            metrics.APPLIED.labels(table, operation).inc(count)
        # The changes of a transaction were captured together: one observation for all of them.
        for captured_ms, event in {event.record.timestamp: event for event in events}.items():
            trace_id = event.traceparent.split("-")[1] if event.sampled and event.traceparent else None
            metrics.APPLY_DELAY.observe(
                max(0.0, now - captured_ms / 1000), {"trace_id": trace_id} if trace_id else None
            )
        if events:
            metrics.LAG.set(max(0.0, now - events[-1].captured_ms / 1000))
        # Without the reason, which can quote the row: it stands in the quarantine.
        for event in (refusal.event for refusal in refused):
            _log.error(
                "a change is in the quarantine",
                place=where(event.record),
                position=str(event.position),
            )
        for _, reason in batch.malformed:
            _log.error("a record that no relay wrote is in the quarantine", reason=reason)

    async def _report(self) -> None:
        """Say once a second how far Kafka's group is; for tools: what is applied stands in the application database."""
        if not self._owned:
            return
        try:
            await self._consumer.commit({place: state.kafka_offset for place, state in self._owned.items()})
        except KafkaError as error:
            _log.info("Kafka's mirror of the offsets was not written", error=type(error).__name__)
