"""HTTP in and out of proposals of bands."""

from typing import Annotated

from fastapi import Depends, Query, Request, Response

from services.approval.bands.domain import BandProposal
from services.approval.bands.schemas import BandProposalPage, BandProposalView, NewBandProposal
from services.approval.bands.service import Bands
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

router = bounded_router(prefix="/band-proposals", tags=["bands"])


def _bands(request: Request) -> Bands:
    bands: Bands = request.app.state.bands
    return bands


BandsDep = Annotated[Bands, Depends(_bands)]
CanRead = Annotated[Caller, Depends(require("applications:read"))]
CanPropose = Annotated[Caller, Depends(require("products:propose"))]
CanSettle = Annotated[Caller, Depends(require("products:confirm"))]


@router.post("", status_code=201, responses=documented(*_ALWAYS, Conflict, Unavailable))
async def propose(
    body: NewBandProposal, caller: CanPropose, bands: BandsDep, response: Response
) -> BandProposalView:
    """Propose all bands of a currency from a later day on, for another person to confirm.

    They cover every amount once. What was submitted before that day is decided by the bands of its own day. 409 names
    the proposal for this currency that waits already; or says that its bands change on this day or later.
    """
    proposal = await bands.propose(body.to_domain(), by=caller)
    response.headers["Location"] = f"/band-proposals/{proposal.id}"
    return _shown(proposal, response)


@router.get("", responses=documented(*_ALWAYS, BadRequest))
async def read_page(
    _: CanRead,
    bands: BandsDep,
    cursors: CursorsDep,
    state: Annotated[ProposalState | None, Query(description="Only those in this state.")] = None,
    after: AfterText | None = None,
    limit: Limit = 50,
) -> BandProposalPage:
    """List the proposals, oldest first."""
    found = await bands.page(cursors.start(after), limit + 1, state=state)
    return BandProposalPage.of(found, limit, cursors)


@router.get("/{proposal_id}", responses=documented(*_ALWAYS, NotFound))
async def read(proposal_id: Identifier, _: CanRead, bands: BandsDep, response: Response) -> BandProposalView:
    """Read a proposal. Send the ETag as If-Match to settle it."""
    return _shown(await bands.proposal(proposal_id), response)


@router.post("/{proposal_id}/confirmation", responses=_SETTLING)
async def confirm(
    proposal_id: Identifier,
    caller: CanSettle,
    expected: ExpectedRevision,
    bands: BandsDep,
    response: Response,
) -> BandProposalView:
    """Confirm another person's proposal: the currency's bands end on its day, and these follow.

    409 says that it is settled already, that its day has come, or that other bands follow on it or later.
    """
    await bands.confirm(proposal_id, expected=expected, by=caller)
    return _shown(await bands.proposal(proposal_id), response)


@router.post("/{proposal_id}/rejection", responses=_SETTLING)
async def reject(  # noqa: PLR0917 - FastAPI passes by name
    proposal_id: Identifier,
    body: Rejection,
    caller: CanSettle,
    expected: ExpectedRevision,
    bands: BandsDep,
    response: Response,
) -> BandProposalView:
    """Reject another person's proposal."""
    await bands.reject(proposal_id, body.comment, expected=expected, by=caller)
    return _shown(await bands.proposal(proposal_id), response)


@router.post("/{proposal_id}/withdrawal", responses=_SETTLING)
async def withdraw(
    proposal_id: Identifier,
    caller: CanPropose,
    expected: ExpectedRevision,
    bands: BandsDep,
    response: Response,
) -> BandProposalView:
    """Withdraw your own proposal."""
    await bands.withdraw(proposal_id, expected=expected, by=caller)
    return _shown(await bands.proposal(proposal_id), response)


def _shown(proposal: BandProposal, response: Response) -> BandProposalView:
    response.headers["ETag"] = etag(proposal.revision)
    return BandProposalView.of(proposal)
