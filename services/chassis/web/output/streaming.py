"""An answer whose chunks are made while they are sent, and no longer when its client leaves."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from fastapi import Response
from starlette.types import Receive, Scope, Send

from services.chassis.web.output.names import disposition

LONGEST_SECONDS = 900.0
"""An answer that a client takes this many seconds to read is cut: a snapshot keeps a database from cleaning up."""
SEND_SECONDS = 60.0
"""A client that takes nothing for this many seconds is given up: the answer holds a connection or an open file."""


class StreamedFile(Response):
    """Sends the chunks of a generator. When the client leaves, the generator is cancelled and closed at once."""

    def __init__(
        self, chunks: AsyncGenerator[bytes], *, headers: Mapping[str, str], media_type: str, file_name: str
    ) -> None:
        """`file_name` is the name under which the client stores it; `headers` say how long it is, if that is known."""
        super().__init__(media_type=media_type)
        del self.headers["content-length"]
        self.headers.update(headers)
        self.headers["Content-Disposition"] = disposition(file_name)
        self._chunks = chunks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send everything, or stop where the client leaves."""
        del scope
        tasks = (
            asyncio.create_task(self._send(send), name="send-export"),
            asyncio.create_task(_left(receive), name="await-disconnect"),
        )
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                if not task.done():
                    task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if not tasks[0].cancelled():
            tasks[0].result()

    async def _send(self, send: Send) -> None:
        async with aclosing(self._chunks), asyncio.timeout(LONGEST_SECONDS):
            await send(
                {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            )
            async for chunk in self._chunks:
                async with asyncio.timeout(SEND_SECONDS):
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
