"""What a process emitted, in the words of the registry."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan

from tests.telemetry.registry import EmittedSpan

# What the store writes for links, the resource, the scope and the status.
_STORES_OWN = re.compile(r"link\.\d+(\..+)?|service\..+|otel\..+|error|deployment\..+")


def emitted(spans: Iterable[ReadableSpan], service: str) -> list[EmittedSpan]:
    """Recorded spans, as those of `service`."""
    return [
        EmittedSpan(service, span.name, span.kind.name.lower(), dict(span.attributes or {})) for span in spans
    ]


def stored(spans: Iterable[Mapping[str, Any]]) -> list[EmittedSpan]:
    """Spans as Zipkin gives them."""
    return [
        EmittedSpan(
            span["localEndpoint"]["serviceName"],
            span["name"],
            span.get("kind", "INTERNAL").lower(),
            {key: value for key, value in span.get("tags", {}).items() if not _STORES_OWN.fullmatch(key)},
        )
        for span in spans
    ]
