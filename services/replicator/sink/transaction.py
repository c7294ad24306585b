"""Writes a batch: its rows, its offsets and its quarantine in one transaction of the application database."""

import time
from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any

import asyncpg
from opentelemetry.trace import Link, Span, SpanKind, Tracer

from services.chassis import messaging
from services.chassis.telemetry.logging import get_logger
from services.chassis.telemetry.spans import parent_from
from services.replicator import metrics
from services.replicator.failpoints import failpoint
from services.replicator.records import Event, is_sampled, where
from services.replicator.sink import offsets, quarantine
from services.replicator.sink.batch import Batch
from services.replicator.sink.definitions import Schema
from services.replicator.sink.writer import AT_FAULT, Refused, Statement, apply, apply_carefully

_log = get_logger(__name__)


class Applier:
    """Applies one batch after the other, by one connection."""

    def __init__(self, connection: asyncpg.Connection, schema: Schema, tracer: Tracer, group: str) -> None:
        self._connection = connection
        self._schema = schema
        self._tracer = tracer
        self._group = group
        self._quarantined = 0

    async def count_quarantined(self) -> None:
        """Know how much is in the quarantine: other sinks and people change that too, and what is applied closes it."""
        self._quarantined = await quarantine.count_open(self._connection)
        metrics.QUARANTINED.set(self._quarantined)

    async def apply(self, batch: Batch) -> None:
        """Write a batch, all of it or nothing.

        Raises:
            FenceRaised: another sink has taken one of its partitions.
            asyncpg.PostgresError, OSError: the server is at fault; whether it was committed may not be known.
        """
        poll = self._tracer.start_span(
            "poll lake",
            context=parent_from(None),
            kind=SpanKind.CLIENT,
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
        failpoint("sink.after_commit")
        metrics.QUARANTINED.set(self._quarantined)
        self._count(batch, refused)

    async def _transact(self, batch: Batch) -> list[Refused]:
        with offsets.fenced():
            clean = not (self._quarantined or batch.plan.refused or batch.malformed)
            statements = batch.plan.statements(self._schema.writers) if clean else []
            try:
                if clean and len(statements) <= 1:
                    return await self._write_at_once(batch, statements)
                return await self._write(batch, apply)
            except AT_FAULT:
                # Rare enough to do it all again, and find who it is.
                return await self._write(batch, apply_carefully)

    async def _write_at_once(self, batch: Batch, statements: Sequence[Statement]) -> list[Refused]:
        """Claim and write by one statement, which is a transaction by itself: one round trip instead of four."""
        failpoint("sink.before_write")
        claim = offsets.claim_arguments(batch.progress)
        if statements:
            await self._connection.execute(statements[0].claiming, *claim, *statements[0].bodies)
        else:
            await self._connection.execute(f"SELECT {offsets.CLAIM}", *claim)
        return []

    async def _write(self, batch: Batch, write: Any) -> list[Refused]:
        connection = self._connection
        async with connection.transaction():
            # Whoever holds the rows of the offsets is the only one who writes these partitions.
            await connection.execute(f"SELECT {offsets.CLAIM}", *offsets.claim_arguments(batch.progress))
            failpoint("sink.before_write")
            refused: list[Refused] = await write(connection, self._schema.writers, batch.plan)
            failpoint("sink.after_write")
            open_entries = 0
            if self._quarantined or refused or batch.malformed:
                open_entries = await self._quarantine(connection, batch, refused)
            failpoint("sink.before_commit")
        self._quarantined = open_entries
        return refused

    async def _quarantine(
        self, connection: asyncpg.Connection, batch: Batch, refused: Sequence[Refused]
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
