"""Parameters and bodies of the lists' HTTP API."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import Self
from uuid import UUID

from pydantic import BaseModel

from services.chassis.web.paging import Cursor, Cursors
from services.intake.domain import Channel
from services.intake.lists.domain import Summary
from services.lake.domain.states import State


class SummaryView(BaseModel):
    """An application in a list; `has_draft` says that its terms are those of a draft that you can read."""

    id: UUID
    state: State
    version: int | None
    revision: int
    has_draft: bool
    product_code: str
    amount: Decimal
    currency: str
    term_months: int
    purpose: str
    channel: Channel
    score: int | None
    created_by: UUID
    created_at: datetime
    submitted_at: datetime | None
    decided_at: datetime | None

    @classmethod
    def of(cls, summary: Summary) -> Self:
        """Show `summary`."""
        own = asdict(summary)
        return cls(**own.pop("terms"), **own)


class SummaryPage(BaseModel):
    """A page of applications, the newest first; `next` is the next page's `after`, null on the last page."""

    items: list[SummaryView]
    next: str | None

    @classmethod
    def of(cls, found: Sequence[Summary], limit: int, cursors: Cursors) -> Self:
        """Show the first `limit` of `found`, which has one more where there is a next page."""
        page = found[:limit]
        more = Cursor(page[-1].created_at, page[-1].id) if len(found) > limit else None
        return cls(items=[SummaryView.of(one) for one in page], next=cursors.next(more))
