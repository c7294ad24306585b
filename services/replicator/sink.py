"""The sink: Kafka → replica. Each batch, its offsets and its quarantine are one transaction of the target."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import KafkaError
from opentelemetry.trace import Link, Span, SpanKind, Tracer

from services.chassis import messaging
from services.chassis.logging import get_logger
from services.chassis.telemetry import parent_from
from services.lake.journal import JournalReader
from services.replicator import metrics, offsets, quarantine
from services.replicator.apply import Refused, TableWriter, apply
from services.replicator.errors import FenceRaised, MalformedEvent
from services.replicator.events import HEARTBEAT, Event, parse, where
from services.replicator.failpoints import failpoint
from services.replicator.offsets import Progress
from services.replicator.replica import ensure_tables
from services.replicator.target import PASSING

POLL_MILLIS = 200
LONGEST_BACKOFF_SECONDS = 10.0

_log = get_logger(__name__)


class Sink:
    """Applies what its share of the partitions brings, exactly once each."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        journal: JournalReader,
        tracer: Tracer,
        connect: Any,
        *,
        group: str,
        batch_changes: int,
    ) -> None:
        self._consumer = consumer
        self._journal = journal
        self._tracer = tracer
        self._connect = connect
        self._group = group
        self._batch_changes = batch_changes
        self._connection: asyncpg.Connection | None = None
        self._owned: dict[TopicPartition, Progress] = {}
        self._writers: dict[str, TableWriter] = {}
        self._quarantined = 0

    @property
    def ready(self) -> bool:
        """Whether every assigned partition has been taken over."""
        return self._connection is not None and set(self._owned) == set(self._consumer.assignment())

    def forget(self) -> None:
        """Own nothing any more: the next batch begins by taking over what is assigned."""
        self._owned = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Apply until `stop` is set; what passes by itself is waited out, nothing is lost by it.

        Raises:
            ReplicationStopped: a person must look; the message says at what.
        """
        backoff = 0.1
        try:
            while not stop.is_set():
                try:
                    await self._turn()
                    backoff = 0.1
                except FenceRaised as fence:
                    _log.info("partitions were taken over", reason=str(fence))
                    self.forget()
                except PASSING as error:
                    await self._drop_connection()
                    _log.warning(
                        "the application database does not take the batch; it is kept and tried again",
                        error=type(error).__name__,
                        seconds=backoff,
                    )
                    await asyncio.sleep(backoff)
                    backoff = min(backoff * 2, LONGEST_BACKOFF_SECONDS)
        finally:
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
            await self._load_definitions(self._connection)
            self._quarantined = await quarantine.count_open(self._connection)
        connection = self._connection
        await self._take_over_assigned(connection)
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
            self._consumer.seek(place, progress.kafka_offset)
            self._owned[place] = progress

    async def _load_definitions(self, connection: asyncpg.Connection) -> None:
        definitions = await self._journal.definitions()
        # Oldest first, so that a column added later is added to what is there.
        await ensure_tables(connection, definitions.values())
        self._writers = {fingerprint: TableWriter(table) for fingerprint, table in definitions.items()}

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
        progress = {place: replace(self._owned[place]) for place in polled}
        records, events, malformed = self._select(polled, progress)
        await self._learn(connection, events)
        spans = self._process_spans(events, poll)
        try:
            with self._tracer.start_as_current_span(
                "apply batch",
                kind=SpanKind.CLIENT,
                links=[Link(span.get_span_context()) for span in spans],
                attributes={
                    "db.system.name": "postgresql",
                    "db.namespace": "application",
                    "db.operation.name": "UPSERT",
                    messaging.BATCH_COUNT: len(events),
                },
            ):
                refused = await self._transact(connection, events, malformed, records, progress)
        except BaseException as error:
            for span in spans:
                span.set_attribute("error.type", type(error).__name__)
            raise
        finally:
            for span in spans:
                span.end()
        failpoint("sink.after_commit")
        self._owned.update({place: state for place, state in progress.items() if place in self._owned})
        self._count(events, refused)
        await self._mirror(progress)

    def _select(
        self, polled: dict[TopicPartition, list[ConsumerRecord]], progress: dict[TopicPartition, Progress]
    ) -> tuple[dict[tuple[str, int, int], ConsumerRecord], list[Event], list[tuple[ConsumerRecord, str]]]:
        """Separate what must be applied from repeats, stale relays' records and what cannot be read."""
        records: dict[tuple[str, int, int], ConsumerRecord] = {}
        events: list[Event] = []
        malformed: list[tuple[ConsumerRecord, str]] = []
        for place, batch in polled.items():
            state = progress[place]
            for record in batch:
                state.kafka_offset = record.offset + 1
                try:
                    event = parse(record)
                except MalformedEvent as error:
                    malformed.append((record, str(error)))
                    continue
                refusal = state.refusal(event)
                if refusal is not None:
                    metrics.DROPPED.labels(refusal).inc()
                    continue
                state.advance(event)
                if event.operation == HEARTBEAT:
                    metrics.FRESHNESS.set(event.captured_ms / 1000)
                else:
                    events.append(event)
                    records[event.topic, event.partition, event.offset] = record
        return records, events, malformed

    async def _learn(self, connection: asyncpg.Connection, events: Sequence[Event]) -> None:
        if any(event.fingerprint not in self._writers for event in events):
            await self._load_definitions(connection)

    async def _transact(
        self,
        connection: asyncpg.Connection,
        events: Sequence[Event],
        malformed: Sequence[tuple[ConsumerRecord, str]],
        records: dict[tuple[str, int, int], ConsumerRecord],
        progress: dict[TopicPartition, Progress],
    ) -> list[Refused]:
        async with connection.transaction():
            # The rows first, and in order: whoever holds them is the only one who writes these partitions.
            await offsets.lock(connection, {place: self._owned[place] for place in progress})
            failpoint("sink.before_write")
            refused = await apply(connection, self._writers, events) if events else []
            failpoint("sink.after_write")
            for refusal in refused:
                event = refusal.event
                record = records[event.topic, event.partition, event.offset]
                await quarantine.keep(connection, record, f"{where(record)}: {refusal.reason}")
            for record, reason in malformed:
                await quarantine.keep(connection, record, reason)
            if self._quarantined or refused or malformed:
                refused_events = {id(refusal.event) for refusal in refused}
                await quarantine.heal(connection, [e for e in events if id(e) not in refused_events])
            await offsets.save(connection, progress, progress)
            open_entries = (
                await quarantine.count_open(connection) if self._quarantined or refused or malformed else 0
            )
            failpoint("sink.before_commit")
        self._quarantined = open_entries
        return refused

    def _process_spans(self, events: Sequence[Event], poll: Span) -> list[Span]:
        """A span for each sampled change, in the trace that caused it; a span costs more than applying a row."""
        link = [Link(poll.get_span_context())]
        return [
            self._tracer.start_span(
                f"process {event.topic}",
                context=parent_from(event.traceparent),
                kind=SpanKind.CONSUMER,
                links=link,
                attributes={
                    messaging.SYSTEM: "kafka",
                    messaging.DESTINATION: event.topic,
                    messaging.PARTITION: str(event.partition),
                    messaging.OFFSET: event.offset,
                    messaging.GROUP: self._group,
                    messaging.OPERATION_NAME: "process",
                    messaging.OPERATION_TYPE: "process",
                    "creditmesh.operation": event.operation,
                    "creditmesh.position": str(event.position),
                },
            )
            for event in events
            if event.sampled
        ]

    def _count(self, events: Sequence[Event], refused: Sequence[Refused]) -> None:
        now = time.time()
        for (topic, operation), count in Counter((e.topic, e.operation) for e in events).items():
            metrics.APPLIED.labels(topic, operation).inc(count)
        # The changes of a transaction were captured together: one observation for all of them.
        for captured_ms, event in {event.captured_ms: event for event in events}.items():
            trace_id = event.traceparent.split("-")[1] if event.sampled and event.traceparent else None
            metrics.APPLY_DELAY.observe(
                max(0.0, now - captured_ms / 1000), {"trace_id": trace_id} if trace_id else None
            )
        if events:
            metrics.LAG.set(max(0.0, now - events[-1].captured_ms / 1000))
        for refusal in refused:
            _log.error("a change is in the quarantine", reason=refusal.reason)

    async def _mirror(self, progress: dict[TopicPartition, Progress]) -> None:
        """Tell Kafka's group, for lag tools only: the truth is in the application database."""
        try:
            await self._consumer.commit({place: state.kafka_offset for place, state in progress.items()})
        except KafkaError as error:
            _log.info("Kafka's mirror of the offsets was not written", error=type(error).__name__)


class Rebalances(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka ships no types
    """Makes the sink forget its partitions whenever the group shares them out anew."""

    def __init__(self) -> None:
        self.sink: Sink | None = None

    def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Called before the partitions go: a batch under way still commits, or fails on its fence."""
        if self.sink is not None and revoked:
            self.sink.forget()

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Called when new ones are there; the next turn takes them over."""
