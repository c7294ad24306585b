"""The use cases of approval bands: propose, read; settling is as for every proposal."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from uuid_utils.compat import uuid7

from services.approval.bands.domain import BandProposal, NewBand, band_faults
from services.approval.bands.errors import BandsOutdated, BandsRefused
from services.approval.bands.repository import BandRepository
from services.approval.cases import Clock, utc_now
from services.approval.proposals.domain import ProposalState
from services.approval.proposals.errors import DayTaken, ProposedAlready
from services.approval.proposals.service import TwoPeople
from services.chassis.web.identity import Caller
from services.chassis.web.paging import Cursor
from services.lake.database import Lake, LakeReader, LakeTransaction


@dataclass(frozen=True, slots=True)
class Wish:
    """Requested bands of a currency from a day on."""

    currency: str
    valid_from: date
    bands: Sequence[NewBand]
    reason: str


class Bands(TwoPeople[BandProposal]):
    """The proposals of bands in one lake."""

    def __init__(self, lake: Lake, repository: BandRepository, zone: ZoneInfo, now: Clock = utc_now) -> None:
        """As `TwoPeople`, with the SQL of these proposals."""
        super().__init__(lake, zone, now)
        self._repository = repository

    async def propose(self, wish: Wish, *, by: Caller) -> BandProposal:
        """Propose bands, for another person to confirm.

        Raises ProposalRefused, BandsRefused, ProposedAlready, DayTaken, ProposalBusy.
        """
        now = self._now()
        self.check_day(wish.valid_from, now)
        proposal = BandProposal(
            id=uuid7(),
            currency=wish.currency,
            valid_from=wish.valid_from,
            bands=tuple(wish.bands),
            reason=wish.reason,
            state=ProposalState.WAITING,
            revision=1,
            proposed_by=by.id,
            proposed_at=now,
        )
        async with self._lake.transaction(actor=str(by.id)) as tx:
            await self.lock(tx, self.lock_name(proposal))
            if waiting := await self._repository.waiting(tx, wish.currency):
                raise ProposedAlready(waiting)
            if faults := await self._faults(tx, proposal):
                raise BandsRefused(faults)
            await self._repository.add(tx, proposal)
        return proposal

    async def page(
        self, after: Cursor | None, limit: int, *, state: ProposalState | None
    ) -> list[BandProposal]:
        """At most `limit` proposals, oldest first, from `after` on."""
        async with self._lake.reading() as reader:
            return await self._repository.proposals(reader, state, after, limit)

    async def proposal(self, proposal_id: UUID) -> BandProposal:
        """The proposal; raises ProposalNotFound."""
        async with self._lake.reading() as reader:
            return await self.found(reader, proposal_id)

    async def find(self, reader: LakeReader, proposal_id: UUID) -> BandProposal | None:
        """Read a proposal."""
        return await self._repository.proposal(reader, proposal_id)

    def lock_name(self, proposal: BandProposal) -> str:
        """One for all bands: their names are unique over all currencies."""
        del proposal
        return "approval bands"

    async def settle(self, tx: LakeTransaction, settled: BandProposal) -> bool:
        """Write what became of a proposal."""
        return await self._repository.settle(tx, settled)

    async def change(self, tx: LakeTransaction, confirmed: BandProposal, at: datetime) -> None:
        """End the bands of the currency on the day, and add the new ones; raises DayTaken, BandsOutdated."""
        del at
        if faults := await self._faults(tx, confirmed):
            raise BandsOutdated("; ".join(f"{pointer} {detail}" for pointer, detail in faults))
        since = self.start_of(confirmed.valid_from)
        await self._repository.replace_bands(tx, confirmed.currency, confirmed.bands, since)

    async def _faults(self, reader: LakeReader, proposal: BandProposal) -> list[tuple[str, str]]:
        newest = await self._repository.latest_start(reader, proposal.currency)
        if newest is not None and newest >= self.start_of(proposal.valid_from):
            raise DayTaken(
                f"Bands of {proposal.currency} change on {self.day_of(newest)} already; choose a later day."
            )
        known = await self._repository.names(reader)
        return list(band_faults(proposal.currency, proposal.bands, known))
