"""Tracing of a process: the OpenTelemetry SDK, set up once in main.py and configured by OTEL_* variables."""

import os
import threading
from collections.abc import Mapping

from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from services.chassis.telemetry.export import BoundedSpanProcessor, RedactingExporter
from services.chassis.telemetry.logging import configure_logging

# One flush of a consumer links to every sampled change of its batch; the default limit is 128.
MAX_LINKS = 10_000
QUEUE_SPANS = 8_192
BATCH_SPANS = 512
FLUSH_EVERY_MILLIS = 1_000

_PROPAGATOR = TraceContextTextMapPropagator()


class Telemetry:
    """The telemetry of one process."""

    def __init__(self, service: str, provider: TracerProvider) -> None:
        """Wrap a ready `provider` for the service called `service`; processes call `start`."""
        self.service = service
        self.tracer: Tracer = provider.get_tracer("creditmesh")
        self._provider = provider

    @classmethod
    def start(cls, service: str) -> "Telemetry":
        """Start logging and tracing for `service` and make the provider global.

        Spans are exported by OTLP over HTTP when an OTEL_EXPORTER_OTLP_* endpoint is set; without one they
        only give logs and exemplars their ids. A collector that is down costs spans, never a request.
        """
        configure_logging(service)
        provider = new_provider(service)
        if _has_endpoint(os.environ):
            provider.add_span_processor(
                BoundedSpanProcessor(
                    RedactingExporter(OTLPSpanExporter()),
                    queue_spans=QUEUE_SPANS,
                    make=lambda exporter: BatchSpanProcessor(
                        exporter,
                        # Twice our limit, so that our processor drops and counts spans, not the SDK's.
                        max_queue_size=2 * QUEUE_SPANS,
                        max_export_batch_size=BATCH_SPANS,
                        schedule_delay_millis=FLUSH_EVERY_MILLIS,
                    ),
                )
            )
        trace.set_tracer_provider(provider)
        # No baggage: it would carry a client's arbitrary data through every service.
        propagate.set_global_textmap(_PROPAGATOR)
        return cls(service, provider)

    def shutdown(self, timeout_seconds: float = 5.0) -> None:
        """Export what is left, for at most `timeout_seconds`; later spans are lost."""
        # The SDK's own shutdown takes no timeout and may retry for half a minute.
        flush = threading.Thread(target=self._provider.shutdown, name="telemetry-shutdown", daemon=True)
        flush.start()
        flush.join(timeout_seconds)


def new_provider(service: str) -> TracerProvider:
    """A tracer provider with our resource and limits, its sampler from OTEL_TRACES_SAMPLER; no exporter."""
    name = os.environ.get("OTEL_SERVICE_NAME", service)
    resource = Resource.create({SERVICE_NAME: name, "service.namespace": "creditmesh"})
    limits = SpanLimits(max_links=MAX_LINKS)
    return TracerProvider(resource=resource, span_limits=limits, shutdown_on_exit=False)


def current_traceparent() -> str | None:
    """The W3C traceparent of the current span, or None without one."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    return carrier.get("traceparent")


def parent_from(traceparent: str | None) -> Context:
    """The context in which to start a child of `traceparent`; a root's, if that is None or malformed."""
    if not traceparent:
        return Context()
    return _PROPAGATOR.extract({"traceparent": traceparent}, Context())


def link_from(traceparent: str) -> Link | None:
    """A link to the span that `traceparent` names, or None if it is malformed."""
    context = trace.get_current_span(parent_from(traceparent)).get_span_context()
    return Link(context) if context.is_valid else None


def exemplar() -> dict[str, str] | None:
    """The labels of an exemplar for the current span, or None when it is not sampled."""
    context = trace.get_current_span().get_span_context()
    if not (context.is_valid and context.trace_flags.sampled):
        return None
    return {
        "trace_id": trace.format_trace_id(context.trace_id),
        "span_id": trace.format_span_id(context.span_id),
    }


def _has_endpoint(environment: Mapping[str, str]) -> bool:
    if environment.get("OTEL_TRACES_EXPORTER", "otlp") == "none":
        return False
    return any(
        environment.get(name)
        for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    )
