"""Spans go by OTLP through the receiver into a real Zipkin and can be read back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import psutil
import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import (
    Link,
    SpanContext,
    SpanKind,
    TraceFlags,
    Tracer,
    format_trace_id,
    set_span_in_context,
)

from services.chassis.testing import parse_metrics
from services.platform.platform import Platform


class Exporting:
    """Tracers whose spans go to the receiver when they end."""

    def __init__(self, otlp: str) -> None:
        self._exporter = OTLPSpanExporter(f"{otlp}/v1/traces")
        self._providers: list[TracerProvider] = []

    def tracer(self, service: str) -> Tracer:
        resource = Resource.create({"service.name": service})
        provider = TracerProvider(resource=resource, span_limits=SpanLimits(max_links=1000))
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self._providers.append(provider)
        return provider.get_tracer("test")

    def close(self) -> None:
        for provider in self._providers:
            provider.shutdown()


@pytest.fixture
def exporting(otlp: str) -> Iterator[Exporting]:
    exporting = Exporting(otlp)
    yield exporting
    exporting.close()


async def stored(zipkin: str, trace_id: int, count: int) -> list[dict[str, Any]]:
    """The spans of a trace, once there are `count` of them."""
    async with httpx.AsyncClient(base_url=zipkin) as client:
        response = None
        for _ in range(200):
            response = await client.get(f"/api/v2/trace/{format_trace_id(trace_id)}")
            if response.status_code == 200 and len(response.json()) >= count:
                return list(response.json())
            await asyncio.sleep(0.1)
    raise AssertionError(
        f"{count} spans of {format_trace_id(trace_id)} never arrived: {response and response.text}"
    )


async def dependencies(zipkin: str) -> set[tuple[str, str]]:
    async with httpx.AsyncClient(base_url=zipkin) as client:
        far_future = 4_000_000_000_000
        response = await client.get(
            "/api/v2/dependencies", params={"endTs": far_future, "lookback": far_future}
        )
    return {(edge["parent"], edge["child"]) for edge in response.json()}


async def test_all_links_of_a_flush_are_stored(zipkin: str, exporting: Exporting) -> None:
    links = [Link(SpanContext(n, n, is_remote=True, trace_flags=TraceFlags(1))) for n in range(1, 301)]
    span = exporting.tracer("test-sink").start_span("apply batch", links=links)
    await asyncio.to_thread(span.end)
    tags = (await stored(zipkin, span.get_span_context().trace_id, 1))[0]["tags"]
    assert {tags[f"link.{n - 1}"] for n in range(1, 301)} == {f"{n:032x}-{n:016x}" for n in range(1, 301)}


async def test_the_dependency_graph_has_databases_and_kafka(zipkin: str, exporting: Exporting) -> None:
    intake, sink = exporting.tracer("test-intake"), exporting.tracer("test-sink")
    server = intake.start_span("POST /applications", kind=SpanKind.SERVER)
    work = intake.start_span(
        "lake transaction",
        set_span_in_context(server),
        kind=SpanKind.CLIENT,
        attributes={"db.system.name": "postgresql", "db.namespace": "lake"},
    )
    produce = intake.start_span(
        "send decisions", set_span_in_context(server), SpanKind.PRODUCER, {"messaging.system": "kafka"}
    )
    consume = sink.start_span(
        "process decisions", set_span_in_context(produce), SpanKind.CONSUMER, {"messaging.system": "kafka"}
    )
    for span in (consume, produce, work, server):
        await asyncio.to_thread(span.end)
    await stored(zipkin, server.get_span_context().trace_id, 4)
    assert {("test-intake", "lake"), ("test-intake", "kafka"), ("kafka", "test-sink")} <= await dependencies(
        zipkin
    )


@pytest.mark.parametrize(
    ("path", "content", "headers", "status"),
    [
        ("/v1/traces", b"\xff", {"Content-Type": "application/x-protobuf"}, 400),
        ("/v1/traces", b"{}", {"Content-Type": "application/json"}, 200),
        ("/v1/metrics", b"", {"Content-Type": "application/x-protobuf"}, 404),
        ("/v1/logs", b"", {"Content-Type": "application/x-protobuf"}, 404),
    ],
)
async def test_only_what_is_handled_is_accepted(
    otlp: str, path: str, content: bytes, headers: dict[str, str], status: int
) -> None:
    async with httpx.AsyncClient(base_url=otlp) as client:
        response = await client.post(path, content=content, headers=headers)
    assert response.status_code == status
    if status != 200:
        assert response.headers["content-type"] == "application/problem+json"


async def test_spans_wait_while_zipkin_is_down(
    platform: Platform, zipkin: str, otlp: str, exporting: Exporting
) -> None:
    await asyncio.to_thread(platform.supervisor.stop, "zipkin")
    async with httpx.AsyncClient(base_url=otlp) as client:
        readiness = await client.get("/readyz")
        for _ in range(50):  # an answer is kept for a second
            if readiness.status_code == 503:
                break
            await asyncio.sleep(0.1)
            readiness = await client.get("/readyz")
        assert readiness.json()["checks"]["zipkin"] != "ok"
        span = exporting.tracer("test-intake").start_span("while it is down")
        await asyncio.to_thread(span.end)
        await platform.up(["zipkin"])
        await stored(zipkin, span.get_span_context().trace_id, 1)
        metrics = parse_metrics((await client.get("/metrics")).text)
    accepted = sum(metrics["otlp_receiver_spans_accepted_total"].values())
    forwarded = sum(metrics["otlp_receiver_spans_forwarded_total"].values())
    assert accepted == forwarded > 0


async def test_the_trace_store_listens_on_loopback_alone(platform: Platform, zipkin: str) -> None:
    del zipkin
    process = platform.supervisor.all()["zipkin"]
    listening = {
        c.laddr[0] for c in psutil.Process(process.pid).net_connections("tcp") if c.status == "LISTEN"
    }
    assert {address.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}
