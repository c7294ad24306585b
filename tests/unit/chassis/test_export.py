import threading
from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from prometheus_client import REGISTRY

from services.chassis.telemetry.export import BoundedSpanProcessor
from services.chassis.telemetry.spans import (
    MAX_LINKS,
    current_traceparent,
    exemplar,
    link_from,
    new_provider,
    parent_from,
)
from services.chassis.testing import SpanRecorder

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Collector(SpanExporter):
    """A collector that answers only when it is let, with what it is told."""

    def __init__(self, result: SpanExportResult) -> None:
        self.result = result
        self.answer = threading.Event()
        self.received = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.answer.wait(10)
        self.received += len(spans)
        return self.result


def _dropped(reason: str) -> float:
    return REGISTRY.get_sample_value("telemetry_spans_dropped_total", {"reason": reason}) or 0.0


def _provider(collector: Collector, queue_spans: int) -> TracerProvider:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(
        BoundedSpanProcessor(
            collector,
            queue_spans=queue_spans,
            make=lambda exporter: BatchSpanProcessor(
                exporter, max_queue_size=2 * queue_spans, max_export_batch_size=5, schedule_delay_millis=10
            ),
        )
    )
    return provider


def test_a_collector_that_hangs_costs_spans_and_each_is_counted() -> None:
    collector = Collector(SpanExportResult.SUCCESS)
    provider = _provider(collector, queue_spans=20)
    before = _dropped("queue_full")

    for _ in range(50):
        provider.get_tracer("test").start_span("work").end()

    assert _dropped("queue_full") - before == 30
    collector.answer.set()
    provider.shutdown()
    assert collector.received == 20


def test_spans_that_the_collector_refuses_are_counted() -> None:
    collector = Collector(SpanExportResult.FAILURE)
    collector.answer.set()
    provider = _provider(collector, queue_spans=20)
    before = _dropped("export_failed")

    for _ in range(7):
        provider.get_tracer("test").start_span("work").end()
    provider.shutdown()

    assert _dropped("export_failed") - before == 7


def test_a_span_holds_ten_thousand_links() -> None:
    link = link_from(TRACEPARENT)
    assert link is not None

    span = new_provider("test").get_tracer("test").start_span("flush", links=[link] * MAX_LINKS)

    assert isinstance(span, ReadableSpan)
    assert len(span.links) == 10_000


def test_contexts_travel_as_traceparent(recorder: SpanRecorder) -> None:
    tracer = recorder.telemetry.tracer
    assert current_traceparent() is None
    assert exemplar() is None
    with tracer.start_as_current_span("outer", context=parent_from(TRACEPARENT)) as span:
        context = span.get_span_context()
        assert current_traceparent() == f"00-0af7651916cd43dd8448eb211c80319c-{context.span_id:016x}-01"
        assert exemplar() == {
            "trace_id": "0af7651916cd43dd8448eb211c80319c",
            "span_id": f"{context.span_id:016x}",
        }
        with tracer.start_as_current_span("root", context=parent_from(None)) as root:
            assert root.get_span_context().trace_id != context.trace_id


def test_a_malformed_traceparent_is_no_parent_and_no_link() -> None:
    assert link_from("00-zz-11-01") is None
    assert parent_from("rubbish") == {}
