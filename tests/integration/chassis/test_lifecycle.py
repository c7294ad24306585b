import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

ROOT = Path(__file__).parents[3]
EXAMPLE = Path(__file__).with_name("example_process.py")


@dataclass
class Process:
    """A running example process."""

    child: asyncio.subprocess.Process
    url: str

    async def ended(self) -> tuple[int, list[str]]:
        """Exit status and the lines of its output."""
        output, _ = await asyncio.wait_for(self.child.communicate(), 30)
        status = self.child.returncode
        assert status is not None
        return status, output.decode().splitlines()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def running(mode: str, **environment: str) -> AsyncIterator[Process]:
    port = _free_port()
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        str(EXAMPLE),
        mode,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "HTTP_PORT": str(port), **environment},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Process(child, f"http://127.0.0.1:{port}")
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


async def ready(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                if (await client.get("/readyz")).status_code == 200:
                    return
            except httpx.TransportError:
                await asyncio.sleep(0.05)


async def test_case_25_sigterm_under_load_fails_no_request_and_says_unready_first() -> None:
    # Long enough to be asked on a busy machine.
    async with running("serve", HTTP_DRAIN_SECONDS="3") as process:
        async with httpx.AsyncClient(base_url=process.url) as client:
            await ready(client)
            stopping = asyncio.Event()

            async def load() -> int:
                served = 0
                while not stopping.is_set():
                    assert (await client.get("/slow")).status_code == 200
                    served += 1
                return served

            workers = [asyncio.create_task(load()) for _ in range(10)]
            await asyncio.sleep(0.3)
            process.child.send_signal(signal.SIGTERM)
            await asyncio.sleep(0.2)
            unready = await client.get("/readyz")
            # A balancer has seen the unready answer and sends nothing more; what runs must finish.
            stopping.set()
            served = await asyncio.gather(*workers)
        status, output = await process.ended()

    assert (unready.status_code, unready.json()["status"]) == (503, "stopping")
    assert min(served) >= 1
    assert status == 0
    assert output[0] == "opened"
    assert output[-1] == "closed"


async def test_the_last_span_is_exported_before_the_process_ends() -> None:
    spans: list[str] = []

    async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if b"content-length" in line
        )
        request = ExportTraceServiceRequest.FromString(await reader.readexactly(length))
        spans.extend(
            span.name for one in request.resource_spans for scope in one.scope_spans for span in scope.spans
        )
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(receive, "127.0.0.1", 0) as collector:
        endpoint = f"http://127.0.0.1:{collector.sockets[0].getsockname()[1]}"
        async with running("serve", OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, HTTP_DRAIN_SECONDS="0") as process:
            async with httpx.AsyncClient(base_url=process.url) as client:
                await ready(client)
                await client.get("/slow")
            process.child.terminate()
            status, _ = await process.ended()

    assert status == 0
    assert "GET /slow" in spans


async def test_a_collector_that_is_down_delays_neither_requests_nor_the_end() -> None:
    endpoint = f"http://127.0.0.1:{_free_port()}"
    async with running("serve", OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, HTTP_DRAIN_SECONDS="0") as process:
        async with httpx.AsyncClient(base_url=process.url) as client:
            await ready(client)
            answer = await client.get("/slow")
        process.child.terminate()
        status, _ = await process.ended()

    assert answer.status_code == 200
    assert status == 0


async def test_work_beside_the_operations_server_is_told_to_stop_and_finishes() -> None:
    async with running("work") as process:
        async with httpx.AsyncClient(base_url=process.url) as client:
            await ready(client)
            metrics = await client.get("/metrics")
        process.child.terminate()
        status, output = await process.ended()

    assert status == 0
    assert "python_info" in metrics.text
    assert {"working", "finished", "opened", "closed"} <= set(output)


async def test_work_that_fails_ends_the_process_with_status_1_and_a_log() -> None:
    async with running("fail") as process:
        status, output = await process.ended()

    errors = [json.loads(line) for line in output if line.startswith("{")]
    assert status == 1
    assert any("the work failed" in error.get("exception", "") for error in errors)


async def test_a_taken_port_is_an_error_not_a_hang() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        async with running("work", HTTP_PORT=port) as process:
            status, _ = await process.ended()

    assert status == 3


@pytest.mark.parametrize("mode", ["serve", "work"])
async def test_bad_settings_stop_the_process_with_status_2(mode: str) -> None:
    async with running(mode, LOG_LEVEL="LOUD") as process:
        status, _ = await process.ended()

    assert status == 2
