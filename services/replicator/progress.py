"""Whether a process still does what it is there for, by its acknowledged work and a clock that nobody sets."""

import time
from collections.abc import Callable
from datetime import datetime

from services.chassis.web.health import NotReady

SILENT_SECONDS = 10.0
"""A process without an acknowledgement for this many seconds is not ready: twice the limit of broker and database."""


class Work:
    """Work of one kind, and when it was last acknowledged."""

    def __init__(self, what: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`what` is said of the work when it is overdue: "Kafka has acknowledged nothing"; `clock` gives seconds."""
        self._what = what
        self._clock = clock
        self._since = clock()
        self._at: float | None = None

    def acknowledged(self) -> None:
        """Something was done, and whoever it was done for has said so."""
        self._at = self._clock()

    @property
    def silent_seconds(self) -> float:
        """Seconds since the last acknowledgement, or since the process began."""
        return self._clock() - (self._since if self._at is None else self._at)

    async def check(self, patience: float = SILENT_SECONDS) -> None:
        """The check of readiness.

        Raises:
            NotReady: nothing was acknowledged yet, or nothing for `patience` seconds.
        """
        if self._at is None:
            raise NotReady(f"{self._what} yet, {self.silent_seconds:.0f} s after the start")
        if self.silent_seconds > patience:
            raise NotReady(f"{self._what} for {self.silent_seconds:.0f} s")


class Backlog:
    """The age of the oldest change that is not acknowledged yet; grows while nothing moves."""

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        """`clock` gives seconds since 1970: changes carry the time of the lake's clock."""
        self._clock = clock
        self._oldest: float | None = None

    def waits(self, captured_at: datetime) -> None:
        """A change captured then is to be sent, and all before it are acknowledged."""
        self._oldest = captured_at.timestamp()

    def empty(self) -> None:
        """Everything that was read is acknowledged."""
        self._oldest = None

    @property
    def seconds(self) -> float:
        """Seconds since the oldest was captured; 0 when nothing waits."""
        return 0.0 if self._oldest is None else max(0.0, self._clock() - self._oldest)
