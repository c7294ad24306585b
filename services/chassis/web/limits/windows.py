"""Moving windows: how many requests a client has made within the last seconds, counted in this process."""

import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from limits import RateLimitItem

MOST_CLIENTS = 10_000
"""Clients that a process counts itself; of more, those that called least recently begin again."""


class StoreUnavailable(Exception):
    """The shared store does not answer, or refuses."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a client stands with one of its limits."""

    admitted: bool
    remaining: int
    """Requests that the client may still make now."""
    reset_seconds: int
    """Whole seconds after which the client may make one more request than now, at least 1."""


class Store(Protocol):
    """Windows that several processes share."""

    async def hit(self, item: RateLimitItem, kind: str, client: str) -> Standing:
        """Count a request as `LocalWindows.hit` does; raises StoreUnavailable."""
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...


class LocalWindows:
    """The windows of this process; exact, and bounded in memory by `MOST_CLIENTS`."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` returns seconds."""
        self._clock = clock
        self._admitted: OrderedDict[tuple[str, str], deque[float]] = OrderedDict()

    def hit(self, item: RateLimitItem, kind: str, client: str) -> Standing:
        """Count a request of `client` if the limit `item` of its `kind` admits it; a refused one does not count."""
        now, window, key = self._clock(), item.get_expiry(), (kind, client)
        times = self._admitted.get(key)
        if times is None:
            times = self._admitted[key] = deque()
            if len(self._admitted) > MOST_CLIENTS:
                self._admitted.popitem(last=False)
        else:
            self._admitted.move_to_end(key)
        while times and now - times[0] >= window:
            times.popleft()
        admitted = len(times) < item.amount
        if admitted:
            times.append(now)
        return Standing(admitted, item.amount - len(times), whole(times[0] + window - now))


def whole(seconds: float) -> int:
    """The whole seconds after which `seconds` have passed, at least 1."""
    return max(1, math.ceil(seconds))
