"""The receiver's buffer is bounded, and what it loses it counts."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
from prometheus_client import REGISTRY

from services.platform.components.traces.forwarder import BUFFER_BYTES, ZipkinForwarder


@pytest.fixture
async def forwarder() -> AsyncIterator[ZipkinForwarder]:
    """A forwarder whose Zipkin is not there."""
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    forwarder = ZipkinForwarder(f"http://127.0.0.1:{port}")
    yield forwarder
    await forwarder.aclose()


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def test_a_full_buffer_takes_nothing_more(forwarder: ZipkinForwarder) -> None:
    accepted = counted("otlp_receiver_spans_accepted_total")
    large = {"name": "x" * (1 << 20)}
    fitting = 0
    while forwarder.offer([large]):
        fitting += 1
    assert fitting == BUFFER_BYTES // (1 << 20) - 1
    assert not forwarder.offer([large, large])
    assert counted("otlp_receiver_spans_accepted_total") - accepted == fitting


async def test_one_request_larger_than_the_buffer_is_taken_when_nothing_waits(
    forwarder: ZipkinForwarder,
) -> None:
    assert forwarder.offer([{"name": "x" * (BUFFER_BYTES + 1)}])


async def test_what_cannot_be_delivered_before_the_end_is_counted(forwarder: ZipkinForwarder) -> None:
    dropped = counted("otlp_receiver_spans_dropped_total", reason="unreachable")
    forwarder.offer([{"name": "a"}, {"name": "b"}])
    forwarder.close()
    await asyncio.wait_for(forwarder.run(), 30)
    assert counted("otlp_receiver_spans_dropped_total", reason="unreachable") - dropped == 2
    assert counted("otlp_receiver_buffer_bytes") == 0
