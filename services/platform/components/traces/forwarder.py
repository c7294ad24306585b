"""The way from the receiver to Zipkin: a bounded buffer, batches, and patience while it does not answer."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Iterable

import httpx
import orjson
from prometheus_client import Counter, Gauge

from services.chassis.telemetry.logging import get_logger
from services.platform.components.traces.translation import ZipkinSpan

BUFFER_BYTES = 64 << 20
BATCH_BYTES = 2 << 20
GIVE_UP_SECONDS = 60.0
LONGEST_PAUSE_SECONDS = 5.0

ACCEPTED = Counter("otlp_receiver_spans_accepted_total", "Spans taken from clients.")
FORWARDED = Counter("otlp_receiver_spans_forwarded_total", "Spans that Zipkin has taken.")
DROPPED = Counter("otlp_receiver_spans_dropped_total", "Spans lost, by reason.", ["reason"])
BUFFERED = Gauge("otlp_receiver_buffer_bytes", "Bytes of spans that wait for Zipkin.")

_log = get_logger(__name__)


class ZipkinForwarder:
    """Takes translated spans and posts them to Zipkin; `run` is its task."""

    def __init__(self, zipkin_url: str) -> None:
        """`zipkin_url`: base URL of Zipkin."""
        # No proxy of the environment; the authorities are those of the system or of SSL_CERT_FILE.
        self._client = httpx.AsyncClient(
            base_url=zipkin_url, timeout=10.0, trust_env=False, verify=ssl.create_default_context()
        )
        self._spans: deque[bytes] = deque()
        self._bytes = 0
        self._arrived = asyncio.Event()
        self._closing = False

    def offer(self, spans: Iterable[ZipkinSpan]) -> bool:
        """Buffer the spans of one request; False when the buffer is full, and then none of them."""
        encoded = [orjson.dumps(span) for span in spans]
        size = sum(map(len, encoded))
        if self._bytes and self._bytes + size > BUFFER_BYTES:
            return False
        self._spans.extend(encoded)
        self._count(size)
        ACCEPTED.inc(len(encoded))
        self._arrived.set()
        return True

    async def check(self) -> None:
        """Raise unless Zipkin answers."""
        (await self._client.get("/health")).raise_for_status()

    async def run(self) -> None:
        """Forward until `close` is called and the buffer is empty or Zipkin does not take it."""
        while True:
            await self._arrived.wait()
            while self._spans:
                batch = self._take()
                await self._deliver(batch)
                self._count(-sum(map(len, batch)))
            self._arrived.clear()
            if self._closing:
                return

    def close(self) -> None:
        """Have `run` end after one last attempt for each batch."""
        self._closing = True
        self._arrived.set()

    async def aclose(self) -> None:
        """Close the connections to Zipkin."""
        await self._client.aclose()

    def _count(self, size: int) -> None:
        self._bytes += size
        BUFFERED.set(self._bytes)

    def _take(self) -> list[bytes]:
        batch: list[bytes] = []
        size = 0
        while self._spans and (not batch or size + len(self._spans[0]) <= BATCH_BYTES):
            batch.append(self._spans.popleft())
            size += len(batch[-1])
        return batch

    async def _deliver(self, batch: list[bytes]) -> None:
        body = b"[" + b",".join(batch) + b"]"
        pause, waited = 0.1, 0.0
        while True:
            try:
                response = await self._client.post(
                    "/api/v2/spans", content=body, headers={"Content-Type": "application/json"}
                )
            except httpx.HTTPError as error:
                failure = str(error) or type(error).__name__
            else:
                if response.is_success:
                    FORWARDED.inc(len(batch))
                    return
                failure = f"{response.status_code} {response.text[:200]}"
                if response.is_client_error and response.status_code != 429:
                    self._drop(batch, "refused", failure)
                    return
            if self._closing or waited >= GIVE_UP_SECONDS:
                self._drop(batch, "unreachable", failure)
                return
            await asyncio.sleep(pause)
            waited += pause
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _drop(self, batch: list[bytes], reason: str, failure: str) -> None:
        DROPPED.labels(reason).inc(len(batch))
        _log.warning("spans dropped", count=len(batch), reason=reason, failure=failure)
