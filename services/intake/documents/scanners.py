"""Scanners for malware. Whatever goes wrong is a failure to scan, and never a clean document."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Protocol
from urllib.parse import unquote, urlsplit

SECONDS = 60.0
"""The longest scan of one document."""
CHUNK_BYTES = 64 << 10
ANSWER_BYTES = 1 << 10
LONGEST_FINDING = 200

_ANSWER = re.compile(r"stream: (?:(?P<clean>OK)|(?P<finding>.+) FOUND)")
_HOST = re.compile(r"[A-Za-z0-9.:-]+")


class ScanFailed(Exception):
    """The scanner did not say whether the content is clean."""


class Scanner(Protocol):
    """Looks for malware in content."""

    name: str
    """What answers call it."""

    async def scan(self, content: AsyncIterator[bytes]) -> str | None:
        """What it found in `content`, None when that is nothing; raises ScanFailed."""


class Clamd:
    """ClamAV's daemon, by the command INSTREAM of its protocol (clamd(8)), over TCP or a socket of this machine."""

    name = "clamd"

    def __init__(self, place: tuple[str, int] | str, *, seconds: float = SECONDS) -> None:
        """`place`: host and port, or the path of a socket; `seconds` bound one scan."""
        self._place = place
        self._seconds = seconds

    async def scan(self, content: AsyncIterator[bytes]) -> str | None:
        """What it found in `content`, None when that is nothing; raises ScanFailed, and what `content` raises."""
        try:
            async with asyncio.timeout(self._seconds):
                answer = await self._answer(content)
        except (OSError, TimeoutError, asyncio.LimitOverrunError) as error:
            raise ScanFailed(f"clamd does not answer ({type(error).__name__})") from None
        # It ends its answer with NUL, and says ERROR behind a text, for instance when its own limit is exceeded.
        found = _ANSWER.fullmatch(answer.rstrip(b"\0").decode("utf-8", "replace").strip())
        if found is None or not answer.endswith(b"\0"):
            raise ScanFailed("clamd did not scan it")
        finding: str | None = found["finding"]
        return None if found["clean"] else (finding or "")[:LONGEST_FINDING]

    async def _answer(self, content: AsyncIterator[bytes]) -> bytes:
        if isinstance(self._place, str):
            reader, writer = await asyncio.open_unix_connection(self._place, limit=ANSWER_BYTES)
        else:
            reader, writer = await asyncio.open_connection(*self._place, limit=ANSWER_BYTES)
        try:
            writer.write(b"zINSTREAM\0")
            async for piece in content:
                for start in range(0, len(piece), CHUNK_BYTES):
                    chunk = piece[start : start + CHUNK_BYTES]
                    writer.write(len(chunk).to_bytes(4, "big") + chunk)
                    await writer.drain()
            writer.write((0).to_bytes(4, "big"))
            await writer.drain()
            return await reader.readuntil(b"\0")
        except asyncio.IncompleteReadError as cut:
            return cut.partial
        finally:
            # Everything was said, or nothing more is of use.
            writer.transport.abort()
            await asyncio.sleep(0)


def open_scanner(url: str) -> Scanner | None:
    """The scanner that a setting names, None for `none`; nothing connects before it is used.

    Args:
        url: `none`, `clamd://host:port` or `clamd:///path/of/a/socket`.

    Raises:
        ValueError: it is none of these.
    """
    if url == "none":
        return None
    parts = urlsplit(url)
    if parts.scheme == "clamd" and not parts.query and not parts.fragment:
        if parts.hostname and parts.port and not parts.path and _HOST.fullmatch(parts.hostname):
            return Clamd((parts.hostname, parts.port))
        if not parts.netloc and parts.path.startswith("/"):
            return Clamd(unquote(parts.path))
    raise ValueError("a scanner is none, clamd://host:port or clamd:///path/of/a/socket")
