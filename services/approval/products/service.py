"""The use cases of products' parameters: propose, confirm, reject, withdraw."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from uuid_utils.compat import uuid7

from services.approval.cases import Clock, utc_now
from services.approval.products.domain import (
    NotWaiting,
    Parameters,
    Proposal,
    ProposalState,
    SettlementRefused,
    day_faults,
)
from services.approval.products.errors import (
    DayOver,
    DayTaken,
    ProductBusy,
    ProductProposalNotFound,
    ProductProposalRefused,
    ProductProposalSettled,
    ProposedAlready,
    SecondPersonNeeded,
)
from services.approval.products.repository import ProductRepository
from services.chassis.web.identity import Caller
from services.chassis.web.paging import Cursor
from services.lake.database import Lake, LakeReader, LakeTransaction
from services.lake.errors import StaleRevision

LOCK_WAIT_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Wish:
    """Requested parameters of a product from a day on."""

    product_code: str
    valid_from: date
    parameters: Parameters
    reason: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A proposal, and the parameters that are valid on its first day without it."""

    proposal: Proposal
    replaces: Parameters | None


class Products:
    """The proposals of one lake."""

    def __init__(
        self, lake: Lake, repository: ProductRepository, zone: ZoneInfo, now: Clock = utc_now
    ) -> None:
        """`zone`: of the business's calendar; `now`: the clock of days and proposals."""
        self._lake = lake
        self._repository = repository
        self._zone = zone
        self._now = now

    async def propose(self, wish: Wish, *, by: Caller) -> Shown:
        """Propose parameters, for another person to confirm.

        Raises ProductProposalRefused, ProposedAlready, DayTaken, ProductBusy.
        """
        now = self._now()
        for fault in day_faults(wish.valid_from, self._day(now)):
            raise ProductProposalRefused("/body/valid_from", fault)
        async with self._lake.transaction(actor=str(by.id)) as tx:
            await self._lock(tx, wish.product_code)
            if not await self._repository.has_product(tx, wish.product_code):
                raise ProductProposalRefused("/body/product_code", "there is no such product")
            if waiting := await self._repository.waiting(tx, wish.product_code, wish.valid_from):
                raise ProposedAlready(waiting)
            replaces = await self._replaced(tx, wish.product_code, wish.valid_from)
            parameters = wish.parameters
            proposal = Proposal(
                id=uuid7(),
                product_code=wish.product_code,
                valid_from=wish.valid_from,
                interest_rate=parameters.interest_rate,
                probability_of_default=parameters.probability_of_default,
                loss_given_default=parameters.loss_given_default,
                credit_conversion_factor=parameters.credit_conversion_factor,
                reason=wish.reason,
                state=ProposalState.WAITING,
                revision=1,
                proposed_by=by.id,
                proposed_at=now,
            )
            await self._repository.add(tx, proposal)
        return Shown(proposal, replaces)

    async def page(
        self, after: Cursor | None, limit: int, *, state: ProposalState | None, product_code: str | None
    ) -> list[Proposal]:
        """At most `limit` proposals, oldest first, from `after` on."""
        async with self._lake.reading() as reader:
            return await self._repository.proposals(reader, state, product_code, after, limit)

    async def proposal(self, proposal_id: UUID) -> Shown:
        """The proposal; raises ProductProposalNotFound."""
        async with self._lake.reading() as reader:
            proposal = await self._found(reader, proposal_id)
            valid = await self._repository.parameters(reader, proposal.product_code, proposal.valid_from)
        return Shown(proposal, None if valid is None else valid[1])

    async def confirm(self, proposal_id: UUID, *, expected: int, by: Caller) -> Shown:
        """Confirm another person's proposal, which adds the parameters.

        Raises ProductProposalNotFound, StaleRevision, ProductProposalSettled, SecondPersonNeeded, DayOver, DayTaken,
        ProductBusy.
        """
        now = self._now()
        async with self._settling(proposal_id, expected, by) as (tx, waiting):
            confirmed = _settled(lambda: waiting.confirmed(by.id, now))
            for fault in day_faults(confirmed.valid_from, self._day(now)):
                raise DayOver(f"{confirmed.valid_from} {fault}; reject it, and have it proposed again.")
            replaces = await self._replaced(tx, confirmed.product_code, confirmed.valid_from)
            await self._write(tx, confirmed, expected)
            await self._repository.add_parameters(tx, confirmed, now)
        return Shown(confirmed, replaces)

    async def reject(self, proposal_id: UUID, comment: str, *, expected: int, by: Caller) -> Shown:
        """Reject another person's proposal; raises as `confirm`, but for its day."""
        return await self._refuse(
            proposal_id, expected, by, lambda waiting, now: waiting.rejected(by.id, comment, now)
        )

    async def withdraw(self, proposal_id: UUID, *, expected: int, by: Caller) -> Shown:
        """Withdraw the caller's own proposal; raises as `reject`."""
        return await self._refuse(
            proposal_id, expected, by, lambda waiting, now: waiting.withdrawn(by.id, now)
        )

    async def _refuse(
        self, proposal_id: UUID, expected: int, by: Caller, end: Callable[[Proposal, datetime], Proposal]
    ) -> Shown:
        async with self._settling(proposal_id, expected, by) as (tx, waiting):
            refused = _settled(lambda: end(waiting, self._now()))
            await self._write(tx, refused, expected)
            valid = await self._repository.parameters(tx, refused.product_code, refused.valid_from)
        return Shown(refused, None if valid is None else valid[1])

    @asynccontextmanager
    async def _settling(
        self, proposal_id: UUID, expected: int, by: Caller
    ) -> AsyncIterator[tuple[LakeTransaction, Proposal]]:
        async with self._lake.transaction(actor=str(by.id)) as tx:
            found = await self._found(tx, proposal_id)
            await self._lock(tx, found.product_code)
            # Again, after the lock: somebody may have settled it meanwhile.
            waiting = await self._found(tx, proposal_id)
            if waiting.revision != expected:
                raise StaleRevision(expected)
            yield tx, waiting

    async def _write(self, tx: LakeTransaction, settled: Proposal, expected: int) -> None:
        if not await self._repository.settle(tx, settled):
            raise StaleRevision(expected)

    async def _replaced(self, reader: LakeReader, product_code: str, valid_from: date) -> Parameters | None:
        valid = await self._repository.parameters(reader, product_code, valid_from)
        if valid is None:
            return None
        since, parameters = valid
        if since == valid_from:
            raise DayTaken(product_code, valid_from)
        return parameters

    async def _found(self, reader: LakeReader, proposal_id: UUID) -> Proposal:
        found = await self._repository.proposal(reader, proposal_id)
        if found is None:
            raise ProductProposalNotFound(proposal_id)
        return found

    async def _lock(self, tx: LakeTransaction, product_code: str) -> None:
        if not await tx.try_lock(f"product:{product_code}", LOCK_WAIT_SECONDS):
            raise ProductBusy

    def _day(self, now: datetime) -> date:
        return now.astimezone(self._zone).date()


def _settled(settle: Callable[[], Proposal]) -> Proposal:
    try:
        return settle()
    except NotWaiting as reason:
        raise ProductProposalSettled(str(reason)) from None
    except SettlementRefused as reason:
        raise SecondPersonNeeded(str(reason)) from None
