"""Bodies that a route reads itself while they arrive, and what their headers say of them."""

from collections.abc import AsyncGenerator
from email.message import Message as MimeType

from fastapi import Request
from starlette.requests import ClientDisconnect

from services.chassis.web.problems import BadRequest

UTF_8 = frozenset({"utf-8", "utf8"})
IDENTITY = "identity"
"""The content encoding of a body that is sent as it is."""


async def pieces_of(request: Request) -> AsyncGenerator[bytes]:
    """The body as it arrives, without empty pieces; raises BadRequest when the connection ends before it does."""
    try:
        async for piece in request.stream():
            if piece:
                yield piece
    except ClientDisconnect:
        raise BadRequest("The connection ended before the body did.") from None


def declared_type(request: Request) -> tuple[str, str]:
    """The media type of a body in lower case, and its character set, UTF-8 where it names none."""
    header = MimeType()
    header["content-type"] = request.headers.get("content-type", "")
    return header.get_content_type(), str(header.get_param("charset", "utf-8")).lower()


def content_encoding(request: Request) -> str:
    """How a body is packed, in lower case; IDENTITY where it is not."""
    return request.headers.get("content-encoding", IDENTITY).lower()
