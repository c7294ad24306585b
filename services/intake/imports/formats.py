"""Files piece by piece: unpacked within limits, and cut into the records that rows are read from.

The same code looks at a file while it arrives and reads it later, so that what was taken can be read. Memory holds one
piece and one record, whatever the file's size.
"""

import csv
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from services.chassis.web.problems import ContentTooLarge
from services.intake.imports.errors import ExpandsTooMuch, FileRefused

LARGEST_ROW_BYTES = 64 << 10
"""As the largest body of a request with one row."""
MOST_EXPANSION = 100
"""How many times its packed size a file may be."""
FREE_BYTES = 1 << 20
"""A file that unpacks to no more than this may be packed as tightly as it can."""
_STEP_BYTES = 256 << 10
_BOM = b"\xef\xbb\xbf"
_OTHER_UNICODE = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class Record:
    """What a row is read from; `raw` is None when it was longer than a row may be."""

    line: int
    """The line in which it begins, from 1."""
    lines: int
    raw: bytes | None


class Unpacker:
    """Unpacks a file, and measures it."""

    def __init__(self, *, gzipped: bool, max_bytes: int, known: bool = False) -> None:
        """`max_bytes` is the limit of what comes out; of a `known` file it is the size, so nothing else is limited."""
        self._stream = zlib.decompressobj(wbits=31) if gzipped else None
        self._max = max_bytes
        self._known = known
        self.packed = self.size = 0
        """Bytes that have gone in, and that have come out."""

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """What a piece unpacks to.

        Raises:
            ContentTooLarge: it is more than the limit.
            ExpandsTooMuch: it is more than `MOST_EXPANSION` times as much.
            FileRefused: it is not packed as gzip has it.
        """
        self.packed += len(piece)
        if self._stream is None:
            yield self._measured(piece)
            return
        rest, more = piece, True
        while rest or more:
            if self._stream.eof:
                # A file of gzip can have several members; some programs fill the end with zeros.
                if not rest.lstrip(b"\0"):
                    return
                self._stream = zlib.decompressobj(wbits=31)
            try:
                part = self._stream.decompress(rest, _STEP_BYTES)
            except zlib.error:
                raise FileRefused("it is not gzip, or was damaged") from None
            rest = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
            # A full step can have left more behind although nothing more has gone in.
            more = len(part) == _STEP_BYTES
            if part:
                yield self._measured(part)

    def end(self) -> None:
        """Nothing more comes; raises FileRefused when the file was cut."""
        if self._stream is not None and not self._stream.eof:
            raise FileRefused("it ends before its gzip data does")

    def _measured(self, part: bytes) -> bytes:
        self.size += len(part)
        if self.size > self._max:
            raise too_large(self._max)
        # How tightly the start is packed differs with the size of the pieces: only what arrives is judged by it.
        if not self._known and self.size > max(FREE_BYTES, MOST_EXPANSION * self.packed):
            raise ExpandsTooMuch(
                f"It unpacks to more than {MOST_EXPANSION} times its size.", max_ratio=MOST_EXPANSION
            )
        return part


class Splitter:
    """Cuts a file into records: lines, which in CSV go on inside a quoted cell (RFC 4180)."""

    def __init__(self, *, quoted: bool) -> None:
        """`quoted`: whether quotes mean anything, as they do in CSV."""
        self._quoted = quoted
        self._line = 1
        self._held = bytearray()
        self._length, self._lines, self._inside = 0, 1, False

    def feed(self, piece: bytes) -> Iterator[Record]:
        """The records that end in a piece; raises FileRefused."""
        first, *others = piece.split(b"\n")
        self._add(first)
        for part in others:
            if self._inside:
                self._add(b"\n")
                self._lines += 1
                if self._length > LARGEST_ROW_BYTES:
                    raise self._open()
            else:
                yield from self._record()
                self._line += self._lines
                self._restart()
            self._add(part)

    def end(self) -> Iterator[Record]:
        """The record that the file ends with, if its last line does not end; raises FileRefused."""
        if self._inside:
            raise self._open()
        yield from self._record()

    def _add(self, part: bytes) -> None:
        if self._quoted and part.count(b'"') % 2:
            self._inside = not self._inside
        self._length += len(part)
        # One more for the carriage return.
        if self._length <= LARGEST_ROW_BYTES + 1:
            self._held += part
        else:
            self._held.clear()

    def _record(self) -> Iterator[Record]:
        if self._length > LARGEST_ROW_BYTES + 1:
            yield Record(self._line, self._lines, None)
            return
        raw = bytes(self._held).removesuffix(b"\r")
        if self._line == 1:
            if raw.startswith(_OTHER_UNICODE):
                raise FileRefused("it is not in UTF-8")
            raw = raw.removeprefix(_BOM)
        if len(raw) > LARGEST_ROW_BYTES:
            yield Record(self._line, self._lines, None)
        elif raw.strip():
            yield Record(self._line, self._lines, raw)

    def _restart(self) -> None:
        self._held.clear()
        self._length, self._lines, self._inside = 0, 1, False

    def _open(self) -> FileRefused:
        return FileRefused(
            f"the row that begins in line {self._line} has a quote that does not end within "
            f"{LARGEST_ROW_BYTES} bytes"
        )


def cells_of(record: str) -> list[str]:
    """The cells of a record of CSV; raises ValueError when it is not as RFC 4180 has it."""
    try:
        (cells,) = csv.reader([record], strict=True)
    except csv.Error:
        raise ValueError("is not CSV as RFC 4180 has it; a quote inside a cell is written twice") from None
    return cells


def too_large(max_bytes: int) -> ContentTooLarge:
    """The refusal of a file that is larger than the limit."""
    return ContentTooLarge(
        f"Send a file of at most {max_bytes} bytes, unpacked; more of them in several files.",
        max_bytes=max_bytes,
    )
