"""What the chassis emits on behalf of any service, against the registry."""

import subprocess
import sys
import uuid
from asyncio import Event, timeout

import httpx
from aiokafka import ConsumerRecord

from services.chassis.kafka_access import KafkaAccess
from services.chassis.messaging import consume, ensure_topics, open_consumer, open_producer, send
from services.chassis.testing import span_recorder
from services.chassis.web.http import HttpClient
from tests.telemetry.emitted import emitted
from tests.telemetry.registry import Registry


async def test_calls_of_other_services(registry: Registry) -> None:
    recorder = span_recorder()
    recorder.clear()

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(500 if request.url.path == "/broken" else 200)

    async with HttpClient("http://auth.test:17101", transport=httpx.MockTransport(answer)) as client:
        await client.get("/me?name=x")
        await client.post("/broken")

    spans = emitted(recorder.spans, "demo")
    assert len(spans) == 2
    assert registry.span_faults(spans) == []


def test_a_client_made_before_the_telemetry_has_the_declared_names() -> None:
    script = """
import asyncio, httpx
from services.chassis.web.http import HttpClient

async def call():
    transport = httpx.MockTransport(lambda _: httpx.Response(200))
    async with HttpClient("http://auth.test:17101", transport=transport) as client:
        await client.get("/me")

asyncio.run(call())
from services.chassis.testing import span_recorder
recorder = span_recorder()
asyncio.run(call())
print(*(name for span in recorder.spans for name in span.attributes))
"""
    names = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "http.request.method" in names
    assert "http.method" not in names


async def test_messages(registry: Registry, kafka: KafkaAccess) -> None:
    recorder = span_recorder()
    topic, stop = f"telemetry.{uuid.uuid4().hex}", Event()
    await ensure_topics(kafka, {topic: 1})
    producer = await open_producer(kafka, "test")
    consumer = await open_consumer(kafka, topic, "test", [topic])
    recorder.clear()

    async def handle(_: ConsumerRecord) -> None:
        stop.set()

    await send(producer, topic, b"k", b"v")
    async with timeout(60):
        await consume(consumer, handle, concurrency=1, stop=stop, group=topic)
    await consumer.stop()
    await producer.stop()

    spans = emitted(recorder.spans, "intake")
    assert {span.kind for span in spans} == {"producer", "client", "consumer"}
    assert registry.span_faults(spans) == []
