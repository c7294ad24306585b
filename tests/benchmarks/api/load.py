"""A client that sends requests as fast as they are answered, with little work of its own.

It shares the processors with what is measured: a client with all that httpx does would take more time than the service.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

Request = Callable[[], bytes]
"""Makes the next request, head and body."""


@dataclass(frozen=True)
class Load:
    """What a service did under a load."""

    per_second: float
    p50_ms: float
    p99_ms: float
    answers: int

    def as_json(self) -> dict[str, float]:
        """The figures, rounded."""
        return {
            "per_second": round(self.per_second, 1),
            "p50_ms": round(self.p50_ms, 2),
            "p99_ms": round(self.p99_ms, 2),
            "answers": self.answers,
        }


def request(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """One HTTP/1.1 request on a connection that stays open."""
    lines = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Connection:
    """One connection, with one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, base: str) -> Connection:
        """Connect to the service at `base`."""
        url = urlsplit(base)
        return cls(*await asyncio.open_connection(url.hostname, url.port))

    async def send(self, content: bytes) -> bytes:
        """Send a request; gives the answer's body.

        Raises:
            SystemExit: the answer is an error: what is measured must work.
        """
        self._writer.write(content)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length")
        )
        body = await self._reader.readexactly(length)
        if head[9:10] not in {b"2", b"3"}:
            raise SystemExit(f"{head[:15].decode()}: {body[:800].decode()}")
        return body

    def close(self) -> None:
        """Close it."""
        self._writer.close()


async def drive(base: str, make: Request, *, connections: int, seconds: float) -> Load:
    """Send requests of `make` to `base` by some connections for some seconds."""
    taken: list[float] = []
    opened = [await Connection.open(base) for _ in range(connections)]
    # Neither the first request of a connection nor the first plan of a statement is what is measured.
    await asyncio.gather(*(connection.send(make()) for connection in opened))
    began = time.perf_counter()
    until = began + seconds

    async def keep_sending(connection: Connection) -> None:
        while (sent := time.perf_counter()) < until:
            await connection.send(make())
            taken.append((time.perf_counter() - sent) * 1000)

    await asyncio.gather(*(keep_sending(connection) for connection in opened))
    passed = time.perf_counter() - began
    for connection in opened:
        connection.close()
    cuts = statistics.quantiles(taken, n=100)
    return Load(len(taken) / passed, cuts[49], cuts[98], len(taken))
