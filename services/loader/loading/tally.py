"""Counts and hashes lines on their way, so that a window read again can be compared with what was loaded."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Counted(NamedTuple):
    """What went into one landing table: how many lines, and SHA-256 of them, each with a newline."""

    rows: int
    checksum: str


class Tally:
    """Of one landing table and batch."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._rows = 0
        self._hash = hashlib.sha256()

    def add(self, lines: Sequence[bytes]) -> None:
        """Take lines in order of position."""
        self._rows += len(lines)
        self._hash.update(b"\n".join(lines) + b"\n")

    def counted(self) -> Counted:
        """Give the sum."""
        return Counted(self._rows, self._hash.hexdigest())


def checksum(counted: Mapping[str, Counted]) -> str:
    """Give a batch's checksum: SHA-256 of a line `<table> <rows> <checksum>` for each landing table, sorted."""
    text = "".join(f"{table} {rows} {digest}\n" for table, (rows, digest) in sorted(counted.items()))
    return hashlib.sha256(text.encode()).hexdigest()
