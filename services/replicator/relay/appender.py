"""Encode changes and heartbeats into the open batches of their partitions."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from opentelemetry.trace import SpanKind, TraceFlags, Tracer

from services.chassis.telemetry.spans import current_traceparent
from services.lake.journal.model import Position
from services.lake.journal.reader import Change
from services.replicator.records import (
    HEARTBEAT,
    OPERATIONS,
    TRACEPARENT,
    Headers,
    Source,
    change_header,
)
from services.replicator.relay.held import HeldTables
from services.replicator.relay.partitions import HELD, Partitions


class Appender:
    """Appends the records of one epoch; `Partitions` sends them."""

    def __init__(self, partitions: Partitions, held: HeldTables, tracer: Tracer, *, turns: int) -> None:
        """Create an appender.

        Args:
            partitions: of this relay.
            held: the tables of which nothing is sent; a change that fits no record adds its table.
            tracer: begins the trace of a change that came without one.
            turns: at least 1; each call of `append_heartbeats` serves every `turns`-th partition.
        """
        self._partitions = partitions
        self._held = held
        self._tracer = tracer
        self._turns = turns
        self._epoch = 0
        self._incarnation = UUID(int=0)
        self.turn = 0
        """The turn that the last heartbeats were of; 0 once in a round."""

    def begin(self, epoch: int, incarnation: UUID) -> None:
        """Write `epoch` and the journal's `incarnation` into every record from now on."""
        self._epoch = epoch
        self._incarnation = incarnation

    async def append(self, changes: Sequence[Change]) -> None:
        """Append each change to the batch of its partition; a full batch goes to the producer.

        Raises:
            aiokafka.errors.KafkaError: the producer does not take a batch, or a table has no topic yet.
        """
        sources: dict[str, str] = {}
        contexts: dict[str | None, Headers] = {}
        captured_at: datetime | None = None
        captured_ms = 0
        for major, minor, table, operation, key, image, fingerprint, _, traceparent, at in changes:
            # What is the same for many changes is computed once.
            source = sources.get(fingerprint)
            if source is None:
                source = sources[fingerprint] = str(Source(self._epoch, self._incarnation, fingerprint))
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

    async def append_heartbeats(self, position: Position) -> bool:
        """Tell the partitions of the next turn how far the journal has been relayed; return whether there are any.

        A partition whose last record is at `position` needs no heartbeat. Everything at or below `position` must have
        been appended before.
        """
        self.turn = (self.turn + 1) % self._turns
        behind = self._partitions.behind(position, self.turn, self._turns)
        text = str(position)
        source = str(Source(self._epoch, self._incarnation))
        now_ms = int(time.time() * 1000)
        for partition in behind:
            headers = [change_header(HEARTBEAT, text, partition.sent, source)]
            if not partition.append(None, None, now_ms, headers):
                await self._partitions.hand_over(partition)
                partition.append(None, None, now_ms, headers)
            partition.sent = text
        return bool(behind)

    def _context(self, traceparent: str | None) -> Headers:
        if traceparent is None:
            # A script's or a DBA's change: its trace begins here, one root for the whole read.
            traceparent = self._root()
        return [(TRACEPARENT, traceparent.encode())] if traceparent else []

    def _root(self) -> str | None:
        with self._tracer.start_as_current_span("change without context", kind=SpanKind.PRODUCER) as span:
            sampled = span.get_span_context().trace_flags & TraceFlags.SAMPLED
            return current_traceparent() if sampled else None
