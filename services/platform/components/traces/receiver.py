"""The OTLP/HTTP receiver of the embedded platform: traces in, Zipkin's format out.

It takes the place that a collector has elsewhere. Run as `python -m services.platform.components.traces.receiver`; it
exports no spans of its own, for each would cause another.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response
from pydantic import Field

from services.chassis.settings import ServiceSettings, load_settings
from services.chassis.telemetry.spans import Telemetry
from services.chassis.web.app import create_app, serve
from services.chassis.web.health import Check
from services.chassis.web.input.body_limit import bounded_router
from services.chassis.web.problems import BadRequest, Problem, Unavailable
from services.platform.components.traces.forwarder import DROPPED, ZipkinForwarder
from services.platform.components.traces.translation import (
    MAX_BODY_BYTES,
    MalformedRequest,
    answer,
    decode,
    translate,
)

SERVICE = "otlp-receiver"
# A full batch of an exporter is below one MiB, compressed.
MAX_SENT_BYTES = 16 << 20


class ReceiverSettings(ServiceSettings):
    """Settings of the receiver."""

    zipkin_url: str = Field(pattern="^https?://", description="base URL of Zipkin")


class BodyTooLarge(Problem):
    """The request's body is too large."""

    status = 413


def receiver_app(settings: ReceiverSettings, telemetry: Telemetry) -> FastAPI:
    """The receiver's application."""
    forwarder: ZipkinForwarder

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        nonlocal forwarder
        forwarder = ZipkinForwarder(settings.zipkin_url)
        forwarding = asyncio.create_task(forwarder.run(), name="forwarding")
        yield
        forwarder.close()
        await forwarding
        await forwarder.aclose()

    async def zipkin_answers() -> None:
        await forwarder.check()

    router = bounded_router(tags=["traces"])

    @router.post("/v1/traces")
    async def export_traces(request: Request) -> Response:
        """Take an ExportTraceServiceRequest (protobuf or JSON, gzip or plain)."""
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        encoding = request.headers.get("content-encoding", "").strip().lower()
        body = await _body(request)
        try:
            # A full batch takes tens of milliseconds: other clients must not wait for it.
            spans, rejected = await asyncio.to_thread(lambda: translate(decode(body, content_type, encoding)))
        except MalformedRequest as error:
            raise BadRequest(str(error)) from error
        if not forwarder.offer(spans):
            refusal = Unavailable("the buffer for Zipkin is full; send the spans again later")
            refusal.headers["Retry-After"] = "1"
            raise refusal
        DROPPED.labels("invalid").inc(rejected)
        return Response(answer(rejected, content_type), media_type=content_type)

    return create_app(
        service=SERVICE,
        title="OTLP receiver",
        summary="Takes traces by OTLP over HTTP and stores them in Zipkin.",
        settings=settings,
        telemetry=telemetry,
        routers=[router],
        checks=[Check("zipkin", zipkin_answers)],
        lifespan=lifespan,
        max_body_bytes=MAX_SENT_BYTES,
    )


async def _body(request: Request) -> bytes:
    parts, size = [], 0
    async for part in request.stream():
        parts.append(part)
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise BodyTooLarge(f"a request may have {MAX_BODY_BYTES} bytes; send smaller batches")
    return b"".join(parts)


def main() -> None:
    """Run the receiver until it is told to stop."""
    settings = load_settings(ReceiverSettings)
    serve(receiver_app(settings, Telemetry.start(SERVICE)), settings)


if __name__ == "__main__":
    main()
