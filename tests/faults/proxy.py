"""A TCP proxy before a server, which does to connections what networks do to them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import sqlalchemy as sa

HOST = "127.0.0.1"
CHUNK = 64 * 1024


@dataclass(eq=False)
class _Link:
    """One proxied connection: the client's side and the server's."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    tail: bytes = b""
    """The end of what the client has sent, in case a marker comes in two pieces."""
    reply_is_lost: bool = False
    deaf: bool = False

    def abort(self) -> None:
        """End both sides at once, without a word."""
        for writer in (self.client, self.server):
            writer.transport.abort()


@dataclass
class Proxy:
    """Passes bytes on until it is told otherwise."""

    target: int
    port: int = 0
    _server: asyncio.Server | None = None
    _links: set[_Link] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _flowing: asyncio.Event = field(default_factory=asyncio.Event)
    _marker: bytes | None = None
    _lost: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    @asynccontextmanager
    async def before(cls, target: int) -> AsyncIterator[Proxy]:
        """A proxy before the port `target` of this machine, for the length of a block."""
        proxy = cls(target)
        proxy._flowing.set()
        await proxy.mend()
        yield proxy
        await proxy.cut()
        proxy._flowing.set()
        await asyncio.gather(*proxy._tasks)

    def url(self, url: str) -> str:
        """The SQLAlchemy URL of a database behind the proxy."""
        return sa.make_url(url).set(host=HOST, port=self.port).render_as_string(hide_password=False)

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._links)

    async def mend(self) -> None:
        """Accept connections again, and pass on what was held back."""
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, HOST, self.port)
            self.port = self._server.sockets[0].getsockname()[1]
        self._flowing.set()

    async def cut(self) -> None:
        """Reset every connection and refuse new ones, until `mend`."""
        server, self._server = self._server, None
        if server is not None:
            for listener in server.sockets:
                asyncio.get_running_loop().remove_reader(listener.fileno())
            # asyncio makes a transport one turn after it has accepted a connection. For a closed server that fails, and
            # the connection stays open.
            await asyncio.sleep(0)
            server.close()
        self.reset()

    def reset(self) -> None:
        """Reset every connection; new ones are accepted."""
        for link in list(self._links):
            link.abort()

    def stall(self) -> None:
        """Hold back every byte of every connection, old and new, in both directions; nothing is closed."""
        self._flowing.clear()

    def go_deaf(self) -> None:
        """Leave the connections that are open half-open: they never bring anything again, new ones work."""
        for link in self._links:
            link.deaf = True

    def lose_reply_to(self, marker: bytes) -> asyncio.Event:
        """Let the next message with `marker` reach the server, then lose its answer and cut that connection.

        When the returned event is set, the server has answered: it has done what was asked.
        """
        self._marker, self._lost = marker, asyncio.Event()
        return self._lost

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            from_server, to_server = await asyncio.open_connection(HOST, self.target)
        except OSError:
            writer.transport.abort()
            return
        link = _Link(writer, to_server)
        if self._server is None:
            link.abort()
            return
        self._links.add(link)
        try:
            async with asyncio.TaskGroup() as directions:
                directions.create_task(self._requests(reader, link))
                directions.create_task(self._replies(from_server, link))
        finally:
            link.abort()
            self._links.discard(link)

    async def _requests(self, reader: asyncio.StreamReader, link: _Link) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(CHUNK):
                await self._flowing.wait()
                if link.deaf:
                    continue
                if self._marker is not None:
                    seen = link.tail + data
                    if self._marker in seen:
                        self._marker, link.reply_is_lost = None, True
                    link.tail = seen[-64:]
                link.server.write(data)
                await link.server.drain()
        link.abort()

    async def _replies(self, reader: asyncio.StreamReader, link: _Link) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(CHUNK):
                await self._flowing.wait()
                if link.deaf:
                    continue
                if link.reply_is_lost:
                    self._lost.set()
                    break
                link.client.write(data)
                await link.client.drain()
        link.abort()
