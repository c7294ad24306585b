"""The content of a document while it arrives: its size, its hash, and whether it is of the type that it says.

A file can be two things at once: a PDF that is a ZIP archive, too, shows one thing to the officer and another to the
program that opens it. So a document begins as its type begins, ends as it ends, and has no sign of another type at the
places where readers look for one.
"""

import hashlib
import re
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass

import puremagic

from services.chassis.web.problems import ContentTooLarge, UnsupportedMediaType
from services.intake.documents.errors import DocumentEmpty

HEAD_BYTES = 4 << 10
TAIL_BYTES = (64 << 10) + 32
"""A ZIP archive ends within this distance of the end: its last record and the longest comment."""
SNIFFED_BYTES = 1 << 10
"""Readers of PDF look for its beginning, and browsers for a page, within this many bytes of the start."""


@dataclass(frozen=True, slots=True)
class FileType:
    """A type that is accepted: its extensions, and how its files end, if they have an end."""

    extensions: tuple[str, ...]
    ends: re.Pattern[bytes] | None


TYPES = {
    "application/pdf": FileType((".pdf",), re.compile(rb"%%EOF[\x00\t\n\x0c\r ]*\Z")),
    # Cameras fill up with zeros.
    "image/jpeg": FileType((".jpg", ".jpeg"), re.compile(rb"\xff\xd9\x00*\Z")),
    "image/png": FileType((".png",), re.compile(rb"\x00\x00\x00\x00IEND\xaeB`\x82\Z")),
    "image/tiff": FileType((".tif", ".tiff"), None),
}
"""The accepted types by their names."""

_PDF = b"%PDF-"
_ZIP_ENDS = (b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07")
_PAGE = re.compile(rb"<(?:!doctype|html|head|body|script|iframe|svg|\?php)", re.IGNORECASE)
_TAR = (257, b"ustar")


class TypeRefused(UnsupportedMediaType):
    """The document is not of a type that is taken here, or not of the type that it says."""


class Content:
    """Measures and checks a document while it passes through."""

    def __init__(self, media_type: str, max_bytes: int) -> None:
        """`media_type` as the client declared it, one of `TYPES`; `max_bytes` is the limit of its size."""
        self._type = media_type
        self._max = max_bytes
        self._hash = hashlib.sha256()
        self._head = b""
        self._tail = b""
        self._is_checked = False
        self.size = 0

    @property
    def sha256(self) -> bytes:
        """The hash of all that has passed."""
        return self._hash.digest()

    async def checked(self, pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
        """The same pieces.

        Raises:
            ContentTooLarge: there are more than the limit.
            TypeRefused: the content is of another type; at its beginning where that shows there.
            DocumentEmpty: there is nothing.
        """
        async for piece in pieces:
            self.size += len(piece)
            if self.size > self._max:
                raise too_large(self._max)
            self._hash.update(piece)
            if len(self._head) < HEAD_BYTES:
                self._head += piece[: HEAD_BYTES - len(self._head)]
            self._tail = (self._tail + piece)[-TAIL_BYTES:]
            if len(self._head) == HEAD_BYTES:
                self._check_head()
            yield piece
        if not self.size:
            raise DocumentEmpty("Send the document as the body.")
        self._check_head()
        self._check_tail()

    def _check_head(self) -> None:
        if self._is_checked:
            return
        self._is_checked = True
        if self._type not in _types_of(self._head):
            raise TypeRefused(f"The content is not {self._type}.")
        start = self._head[:SNIFFED_BYTES]
        offset, mark = _TAR
        if (
            start.rfind(_PDF) > 0
            or (start.startswith(_PDF) and self._type != "application/pdf")
            or _PAGE.search(start)
            or self._head[offset:].startswith(mark)
        ):
            raise _of_two_types(self._type)

    def _check_tail(self) -> None:
        ends = TYPES[self._type].ends
        if ends is not None and ends.search(self._tail) is None:
            raise TypeRefused(f"The content is cut, or something follows the end of the {self._type}.")
        if any(mark in self._tail for mark in _ZIP_ENDS):
            raise _of_two_types(self._type)


def too_large(max_bytes: int) -> ContentTooLarge:
    """The refusal of a document that is larger than the limit."""
    return ContentTooLarge(f"Send a document of at most {max_bytes} bytes.", max_bytes=max_bytes)


def _types_of(head: bytes) -> set[str]:
    try:
        return {one.mime_type for one in puremagic.magic_string(head)}
    except (puremagic.PureError, ValueError):  # of no known type
        return set()


def _of_two_types(media_type: str) -> TypeRefused:
    return TypeRefused(f"The content is {media_type} and something else, too.")
