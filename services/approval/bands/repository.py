"""All SQL of proposals of bands."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
import sqlalchemy as sa

from services.approval.bands.domain import BandProposal, NewBand
from services.approval.proposals.domain import ProposalState
from services.approval.proposals.repository import select_proposal, select_proposals, update_proposal
from services.chassis.web.paging import Cursor
from services.lake.database import LakeReader, LakeTransaction
from services.lake.tables import approval_band, band_proposal

INSERT_PROPOSAL = sa.insert(band_proposal)
INSERT_BAND = sa.insert(approval_band)


def select_names() -> sa.Select[Any]:
    """Read the names of all bands, ended ones too."""
    return sa.select(approval_band.c.band).distinct()


def select_latest_start(currency: str) -> sa.Select[Any]:
    """Read since when the newest bands of a currency count."""
    return sa.select(sa.func.max(approval_band.c.counts_from)).where(approval_band.c.currency == currency)


def end_bands(currency: str, at: datetime) -> sa.Update:
    """End the bands of a currency that have no end yet."""
    return (
        sa.update(approval_band)
        .where(approval_band.c.currency == currency, approval_band.c.counts_until.is_(None))
        .values(counts_until=at)
    )


def select_waiting(currency: str) -> sa.Select[Any]:
    """Read the proposal for a currency that waits, if there is one."""
    return sa.select(band_proposal.c.id).where(
        band_proposal.c.currency == currency, band_proposal.c.state == ProposalState.WAITING
    )


class BandRepository:
    """Reads and writes proposals and bands, always in the caller's transaction."""

    async def names(self, reader: LakeReader) -> set[str]:
        """The names of all bands, ended ones too."""
        return set((await reader.execute(select_names())).scalars())

    async def latest_start(self, reader: LakeReader, currency: str) -> datetime | None:
        """Since when the newest bands of a currency count; None where they count without limit."""
        found: datetime | None = await reader.scalar(select_latest_start(currency))
        return found

    async def waiting(self, reader: LakeReader, currency: str) -> UUID | None:
        """The proposal for this currency that waits."""
        found: UUID | None = await reader.scalar(select_waiting(currency))
        return found

    async def proposal(self, reader: LakeReader, proposal_id: UUID) -> BandProposal | None:
        """The proposal, if there is one."""
        row = (
            (await reader.execute(select_proposal(band_proposal, BandProposal, proposal_id)))
            .mappings()
            .first()
        )
        return None if row is None else _proposal(row)

    async def proposals(
        self, reader: LakeReader, state: ProposalState | None, after: Cursor | None, limit: int
    ) -> list[BandProposal]:
        """A page of proposals, oldest first."""
        rows = await reader.execute(select_proposals(band_proposal, BandProposal, state, after, limit))
        return [_proposal(row) for row in rows.mappings()]

    async def add(self, tx: LakeTransaction, new: BandProposal) -> None:
        """Add a proposal."""
        bands = orjson.dumps([asdict(one) for one in new.bands], default=str).decode()
        values = {name: getattr(new, name) for name in BandProposal.__dataclass_fields__}
        await tx.execute(INSERT_PROPOSAL, {**values, "bands": bands})

    async def settle(self, tx: LakeTransaction, settled: BandProposal) -> bool:
        """Write what became of a proposal; False when it does not wait any more."""
        return (await tx.execute(update_proposal(band_proposal, settled))).rowcount == 1

    async def replace_bands(
        self, tx: LakeTransaction, currency: str, bands: Sequence[NewBand], since: datetime
    ) -> None:
        """End the bands of a currency at `since`, from when the new ones count."""
        await tx.execute(end_bands(currency, since))
        rows = [
            {
                "band": band.name,
                "stage_order": order,
                "stage": stage,
                "currency": currency,
                "amount_from": band.amount_from,
                "amount_below": band.amount_below,
                "counts_from": since,
                "counts_until": None,
            }
            for band in bands
            for order, stage in enumerate(band.stages, start=1)
        ]
        await tx.execute(INSERT_BAND, rows)


def _proposal(row: Any) -> BandProposal:
    bands = tuple(
        NewBand(
            one["name"],
            Decimal(one["amount_from"]),
            None if one["amount_below"] is None else Decimal(one["amount_below"]),
            tuple(one["stages"]),
        )
        for one in orjson.loads(row["bands"])
    )
    return BandProposal(**{**row, "state": ProposalState(row["state"]), "bands": bands})


def statements() -> Iterator[sa.Executable]:
    """Yield an example of every statement of proposals of bands."""
    some = UUID(int=1)
    at = datetime.fromisoformat("2000-01-01T00:00:00Z")
    confirmed = BandProposal(
        id=some,
        currency="EUR",
        valid_from=at.date(),
        bands=(),
        reason="reason",
        state=ProposalState.CONFIRMED,
        revision=2,
        proposed_by=some,
        proposed_at=at,
    )
    yield from (INSERT_PROPOSAL, INSERT_BAND)
    yield select_names()
    yield select_latest_start("EUR")
    yield end_bands("EUR", at)
    yield select_waiting("EUR")
    yield select_proposal(band_proposal, BandProposal, some)
    yield select_proposals(band_proposal, BandProposal, None, None, 1)
    yield select_proposals(band_proposal, BandProposal, ProposalState.WAITING, Cursor(at, some), 1)
    yield update_proposal(band_proposal, confirmed)
