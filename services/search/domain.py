"""The filters of a search, its order and its facets."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from services.lake.domain.states import State

MOST_WORDS = 8
_ID_PREFIX = re.compile(r"[0-9a-f][0-9a-f-]{3,35}")


class Order(StrEnum):
    """The order of what is found; `-` is descending. The age is the time since the submission."""

    NEWEST = "-submitted_at"
    FIRST_SUBMITTED = "submitted_at"
    LARGEST = "-amount"
    SMALLEST = "amount"
    BEST = "-score"
    WORST = "score"
    OLDEST = "-age"
    YOUNGEST = "age"


class Facet(StrEnum):
    """What the found applications are counted by; each is also the name of a filter."""

    STATE = "state"
    PRODUCT = "product"
    CHANNEL = "channel"
    BAND = "band"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class BandRange:
    """The amounts of an approval band, `amount_below` exclusive; None has no bound."""

    name: str
    currency: str
    amount_from: Decimal
    amount_below: Decimal | None
    valid_from: datetime | None = None
    valid_to: datetime | None = None


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters of a search; None and empty mean no filter. Times are aware, bounds inclusive.

    A month is its first day; months are those of UTC.
    """

    words: tuple[str, ...] = ()
    states: tuple[State, ...] = ()
    products: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    bands: tuple[str, ...] = ()
    months: tuple[date, ...] = ()
    currency: str | None = None
    amount_min: Decimal | None = None
    amount_max: Decimal | None = None
    submitted_from: datetime | None = None
    submitted_to: datetime | None = None
    maker: UUID | None = None

    def contradictions(self) -> Iterator[tuple[str, str]]:
        """Name the parameters that exclude each other, and say why."""
        if self.amount_min is not None and self.amount_max is not None and self.amount_min > self.amount_max:
            yield "amount_min", "is above amount_max"
        if self.submitted_from and self.submitted_to and self.submitted_from > self.submitted_to:
            yield "submitted_from", "is after submitted_to"


@dataclass(frozen=True, slots=True)
class FacetCount:
    """How many applications have a value; None where they have none, such as no band."""

    value: str | None
    count: int


@dataclass(frozen=True, slots=True)
class Facets:
    """The counts of a search: `total` under all filters, and by facet under all filters but the facet's own.

    `approximate` counts are estimated from a sample.
    """

    total: int
    approximate: bool
    counts: dict[Facet, list[FacetCount]]


def id_prefix(word: str) -> str | None:
    """`word` in lower case when it may be a prefix of an application's id, else None."""
    lowered = word.lower()
    return lowered if _ID_PREFIX.fullmatch(lowered) else None


def order_key(order: Order) -> str:
    """The member of a found application that `order` sorts by."""
    name = order.removeprefix("-")
    return "submitted_at" if name == "age" else name


def month_after(month: date) -> date:
    """The first day of the month after `month`."""
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def trace_id(traceparent: str | None) -> str | None:
    """The trace id in a W3C traceparent; None without one."""
    parts = (traceparent or "").split("-")
    return parts[1] if len(parts) == 4 else None
