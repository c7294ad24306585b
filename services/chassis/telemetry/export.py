"""The export of spans to the collector: redaction, a bound on memory, and counts of losses."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Event, ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import Link, Status

from services.chassis.telemetry.metrics import SPANS_DROPPED, SPANS_EXPORTED
from services.chassis.telemetry.redaction import redact, scrub

# Queries may carry names and national ids.
_URL_KEYS = frozenset({"url.full", "http.url", "http.target"})


class RedactingExporter(SpanExporter):
    """Passes spans to another exporter, with personal data and secrets replaced."""

    def __init__(self, inner: SpanExporter) -> None:
        """`inner`: the exporter that sends."""
        self._inner = inner

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export redacted copies; runs on the exporting thread, so requests do not pay for it."""
        return self._inner.export([_redacted(span) for span in spans])

    def shutdown(self) -> None:
        """Shut the other exporter down."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the other exporter."""
        return self._inner.force_flush(timeout_millis)


class BoundedSpanProcessor(SpanProcessor):
    """A batch processor with a limit of queued spans; it counts every lost span.

    The SDK's own batch processor drops the oldest span silently when its queue is full.
    """

    def __init__(
        self,
        exporter: SpanExporter,
        *,
        queue_spans: int,
        make: Callable[[SpanExporter], SpanProcessor],
    ) -> None:
        """`make` builds the processor that batches and calls the exporter it is given."""
        self._pending = 0
        self._queue_spans = queue_spans
        self._lock = threading.Lock()
        self._queue_full = SPANS_DROPPED.labels("queue_full")
        self._inner = make(_CountingExporter(exporter, self._taken))

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Nothing happens before a span has ended."""

    def on_end(self, span: ReadableSpan) -> None:
        """Queue a sampled span, or drop and count it when the queue is full."""
        if span.context is None or not span.context.trace_flags.sampled:
            return
        with self._lock:
            full = self._pending >= self._queue_spans
            self._pending += not full
        if full:
            self._queue_full.inc()
        else:
            self._inner.on_end(span)

    def shutdown(self) -> None:
        """Export what is queued and stop."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Export what is queued."""
        return self._inner.force_flush(timeout_millis)

    def _taken(self, spans: int) -> None:
        with self._lock:
            self._pending -= spans


class _CountingExporter(SpanExporter):
    def __init__(self, inner: SpanExporter, taken: Callable[[int], None]) -> None:
        self._inner = inner
        self._taken = taken
        self._failed = SPANS_DROPPED.labels("export_failed")

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = SpanExportResult.FAILURE
        try:
            result = self._inner.export(spans)
        finally:
            # A span counts as queued until the collector answers: this bounds memory while the collector is down.
            self._taken(len(spans))
            (SPANS_EXPORTED if result is SpanExportResult.SUCCESS else self._failed).inc(len(spans))
        return result

    def shutdown(self) -> None:
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._inner.force_flush(timeout_millis)


def _redacted(span: ReadableSpan) -> ReadableSpan:
    return ReadableSpan(
        name=scrub(span.name),
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=_attributes(span.attributes),
        events=[Event(scrub(one.name), _attributes(one.attributes), one.timestamp) for one in span.events],
        links=[Link(one.context, _attributes(one.attributes)) for one in span.links],
        kind=span.kind,
        status=Status(span.status.status_code, scrub(span.status.description))
        if span.status.description
        else span.status,
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _attributes(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    return {
        key: redact(key, value.partition("?")[0] if key in _URL_KEYS else value)
        for key, value in (attributes or {}).items()
    }
