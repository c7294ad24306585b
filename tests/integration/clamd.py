"""A server that speaks clamd's protocol as far as documents need it: INSTREAM, over TCP or a socket of the machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from services.platform.components.clamd import TEST_TEXT

INFECTED = TEST_TEXT
"""What the server takes for malware, as the signature file of the platform's own clamd does."""


def judged(content: bytes) -> bytes:
    return b"stream: Creditmesh.Test FOUND\0" if INFECTED in content else b"stream: OK\0"


@dataclass
class FakeClamd:
    """A running server, and what it was given."""

    answer: Callable[[bytes], bytes] = judged
    port: int = 0
    hesitates: float = 0
    scanned: list[bytes] = field(default_factory=list)
    serving: list[asyncio.Task[None]] = field(default_factory=list)

    @classmethod
    @asynccontextmanager
    async def running(
        cls, answer: Callable[[bytes], bytes] | None = None, path: Path | None = None
    ) -> AsyncIterator[Self]:
        """On a free port, or at `path`; `answer` gives what is said to some content."""
        made = cls(answer or judged)
        if path is not None:
            server = await asyncio.start_unix_server(made.accept, path)
        else:
            server = await asyncio.start_server(made.accept, "127.0.0.1", 0)
            made.port = server.sockets[0].getsockname()[1]
        async with server:
            yield made
        await asyncio.gather(*made.serving)

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take a connection."""
        self.serving.append(asyncio.create_task(self.serve(reader, writer)))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one scan."""
        try:
            if await reader.readuntil(b"\0") != b"zINSTREAM\0":
                writer.write(b"UNKNOWN COMMAND\0")
                return
            content = b""
            while size := int.from_bytes(await reader.readexactly(4), "big"):
                content += await reader.readexactly(size)
            self.scanned.append(content)
            await asyncio.sleep(self.hesitates)
            writer.write(self.answer(content))
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
