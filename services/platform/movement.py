"""Whether a process that is not ready yet still makes progress, so that a start needs no fixed time limit."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import psutil

WINDOW_SECONDS = 5.0
BUSY_SHARE = 0.1
"""The share of one processor, used or waited for: a process below it only retries and makes no progress."""
MOST_READ_BYTES = 256 * 1024
MOST_PATTERNS = 10_000
# Times, positions, ports and ids: without them a line that is said again and again is the same line.
_CHANGING = re.compile(r"[0-9a-f]{8,}|\d+")


class Movement:
    """One process that starts: moves while it says something new, computes, or is in another state.

    On a busy machine a start takes as long as it takes. A process that tries the same again and again, with the same
    words, does not move.
    """

    def __init__(self, log: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`log` is what the process writes; `clock` gives seconds."""
        self._log = log
        self._clock = clock
        self._moved_at = self._looked_at = clock()
        self._offset = log.stat().st_size if log.exists() else 0
        self._patterns: set[str] = set()
        self._state: tuple[object, ...] = ()
        self._used = 0.0

    @property
    def quiet_seconds(self) -> float:
        """Seconds since it last moved."""
        return self._clock() - self._moved_at

    def look(self, pid: int, state: str, why: str) -> None:
        """Look once: `pid` of the process (0 for none), its `state`, and `why` it is not ready."""
        seen = (pid, state, _CHANGING.sub("#", why))
        # All three each time: what is not looked at now would count as new later.
        if any([seen != self._state, self._says_something_new(), self._computes(pid)]):
            self._moved_at = self._clock()
        self._state = seen

    def _says_something_new(self) -> bool:
        size = self._log.stat().st_size if self._log.exists() else 0
        if size == self._offset:
            return False
        # A rotated log is read from its beginning.
        begin = self._offset if size > self._offset else 0
        with self._log.open("rb") as file:
            file.seek(max(begin, size - MOST_READ_BYTES))
            lines = file.read(MOST_READ_BYTES).decode(errors="replace").splitlines()
        self._offset = size
        found = {_CHANGING.sub("#", line) for line in lines} - self._patterns
        if len(self._patterns) < MOST_PATTERNS:
            self._patterns |= found
        return bool(found)

    def _computes(self, pid: int) -> bool:
        now = self._clock()
        elapsed = now - self._looked_at
        if elapsed < WINDOW_SECONDS:
            return False
        used = _processor_seconds(pid) if pid else 0.0
        before, self._used, self._looked_at = self._used, used, now
        return used - before >= BUSY_SHARE * elapsed


def _processor_seconds(pid: int) -> float:
    """What a process and its children have used of the processors, and how long its first thread waited for one."""
    seconds = 0.0
    try:
        process = psutil.Process(pid)
        for part in (process, *process.children(recursive=True)):
            times = part.cpu_times()
            seconds += times.user + times.system + _waited_seconds(part.pid)
    except psutil.Error:
        return seconds
    return seconds


def _waited_seconds(pid: int) -> float:
    try:
        # Nanoseconds on a processor, nanoseconds in its queue, how often.
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0
