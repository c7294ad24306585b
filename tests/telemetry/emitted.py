"""What a process emitted, in the words of the registry."""

from collections.abc import Iterable

from opentelemetry.sdk.trace import ReadableSpan

from tests.telemetry.registry import EmittedSpan


def emitted(spans: Iterable[ReadableSpan], service: str) -> list[EmittedSpan]:
    """Recorded spans, as those of `service`."""
    return [
        EmittedSpan(service, span.name, span.kind.name.lower(), dict(span.attributes or {})) for span in spans
    ]
