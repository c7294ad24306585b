"""The use cases of the queue: a page of it, and its counts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.approval.cases import Clock, utc_now
from services.approval.domain import Decision, Difference, Version, differences
from services.approval.errors import StageNotYours
from services.approval.queue.domain import Filters, Order, Waiting, hours
from services.approval.queue.errors import FiltersContradict
from services.approval.queue.repository import QueueRepository
from services.approval.repository import ApprovalRepository
from services.chassis.web.identity import Caller
from services.chassis.web.paging import Cursor
from services.lake.database import Lake


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """An application that waits for `stage`, what is already decided on its version, and what changed in it.

    It waits for this stage since `waiting_since`; its age is counted from its first submission.
    """

    row: Mapping[str, Any]
    current: Version
    parties: Sequence[Mapping[str, Any]]
    decisions: Sequence[Decision]
    changes: Sequence[Difference]
    waiting_since: datetime
    age_hours: float


class Queue:
    """The queue of each officer over one lake."""

    def __init__(
        self, lake: Lake, cases: ApprovalRepository, repository: QueueRepository, now: Clock = utc_now
    ) -> None:
        """`cases` reads the applications of a page; `now` is the clock that ages go by."""
        self._lake = lake
        self._cases = cases
        self._repository = repository
        self._now = now

    async def page(
        self, by: Caller, filters: Filters, order: Order, after: Cursor | None, limit: int
    ) -> tuple[list[QueueEntry], Cursor | None]:
        """A page of the caller's queue, and where the next page starts.

        Raises StageNotYours when the stage is not one of the caller's roles, and FiltersContradict.
        """
        _check(by, filters)
        now = self._now()
        async with self._lake.reading() as reader:
            rows = await self._repository.page(
                reader, by, filters, order, after=after, limit=limit + 1, now=now
            )
            page = rows[:limit]
            ids = [row["id"] for row in page]
            versions = await self._cases.versions(reader, ids) if ids else {}
            parties = await self._cases.parties(reader, ids) if ids else {}
            decisions = await self._cases.decisions(reader, ids) if ids else {}
        entries = []
        for row in page:
            # A version that was submitted after the first query appears at the next read of the queue.
            shown = [one for one in versions[row["id"]] if one.version <= row["version"]]
            made = [one for one in decisions[row["id"]] if one.version == row["version"]]
            entries.append(
                QueueEntry(
                    row=row,
                    current=shown[-1],
                    parties=parties[row["id"]],
                    decisions=made,
                    changes=differences(*shown[-2:]) if len(shown) > 1 else [],
                    waiting_since=max((one.decided_at for one in made), default=shown[-1].submitted_at),
                    age_hours=hours(row["submitted_at"], now),
                )
            )
        more = Cursor(page[-1]["place"], page[-1]["id"]) if len(rows) > limit else None
        return entries, more

    async def summary(self, by: Caller, filters: Filters) -> list[Waiting]:
        """Counts and ages of the caller's queue by stage and band; raises StageNotYours and FiltersContradict."""
        _check(by, filters)
        async with self._lake.reading() as reader:
            return await self._repository.summary(reader, by, filters, self._now())


def _check(by: Caller, filters: Filters) -> None:
    if filters.stage is not None and filters.stage not in by.roles:
        raise StageNotYours(f"You do not have the role {filters.stage}.")
    if faults := [{"pointer": f"/query/{name}", "detail": why} for name, why in filters.contradictions()]:
        raise FiltersContradict("Correct the parts named in errors.", errors=faults)
