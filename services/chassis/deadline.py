"""How much time the work at hand has left; a request brings it along, and calls to other services pass it on."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

HEADER = "X-Request-Timeout-Ms"
"""How long the sender still waits for the answer, milliseconds."""

_ends_at: ContextVar[float | None] = ContextVar("deadline", default=None)


@contextmanager
def ends_in(seconds: float) -> Iterator[None]:
    """Let what is done in the block, and in tasks that it starts, end within `seconds`; an earlier end stays."""
    end = time.monotonic() + seconds
    before = _ends_at.get()
    token = _ends_at.set(end if before is None else min(before, end))
    try:
        yield
    finally:
        _ends_at.reset(token)


def seconds_left() -> float | None:
    """Seconds until the deadline, negative when it has passed; None when there is none."""
    end = _ends_at.get()
    return None if end is None else end - time.monotonic()
