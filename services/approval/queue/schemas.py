"""Bodies and parameters of the queue's HTTP API."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from services.approval.queue.backlog import Uncovered
from services.approval.queue.domain import Claimed, Filters, Order, Waiting
from services.approval.queue.service import QueueEntry
from services.approval.schemas import DecisionView, DifferenceView, StageName, View, changes_of
from services.chassis.web.input.strict import AmountOrZero, WholeText
from services.chassis.web.paging import AfterText, Cursor, Cursors, Limit
from services.lake.domain.states import State

LONGEST_HOURS = 10 * 366 * 24


class QueueFilters(BaseModel):
    """The filters of the queue and of its counts; missing ones set no filter, unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stage: Annotated[StageName | None, Field(description="One of your stages.")] = None
    product: Annotated[str | None, Field(pattern=r"^[A-Z0-9_-]{1,32}$")] = None
    amount_min: AmountOrZero | None = None
    amount_max: AmountOrZero | None = None
    older_than_hours: Annotated[
        WholeText | None,
        Field(
            ge=0, le=LONGEST_HOURS, description="Only those that were first submitted longer ago than this."
        ),
    ] = None
    claimed: Annotated[
        Claimed | None, Field(description="Only those that you, others or nobody claimed.")
    ] = None

    def to_domain(self) -> Filters:
        """The filters as the use case knows them."""
        return Filters(
            stage=self.stage,
            product_code=self.product,
            amount_min=self.amount_min,
            amount_max=self.amount_max,
            older_than_hours=self.older_than_hours,
            claimed=self.claimed,
        )


class QueueParameters(QueueFilters):
    """The parameters of a page of the queue."""

    sort: Annotated[
        Order,
        Field(
            description="`-` is descending: `-age` begins with the oldest. Amounts are compared as numbers, whatever "
            "their currency; an application without a score has the lowest."
        ),
    ] = Order.OLDEST
    after: AfterText | None = None
    limit: Limit = 50


class QueueItem(BaseModel):
    """An application that waits for `stage`; `changes` compare its version with the one before.

    `age_hours` counts from the first submission, `waiting_since` says since when it waits for this stage.
    """

    id: UUID
    state: State
    revision: int
    version: int
    product_code: str
    amount: Decimal
    currency: str
    term_months: int
    purpose: str
    score: int | None
    borrower: str | None
    submitted_at: datetime
    age_hours: float
    waiting_since: datetime
    band: str
    stage: str
    claimed_by: UUID | None
    claimed_until: datetime | None
    decisions: list[DecisionView]
    changes: list[DifferenceView]

    @classmethod
    def of(cls, entry: QueueEntry) -> Self:
        """Show `entry`."""
        row, current = entry.row, entry.current
        return cls(
            **row,
            product_code=current.product_code,
            amount=current.amount,
            currency=current.currency,
            term_months=current.term_months,
            purpose=current.purpose,
            score=current.score,
            borrower=_borrower(entry.parties),
            age_hours=entry.age_hours,
            waiting_since=entry.waiting_since,
            decisions=[DecisionView.model_validate(one) for one in entry.decisions],
            changes=changes_of(entry.changes),
        )


class QueuePage(BaseModel):
    """A page of the queue; `next` is the next page's `after`, null on the last page."""

    items: list[QueueItem]
    next: str | None

    @classmethod
    def of(cls, entries: Sequence[QueueEntry], more: Cursor | None, cursors: Cursors) -> Self:
        """Show a page of `entries`."""
        return cls(items=[QueueItem.of(one) for one in entries], next=cursors.next(more))


class WaitingView(View):
    """What waits for one stage of one band; ages in hours since the first submission.

    `claimed` of them are claimed by somebody.
    """

    stage: str
    band: str
    currency: str
    count: int
    claimed: int
    oldest_hours: float
    average_hours: float


class QueueSummary(BaseModel):
    """The counts of the queue; `count` is their sum."""

    count: int
    waiting: list[WaitingView]

    @classmethod
    def of(cls, waiting: Sequence[Waiting]) -> Self:
        """Show `waiting`."""
        return cls(
            count=sum(one.count for one in waiting),
            waiting=[WaitingView.model_validate(one) for one in waiting],
        )


class UncoveredView(View):
    """A waiting application that no approval band covers: nobody can decide on it."""

    id: UUID
    version: int
    product_code: str
    amount: Decimal
    currency: str
    submitted_at: datetime

    @classmethod
    def of(cls, uncovered: Uncovered) -> Self:
        """Show `uncovered`."""
        return cls.model_validate(uncovered)


def _borrower(parties: Sequence[Mapping[str, Any]]) -> str | None:
    return next((one["full_name"] for one in parties if one["role"] == "borrower"), None)
