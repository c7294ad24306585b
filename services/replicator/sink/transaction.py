"""Writes a batch: its rows, its offsets and its quarantine in one transaction of the application database."""

import time
from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter

from opentelemetry.trace import Link, Span, SpanKind, Tracer

from services.chassis import messaging
from services.chassis.telemetry.logging import get_logger
from services.chassis.telemetry.spans import parent_from
from services.replicator import metrics
from services.replicator.failpoints import failpoint as process_failpoint
from services.replicator.ports import Failpoint
from services.replicator.records import Event, is_sampled, where
from services.replicator.sink.batch import Batch
from services.replicator.sink.definitions import Schema
from services.replicator.sink.ports import Groups, ReplicaStore, ReplicaTransaction
from services.replicator.sink.writer import AT_FAULT, Refused

_log = get_logger(__name__)


class BatchTransaction:
    """Writes one batch after the other, by one session."""

    def __init__(
        self,
        store: ReplicaStore,
        schema: Schema,
        tracer: Tracer,
        group: str,
        *,
        failpoint: Failpoint = process_failpoint,
    ) -> None:
        """Create the transactions of a session.

        Args:
            store: the session; nothing else may use it while a batch is written.
            schema: knows how each definition is written.
            tracer: of the spans that a batch is seen by.
            group: the Kafka consumer group, as spans name it.
            failpoint: is called at each crash point.
        """
        self._store = store
        self._schema = schema
        self._tracer = tracer
        self._group = group
        self._failpoint = failpoint
        self._quarantined = 0

    async def count_quarantined(self) -> None:
        """Know how much is in the quarantine: other sinks and people change that too, and what is applied closes it."""
        self._quarantined = await self._store.count_quarantined()
        metrics.QUARANTINED.set(self._quarantined)

    async def write(self, batch: Batch) -> None:
        """Write a batch, all of it or nothing.

        Raises:
            FenceRaised: another sink has taken one of its partitions.
            asyncpg.PostgresError, OSError: the server is at fault; whether it was committed may not be known.
        """
        poll = self._tracer.start_span(
            "poll lake",
            context=parent_from(None),
            kind=SpanKind.CLIENT,
            # From the poll that brought the first record to here: all that the batch waited for.
            start_time=batch.polled_since_ns,
            attributes={
                messaging.SYSTEM: "kafka",
                messaging.OPERATION_NAME: "poll",
                messaging.OPERATION_TYPE: "receive",
                messaging.GROUP: self._group,
                messaging.BATCH_COUNT: batch.polled,
            },
        )
        poll.end()
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
                refused = await self._transact(batch)
        except BaseException as error:
            for span in spans:
                span.set_attribute("error.type", type(error).__name__)
            raise
        finally:
            for span in spans:
                span.end()
        self._failpoint("sink.after_commit")
        metrics.QUARANTINED.set(self._quarantined)
        self._count(batch, refused)

    async def _transact(self, batch: Batch) -> list[Refused]:
        groups = batch.plan.groups()
        clean = not (self._quarantined or batch.plan.refused or batch.malformed)
        try:
            if clean and len(groups) <= 1:
                # One statement in its own transaction: one round trip instead of four.
                self._failpoint("sink.before_write")
                await self._store.write_at_once(batch.progress, self._schema.writers, groups)
                return []
            return await self._write(batch, groups, carefully=False)
        except AT_FAULT:
            # Rare enough to repeat the whole batch, and find the row.
            return await self._write(batch, groups, carefully=True)

    async def _write(self, batch: Batch, groups: Groups, *, carefully: bool) -> list[Refused]:
        refused = list(batch.plan.refused)
        async with self._store.transaction() as transaction:
            # Whoever holds the rows of the offsets is the only one who writes these partitions.
            await transaction.claim(batch.progress)
            self._failpoint("sink.before_write")
            if carefully:
                refused += await transaction.write_carefully(self._schema.writers, groups)
            else:
                await transaction.write(self._schema.writers, groups)
            self._failpoint("sink.after_write")
            open_entries = 0
            if self._quarantined or refused or batch.malformed:
                open_entries = await self._quarantine(transaction, batch, refused)
            self._failpoint("sink.before_commit")
        self._quarantined = open_entries
        return refused

    async def _quarantine(
        self, transaction: ReplicaTransaction, batch: Batch, refused: Sequence[Refused]
    ) -> int:
        """Keep what was not applied, and close the entries of what was; return how many are open then."""
        for refusal in refused:
            record = refusal.event.record
            await transaction.quarantine(record, f"{where(record)}: {refusal.reason}")
        for record, reason in batch.malformed:
            await transaction.quarantine(record, reason)
        not_applied = {id(refusal.event) for refusal in refused}
        await transaction.heal([event for event in batch.events if id(event) not in not_applied])
        return await transaction.count_quarantined()

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

    def _count(self, batch: Batch, refused: Sequence[Refused]) -> None:
        """Measure what was committed; a batch that is tried again counts once."""
        events = batch.events
        now = time.time()
        for reason, count in batch.dropped.items():
            metrics.DROPPED.labels(reason).inc(count)
        # Runs of one source, which compares by identity: the events of a batch come from few.
        for source, run in groupby(events, attrgetter("source")):
            writer = self._schema.writers.get(source.fingerprint)
            table = "(unknown)" if writer is None else writer.codec.table.full_name
            for operation, count in Counter(map(attrgetter("operation"), run)).items():
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
