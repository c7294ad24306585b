"""The filters, orders and ages of the queue. Plain Python."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum


class Order(StrEnum):
    """An order of the queue; `-` means descending, as in `-age`: the oldest first."""

    YOUNGEST = "age"
    OLDEST = "-age"
    SMALLEST = "amount"
    LARGEST = "-amount"
    LOWEST_SCORE = "score"
    HIGHEST_SCORE = "-score"


class Claimed(StrEnum):
    """Whose claim an application has."""

    MINE = "mine"
    OTHERS = "others"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Filters:
    """The applications that a caller asks for, of those that wait for them; None sets no filter."""

    stage: str | None = None
    product_code: str | None = None
    amount_min: Decimal | None = None
    amount_max: Decimal | None = None
    older_than_hours: int | None = None
    claimed: Claimed | None = None

    def submitted_until(self, now: datetime) -> datetime | None:
        """The latest instant of submission that is old enough."""
        return None if self.older_than_hours is None else now - timedelta(hours=self.older_than_hours)

    def contradictions(self) -> Iterator[tuple[str, str]]:
        """Name the parameters that exclude each other, and say why."""
        if self.amount_min is not None and self.amount_max is not None and self.amount_min > self.amount_max:
            yield "amount_min", "is above amount_max"


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits for one stage of one band; ages in hours since the submission."""

    stage: str
    band: str
    currency: str
    count: int
    claimed: int
    oldest_hours: float
    average_hours: float


def hours(since: datetime, now: datetime) -> float:
    """The hours from `since` to `now`, with one decimal; never negative."""
    return hours_of((now - since).total_seconds())


def hours_of(seconds: float) -> float:
    """Seconds as hours with one decimal, at least 0: the clocks of two machines can differ."""
    return round(max(seconds, 0.0) / 3600, 1)
