"""Protection of a failing server from more load: a budget for retries, and a circuit breaker."""

import threading
import time
from collections import deque
from collections.abc import Callable
from enum import IntEnum


class RetryBudget:
    """A token bucket: each request earns a part of a retry, so that retries cannot multiply the load in an outage."""

    def __init__(self, ratio: float = 0.2, burst: float = 10.0) -> None:
        """Retries are at most `ratio` of the requests, plus `burst` saved without failures."""
        self._ratio = ratio
        self._burst = burst
        self._tokens = burst
        self._lock = threading.Lock()

    def earn(self) -> None:
        """Count a first attempt."""
        with self._lock:
            self._tokens = min(self._burst, self._tokens + self._ratio)

    def spend(self) -> bool:
        """Whether there is budget for one retry; uses it if so."""
        with self._lock:
            if self._tokens < 1.0:
                return False
            self._tokens -= 1.0
            return True


class BreakerState(IntEnum):
    """The state of a circuit breaker; the numbers are the gauge's values."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


class Breaker:
    """A circuit breaker over the last calls to one server; for use within one event loop.

    It opens when a quarter of the last forty calls failed (with at least twenty calls), refuses all for five seconds,
    then allows one trial call: its success closes the breaker, its failure opens it again.
    """

    def __init__(
        self,
        *,
        failure_ratio: float = 0.25,
        window: int = 40,
        least_calls: int = 20,
        open_seconds: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
        changed: Callable[[BreakerState], None] = lambda _: None,
    ) -> None:
        """`clock` returns seconds; `changed` is called with every state, the first included."""
        self._failure_ratio = failure_ratio
        self._least_calls = least_calls
        self._open_seconds = open_seconds
        self._clock = clock
        self._changed = changed
        self._failures: deque[bool] = deque(maxlen=window)
        self._tried_at = 0.0
        self._turn(BreakerState.CLOSED)

    @property
    def state(self) -> BreakerState:
        """The state at the last call."""
        return self._state

    def allows(self) -> bool:
        """Whether a call may be made now; while half-open, only the first call is allowed."""
        if self._state is BreakerState.CLOSED:
            return True
        # Also when half-open: a cancelled trial reports no result, so another must replace it.
        if self._clock() - self._tried_at < self._open_seconds:
            return False
        self._tried_at = self._clock()
        self._turn(BreakerState.HALF_OPEN)
        return True

    def record(self, *, failed: bool) -> None:
        """Report the result of an allowed call."""
        if self._state is BreakerState.HALF_OPEN:
            self._failures.clear()
            self._turn(BreakerState.OPEN if failed else BreakerState.CLOSED)
            return
        if self._state is BreakerState.OPEN:
            # The call began before the breaker opened.
            return
        self._failures.append(failed)
        calls = len(self._failures)
        if calls >= self._least_calls and sum(self._failures) >= self._failure_ratio * calls:
            self._failures.clear()
            self._turn(BreakerState.OPEN)

    def _turn(self, state: BreakerState) -> None:
        if state is BreakerState.OPEN:
            self._tried_at = self._clock()
        self._state = state
        self._changed(state)
