"""The search filters."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from services.lake.domain.states import State

MOST_WORDS = 8
_ID_PREFIX = re.compile(r"[0-9a-f][0-9a-f-]{3,35}")


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters of a search; None and empty mean no filter. Times are aware, bounds inclusive."""

    words: tuple[str, ...] = ()
    states: tuple[State, ...] = ()
    product_code: str | None = None
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


def id_prefix(word: str) -> str | None:
    """`word` in lower case when it may be a prefix of an application's id, else None."""
    lowered = word.lower()
    return lowered if _ID_PREFIX.fullmatch(lowered) else None


def trace_id(traceparent: str | None) -> str | None:
    """The trace id in a W3C traceparent; None without one."""
    parts = (traceparent or "").split("-")
    return parts[1] if len(parts) == 4 else None
