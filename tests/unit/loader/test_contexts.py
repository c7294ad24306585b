"""Which contexts of a batch's changes are taken for its span to link to."""

from __future__ import annotations

from opentelemetry.sdk.trace import TracerProvider

from services.loader.loading.contexts import Contexts

SAMPLED = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_only_sampled_contexts_are_linked_and_an_empty_one_is_none() -> None:
    contexts = Contexts()
    lines = [b"1\t" + traceparent + b"\tend" for traceparent in (SAMPLED, SAMPLED[:-1] + b"0", b"", b"\\N")]
    contexts.look({"party": lines})
    span = TracerProvider().get_tracer("test").start_span("load")
    assert contexts.link(span) == 1
