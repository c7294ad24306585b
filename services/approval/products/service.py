"""The use cases of products' parameters: propose, read; settling is as for every proposal."""

from dataclasses import asdict, dataclass
from datetime import date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from uuid_utils.compat import uuid7

from services.approval.cases import Clock, utc_now
from services.approval.products.domain import Parameters, ProductProposal
from services.approval.products.repository import ProductRepository
from services.approval.proposals.domain import ProposalState
from services.approval.proposals.errors import DayTaken, ProposalRefused, ProposedAlready
from services.approval.proposals.service import TwoPeople
from services.chassis.web.identity import Caller
from services.chassis.web.paging import Cursor
from services.lake.database import Lake, LakeReader, LakeTransaction


@dataclass(frozen=True, slots=True)
class Wish:
    """Requested parameters of a product from a day on."""

    product_code: str
    valid_from: date
    parameters: Parameters
    reason: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A proposal, and the parameters that are valid on its first day."""

    proposal: ProductProposal
    replaces: Parameters | None


class Products(TwoPeople[ProductProposal]):
    """The proposals of products' parameters in one lake."""

    def __init__(
        self, lake: Lake, repository: ProductRepository, zone: ZoneInfo, now: Clock = utc_now
    ) -> None:
        """As `TwoPeople`, with the SQL of these proposals."""
        super().__init__(lake, zone, now)
        self._repository = repository

    async def propose(self, wish: Wish, *, by: Caller) -> Shown:
        """Propose parameters, for another person to confirm.

        Raises ProposalRefused, ProposedAlready, DayTaken, ProposalBusy.
        """
        now = self._now()
        self.check_day(wish.valid_from, now)
        proposal = ProductProposal(
            id=uuid7(),
            product_code=wish.product_code,
            valid_from=wish.valid_from,
            **asdict(wish.parameters),
            reason=wish.reason,
            state=ProposalState.WAITING,
            revision=1,
            proposed_by=by.id,
            proposed_at=now,
        )
        async with self._lake.transaction(actor=str(by.id)) as tx:
            await self.lock(tx, self.lock_name(proposal))
            if not await self._repository.has_product(tx, wish.product_code):
                raise ProposalRefused("/body/product_code", "there is no such product")
            if waiting := await self._repository.waiting(tx, wish.product_code, wish.valid_from):
                raise ProposedAlready(waiting)
            replaces = await self._replaced(tx, proposal)
            await self._repository.add(tx, proposal)
        return Shown(proposal, replaces)

    async def page(
        self, after: Cursor | None, limit: int, *, state: ProposalState | None, product_code: str | None
    ) -> list[ProductProposal]:
        """At most `limit` proposals, oldest first, from `after` on."""
        async with self._lake.reading() as reader:
            return await self._repository.proposals(reader, state, product_code, after, limit)

    async def proposal(self, proposal_id: UUID) -> Shown:
        """The proposal; raises ProposalNotFound."""
        async with self._lake.reading() as reader:
            proposal = await self.found(reader, proposal_id)
            valid = await self._repository.parameters(reader, proposal.product_code, proposal.valid_from)
        return Shown(proposal, None if valid is None else valid[1])

    async def find(self, reader: LakeReader, proposal_id: UUID) -> ProductProposal | None:
        """Read a proposal."""
        return await self._repository.proposal(reader, proposal_id)

    def lock_name(self, proposal: ProductProposal) -> str:
        """The product's."""
        return f"product:{proposal.product_code}"

    async def settle(self, tx: LakeTransaction, settled: ProductProposal) -> bool:
        """Write what became of a proposal."""
        return await self._repository.settle(tx, settled)

    async def change(self, tx: LakeTransaction, confirmed: ProductProposal, at: datetime) -> None:
        """Add the parameters; raises DayTaken."""
        await self._replaced(tx, confirmed)
        await self._repository.add_parameters(tx, confirmed, at)

    async def _replaced(self, reader: LakeReader, proposal: ProductProposal) -> Parameters | None:
        product_code, valid_from = proposal.product_code, proposal.valid_from
        valid = await self._repository.parameters(reader, product_code, valid_from)
        if valid is None:
            return None
        since, parameters = valid
        if since == valid_from:
            raise DayTaken(f"Product {product_code} has parameters from {valid_from} on; choose another day.")
        return parameters
