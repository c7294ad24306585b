"""When something that failed is tried again. Plain Python."""

from datetime import timedelta

_FIRST, _LONGEST = timedelta(seconds=5), timedelta(minutes=10)


def wait_after(attempts: int) -> timedelta:
    """How long to wait after this many failed attempts: 5 s, then twice as long each time, at most 10 min."""
    # Doubled ten times it is beyond the longest.
    return min(_FIRST * (1 << min(attempts - 1, 10)), _LONGEST)
