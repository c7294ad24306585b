"""HTTP in and out of products' proposals."""

from typing import Annotated

from fastapi import Depends, Query, Request, Response

from services.approval.products.schemas import (
    NewProductProposal,
    ProductCode,
    ProductProposalPage,
    ProductProposalRecord,
)
from services.approval.products.service import Products, Shown
from services.approval.proposals.domain import ProposalState
from services.approval.proposals.schemas import Rejection
from services.chassis.web.identity import Caller, require
from services.chassis.web.input.body_limit import bounded_router
from services.chassis.web.input.strict import Identifier
from services.chassis.web.paging import AfterText, CursorsDep, Limit
from services.chassis.web.preconditions import ExpectedRevision, etag
from services.chassis.web.problems import (
    BadRequest,
    Conflict,
    Forbidden,
    NotFound,
    PreconditionFailed,
    PreconditionRequired,
    Unauthenticated,
    Unavailable,
    Unprocessable,
    documented,
)

_ALWAYS = (Unauthenticated, Forbidden, Unprocessable)
_SETTLING = documented(
    *(*_ALWAYS, BadRequest, NotFound, Conflict, PreconditionFailed, PreconditionRequired, Unavailable)
)

router = bounded_router(prefix="/product-proposals", tags=["products"])


def _products(request: Request) -> Products:
    products: Products = request.app.state.products
    return products


ProductsDep = Annotated[Products, Depends(_products)]
CanRead = Annotated[Caller, Depends(require("applications:read"))]
CanPropose = Annotated[Caller, Depends(require("products:propose"))]
CanSettle = Annotated[Caller, Depends(require("products:confirm"))]


@router.post("", status_code=201, responses=documented(*_ALWAYS, Conflict, Unavailable))
async def propose(
    body: NewProductProposal, caller: CanPropose, products: ProductsDep, response: Response
) -> ProductProposalRecord:
    """Propose a product's interest rate and risk parameters from a later day on, for another person to confirm.

    409 names the proposal for the same product and day that waits already, so a request that is sent twice proposes
    once; or says that the product has parameters from this day on.
    """
    shown = await products.propose(body.to_domain(), by=caller)
    response.headers["Location"] = f"/product-proposals/{shown.proposal.id}"
    return _shown(shown, response)


@router.get("", responses=documented(*_ALWAYS, BadRequest))
async def read_page(  # noqa: PLR0917 - FastAPI passes by name
    _: CanRead,
    products: ProductsDep,
    cursors: CursorsDep,
    state: Annotated[ProposalState | None, Query(description="Only those in this state.")] = None,
    product: ProductCode | None = None,
    after: AfterText | None = None,
    limit: Limit = 50,
) -> ProductProposalPage:
    """List the proposals, oldest first."""
    found = await products.page(cursors.start(after), limit + 1, state=state, product_code=product)
    return ProductProposalPage.of(found, limit, cursors)


@router.get("/{proposal_id}", responses=documented(*_ALWAYS, NotFound))
async def read(
    proposal_id: Identifier, _: CanRead, products: ProductsDep, response: Response
) -> ProductProposalRecord:
    """Read a proposal and what it would replace. Send the ETag as If-Match to settle it."""
    return _shown(await products.proposal(proposal_id), response)


@router.post("/{proposal_id}/confirmation", responses=_SETTLING)
async def confirm(
    proposal_id: Identifier,
    caller: CanSettle,
    expected: ExpectedRevision,
    products: ProductsDep,
    response: Response,
) -> ProductProposalRecord:
    """Confirm another person's proposal: the product has these parameters from its day on.

    409 says that it is settled already, that its day has come, or that the product has other parameters from it on.
    """
    await products.confirm(proposal_id, expected=expected, by=caller)
    return _shown(await products.proposal(proposal_id), response)


@router.post("/{proposal_id}/rejection", responses=_SETTLING)
async def reject(  # noqa: PLR0917 - FastAPI passes by name
    proposal_id: Identifier,
    body: Rejection,
    caller: CanSettle,
    expected: ExpectedRevision,
    products: ProductsDep,
    response: Response,
) -> ProductProposalRecord:
    """Reject another person's proposal."""
    await products.reject(proposal_id, body.comment, expected=expected, by=caller)
    return _shown(await products.proposal(proposal_id), response)


@router.post("/{proposal_id}/withdrawal", responses=_SETTLING)
async def withdraw(
    proposal_id: Identifier,
    caller: CanPropose,
    expected: ExpectedRevision,
    products: ProductsDep,
    response: Response,
) -> ProductProposalRecord:
    """Withdraw your own proposal."""
    await products.withdraw(proposal_id, expected=expected, by=caller)
    return _shown(await products.proposal(proposal_id), response)


def _shown(shown: Shown, response: Response) -> ProductProposalRecord:
    response.headers["ETag"] = etag(shown.proposal.revision)
    return ProductProposalRecord.of(shown)
