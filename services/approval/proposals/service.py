"""The use cases that proposals of every kind have in common: confirm, reject, withdraw."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import date, datetime, time
from typing import Generic, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from services.approval.cases import Clock, utc_now
from services.approval.proposals.domain import NotWaiting, Proposal, SettlementRefused, day_faults
from services.approval.proposals.errors import (
    DayOver,
    ProposalBusy,
    ProposalNotFound,
    ProposalRefused,
    ProposalSettled,
    SecondPersonNeeded,
)
from services.chassis.web.identity import Caller
from services.lake.database import Lake, LakeReader, LakeTransaction
from services.lake.errors import StaleRevision

LOCK_WAIT_SECONDS = 5

P = TypeVar("P", bound=Proposal)


class TwoPeople(ABC, Generic[P]):
    """Proposals of one kind in one lake."""

    def __init__(self, lake: Lake, zone: ZoneInfo, now: Clock = utc_now) -> None:
        """`zone`: of the business's calendar; `now`: the clock of days and proposals."""
        self._lake = lake
        self._zone = zone
        self._now = now

    @abstractmethod
    async def find(self, reader: LakeReader, proposal_id: UUID) -> P | None:
        """Read a proposal."""

    @abstractmethod
    def lock_name(self, proposal: P) -> str:
        """The lock that orders everything about what the proposal changes."""

    @abstractmethod
    async def settle(self, tx: LakeTransaction, settled: P) -> bool:
        """Write what became of a proposal; False when it does not wait any more."""

    @abstractmethod
    async def change(self, tx: LakeTransaction, confirmed: P, at: datetime) -> None:
        """Make the change; raises a problem when it cannot be made any more."""

    async def confirm(self, proposal_id: UUID, *, expected: int, by: Caller) -> None:
        """Confirm another person's proposal, which makes the change.

        Raises ProposalNotFound, StaleRevision, ProposalSettled, SecondPersonNeeded, DayOver, DayTaken, ProposalBusy.
        """
        now = self._now()
        async with self._settling(proposal_id, expected, by) as (tx, waiting):
            confirmed = _settled(lambda: waiting.confirmed(by.id, now))
            for fault in day_faults(confirmed.valid_from, self.day_of(now)):
                raise DayOver(f"{confirmed.valid_from} {fault}; reject it, and have it proposed again.")
            await self._write(tx, confirmed, expected)
            await self.change(tx, confirmed, now)

    async def reject(self, proposal_id: UUID, comment: str, *, expected: int, by: Caller) -> None:
        """Reject another person's proposal; raises as `confirm`, but for its day."""
        now = self._now()
        async with self._settling(proposal_id, expected, by) as (tx, waiting):
            await self._write(tx, _settled(lambda: waiting.rejected(by.id, comment, now)), expected)

    async def withdraw(self, proposal_id: UUID, *, expected: int, by: Caller) -> None:
        """Withdraw the caller's own proposal; raises as `reject`."""
        now = self._now()
        async with self._settling(proposal_id, expected, by) as (tx, waiting):
            await self._write(tx, _settled(lambda: waiting.withdrawn(by.id, now)), expected)

    async def found(self, reader: LakeReader, proposal_id: UUID) -> P:
        """Read a proposal; raises ProposalNotFound."""
        proposal = await self.find(reader, proposal_id)
        if proposal is None:
            raise ProposalNotFound(proposal_id)
        return proposal

    async def lock(self, tx: LakeTransaction, name: str) -> None:
        """Take a lock until the transaction ends; raises ProposalBusy."""
        if not await tx.try_lock(name, LOCK_WAIT_SECONDS):
            raise ProposalBusy

    def check_day(self, valid_from: date, now: datetime) -> None:
        """Check the first day of a new proposal; raises ProposalRefused."""
        for fault in day_faults(valid_from, self.day_of(now)):
            raise ProposalRefused("/body/valid_from", fault)

    def day_of(self, instant: datetime) -> date:
        """The business day of an instant."""
        return instant.astimezone(self._zone).date()

    def start_of(self, day: date) -> datetime:
        """The instant at which a business day starts."""
        return datetime.combine(day, time(), self._zone)

    @asynccontextmanager
    async def _settling(
        self, proposal_id: UUID, expected: int, by: Caller
    ) -> AsyncIterator[tuple[LakeTransaction, P]]:
        async with self._lake.transaction(actor=str(by.id)) as tx:
            await self.lock(tx, self.lock_name(await self.found(tx, proposal_id)))
            # Again, after the lock: somebody may have settled it meanwhile.
            waiting = await self.found(tx, proposal_id)
            if waiting.revision != expected:
                raise StaleRevision(expected)
            yield tx, waiting

    async def _write(self, tx: LakeTransaction, settled: P, expected: int) -> None:
        if not await self.settle(tx, settled):
            raise StaleRevision(expected)


def _settled(end: Callable[[], P]) -> P:
    try:
        return end()
    except NotWaiting as reason:
        raise ProposalSettled(str(reason)) from None
    except SettlementRefused as reason:
        raise SecondPersonNeeded(str(reason)) from None
