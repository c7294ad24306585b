"""All SQL of proposals of products' parameters."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from services.approval.products.domain import Parameters, ProductProposal
from services.approval.proposals.domain import ProposalState
from services.approval.proposals.repository import select_proposal, select_proposals, update_proposal
from services.chassis.web.paging import Cursor
from services.lake.database import LakeReader, LakeTransaction
from services.lake.parameters import parameters_on
from services.lake.tables import product, product_parameters, product_proposal

INSERT_PROPOSAL = sa.insert(product_proposal)
INSERT_PARAMETERS = sa.insert(product_parameters)


def select_product(product_code: str) -> sa.Select[Any]:
    """Read whether there is a product."""
    return sa.select(sa.func.count()).select_from(product).where(product.c.code == product_code)


def select_parameters(product_code: str, on: date) -> sa.Select[Any]:
    """Read a product's parameters that are valid on a day."""
    valid = parameters_on(on).c
    return sa.select(valid.valid_from, *(valid[name] for name in Parameters.__dataclass_fields__)).where(
        valid.product_code == product_code
    )


def select_waiting(product_code: str, valid_from: date) -> sa.Select[Any]:
    """Read the proposal for a product and a first day that waits, if there is one."""
    return sa.select(product_proposal.c.id).where(
        product_proposal.c.product_code == product_code,
        product_proposal.c.valid_from == valid_from,
        product_proposal.c.state == ProposalState.WAITING,
    )


def select_page(
    state: ProposalState | None, product_code: str | None, after: Cursor | None, limit: int
) -> sa.Select[Any]:
    """Read proposals, of all products or of one, oldest first."""
    query = select_proposals(product_proposal, ProductProposal, state, after, limit)
    return query if product_code is None else query.where(product_proposal.c.product_code == product_code)


class ProductRepository:
    """Reads and writes proposals and parameters, always in the caller's transaction."""

    async def has_product(self, reader: LakeReader, product_code: str) -> bool:
        """Whether there is such a product."""
        return bool(await reader.scalar(select_product(product_code)))

    async def parameters(
        self, reader: LakeReader, product_code: str, on: date
    ) -> tuple[date, Parameters] | None:
        """The parameters that are valid on a day, and since when; None when the product has none then."""
        row = (await reader.execute(select_parameters(product_code, on))).mappings().first()
        if row is None:
            return None
        values = dict(row)
        return values.pop("valid_from"), Parameters(**values)

    async def waiting(self, reader: LakeReader, product_code: str, valid_from: date) -> UUID | None:
        """The proposal for this product and day that waits."""
        found: UUID | None = await reader.scalar(select_waiting(product_code, valid_from))
        return found

    async def proposal(self, reader: LakeReader, proposal_id: UUID) -> ProductProposal | None:
        """The proposal, if there is one."""
        row = (
            (await reader.execute(select_proposal(product_proposal, ProductProposal, proposal_id)))
            .mappings()
            .first()
        )
        return None if row is None else _proposal(row)

    async def proposals(
        self,
        reader: LakeReader,
        state: ProposalState | None,
        product_code: str | None,
        after: Cursor | None,
        limit: int,
    ) -> list[ProductProposal]:
        """A page of proposals, oldest first."""
        rows = await reader.execute(select_page(state, product_code, after, limit))
        return [_proposal(row) for row in rows.mappings()]

    async def add(self, tx: LakeTransaction, new: ProductProposal) -> None:
        """Add a proposal."""
        await tx.execute(INSERT_PROPOSAL, asdict(new))

    async def settle(self, tx: LakeTransaction, settled: ProductProposal) -> bool:
        """Write what became of a proposal; False when it does not wait any more."""
        return (await tx.execute(update_proposal(product_proposal, settled))).rowcount == 1

    async def add_parameters(self, tx: LakeTransaction, confirmed: ProductProposal, at: datetime) -> None:
        """Add the parameters of a confirmed proposal."""
        await tx.execute(
            INSERT_PARAMETERS,
            {
                "product_code": confirmed.product_code,
                "valid_from": confirmed.valid_from,
                **asdict(confirmed.parameters),
                "created_at": at,
            },
        )


def _proposal(row: Any) -> ProductProposal:
    return ProductProposal(**{**row, "state": ProposalState(row["state"])})


def statements() -> Iterator[sa.Executable]:
    """Yield an example of every statement of proposals."""
    some = UUID(int=1)
    at = datetime.fromisoformat("2000-01-01T00:00:00Z")
    rate = Decimal("0.1")
    confirmed = ProductProposal(
        id=some,
        product_code="CODE",
        valid_from=at.date(),
        interest_rate=rate,
        probability_of_default=rate,
        loss_given_default=rate,
        credit_conversion_factor=rate,
        reason="reason",
        state=ProposalState.CONFIRMED,
        revision=2,
        proposed_by=some,
        proposed_at=at,
    )
    yield from (INSERT_PROPOSAL, INSERT_PARAMETERS)
    yield select_product("CODE")
    yield select_parameters("CODE", at.date())
    yield select_waiting("CODE", at.date())
    yield select_proposal(product_proposal, ProductProposal, some)
    yield select_page(None, None, None, 1)
    yield select_page(ProposalState.WAITING, "CODE", Cursor(at, some), 1)
    yield update_proposal(product_proposal, confirmed)
