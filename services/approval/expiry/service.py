"""The use case of expiry: end every application that waits for too long, each in a transaction of its own."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from uuid_utils.compat import uuid7

from services.approval.cases import Clock, utc_now
from services.approval.domain import Event
from services.approval.expiry.repository import ExpiryRepository
from services.approval.repository import ApprovalRepository
from services.chassis.web.paging import Cursor
from services.lake.database import Lake
from services.lake.domain.roles import SYSTEM_ACTOR
from services.lake.domain.states import Action, State, after
from services.lake.metrics import APPLICATIONS

PROCESS = "approval-expiry"
"""The actor of the journal's rows."""
ROLE = "system"
PAGE = 500
"""Applications of one read."""


@dataclass(slots=True)
class Expired:
    """What a run did: applications by the state that they waited in."""

    found: Counter[str] = field(default_factory=Counter)
    expired: Counter[str] = field(default_factory=Counter)

    @property
    def changed(self) -> int:
        """How many somebody moved on while they were being expired."""
        return self.found.total() - self.expired.total()


class Expiry:
    """Expiry over one lake."""

    def __init__(
        self, lake: Lake, cases: ApprovalRepository, repository: ExpiryRepository, now: Clock = utc_now
    ) -> None:
        """`cases` writes applications and their events; `now` is the clock that ages go by."""
        self._lake = lake
        self._cases = cases
        self._repository = repository
        self._now = now

    async def expire(self, older_than: timedelta, *, dry_run: bool = False) -> Expired:
        """Expire the applications that nobody has moved on for `older_than`; a dry run only finds them.

        Of an expiry and a decision or booking at the same moment one succeeds: both name the revision that they saw.
        """
        now, done = self._now(), Expired()
        place: Cursor | None = None
        while True:
            async with self._lake.reading() as reader:
                rows = await self._repository.waiting(reader, now - older_than, now, place, PAGE)
            for row in rows:
                done.found[row["state"]] += 1
                if not dry_run and await self._end(row, now, older_than):
                    done.expired[row["state"]] += 1
            if len(rows) < PAGE:
                return done
            place = Cursor(rows[-1]["submitted_at"], rows[-1]["id"])

    async def _end(self, row: Mapping[str, Any], at: datetime, older_than: timedelta) -> bool:
        waited_in = State(row["state"])
        state = after(waited_in, Action.EXPIRE)
        async with self._lake.transaction(actor=PROCESS) as tx:
            if not await self._cases.move(tx, row["id"], row["revision"], state, row["decided_at"]):
                return False
            event = Event(
                id=uuid7(),
                application_id=row["id"],
                version=row["current_version"],
                from_state=waited_in,
                to_state=state,
                actor=SYSTEM_ACTOR,
                role=ROLE,
                reason_code=None,
                comment=f"Nothing happened for {older_than.days} days.",
                occurred_at=at,
            )
            await self._cases.add_events(tx, [event])
        APPLICATIONS.labels(state).inc()
        return True
