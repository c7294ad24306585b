"""HTTP in and out of proposals."""

from typing import Annotated

from fastapi import Depends, Query, Request, Response

from services.chassis.web.identity import Caller, require
from services.chassis.web.input.body_limit import bounded_router
from services.chassis.web.input.strict import FlagText, Identifier
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
from services.intake.idempotency import IdempotentRequest
from services.intake.proposals.domain import Proposal, ProposalState
from services.intake.proposals.schemas import (
    ClassificationView,
    NewProposal,
    ProposalPage,
    ProposalView,
    Rejection,
)
from services.intake.proposals.service import Proposals
from services.intake.routes import IdempotencyKey, answered

_ALWAYS = (Unauthenticated, Forbidden, Unprocessable)
_SETTLING = documented(
    *(*_ALWAYS, BadRequest, NotFound, Conflict, PreconditionFailed, PreconditionRequired, Unavailable)
)

router = bounded_router(tags=["proposals"])


def _proposals(request: Request) -> Proposals:
    proposals: Proposals = request.app.state.proposals
    return proposals


ProposalsDep = Annotated[Proposals, Depends(_proposals)]
CanRead = Annotated[Caller, Depends(require("applications:read"))]
CanPropose = Annotated[Caller, Depends(require("loans:service", "loans:classify"))]
CanSettle = Annotated[Caller, Depends(require("loans:confirm"))]
InState = Annotated[ProposalState | None, Query(description="Only those in this state.")]


@router.post(
    "/loans/{loan_id}/proposals",
    status_code=201,
    response_model=ProposalView,
    responses=documented(*_ALWAYS, BadRequest, NotFound, Conflict),
)
async def propose(
    loan_id: Identifier, body: NewProposal, caller: CanPropose, proposals: ProposalsDep, key: IdempotencyKey
) -> Response:
    """Propose a write-off, recovery, reversal, disbursement or classification, for another person to confirm.

    Repeated with the same Idempotency-Key and body within 7 days, the proposal that the first request made is given as
    it is now (`Idempotency-Replayed: true`). 409 says why the loan does not take it, that nobody confirms such an
    amount, or that the first request is still being worked on.
    """
    request = IdempotentRequest.saying(key, f"proposal {loan_id} {body.model_dump_json()}")
    made = await proposals.propose(loan_id, body.to_domain(), by=caller, request=request)
    proposal = made.what
    headers = {"Location": f"/proposals/{proposal.id}", "ETag": etag(proposal.revision)}
    return answered(made, ProposalView.of(proposal), headers)


@router.get("/loans/{loan_id}/proposals", responses=documented(*_ALWAYS, BadRequest, NotFound))
async def read_of_loan(  # noqa: PLR0917 - FastAPI passes by name
    loan_id: Identifier,
    caller: CanRead,
    proposals: ProposalsDep,
    cursors: CursorsDep,
    state: InState = None,
    after: AfterText | None = None,
    limit: Limit = 50,
) -> ProposalPage:
    """List the proposals under a loan, oldest first."""
    start = cursors.start(after)
    found = await proposals.page(start, limit + 1, by=caller, state=state, loan_id=loan_id)
    return ProposalPage.of(found, limit, cursors)


@router.get("/loans/{loan_id}/classifications", responses=documented(*_ALWAYS, NotFound))
async def read_classifications(
    loan_id: Identifier, caller: CanRead, proposals: ProposalsDep
) -> list[ClassificationView]:
    """List a loan's classifications, past and current, in the order of recording."""
    return [ClassificationView.of(one) for one in await proposals.classifications(loan_id, by=caller)]


@router.get("/proposals", responses=documented(*_ALWAYS, BadRequest))
async def read_page(  # noqa: PLR0917 - FastAPI passes by name
    caller: CanRead,
    proposals: ProposalsDep,
    cursors: CursorsDep,
    state: InState = None,
    confirmable: Annotated[
        FlagText, Query(description="Whether to list only what waits for you: what you may confirm.")
    ] = False,
    after: AfterText | None = None,
    limit: Limit = 50,
) -> ProposalPage:
    """List the proposals under all loans, oldest first."""
    wanted = ProposalState.WAITING if confirmable and state is None else state
    found = await proposals.page(
        cursors.start(after), limit + 1, by=caller, state=wanted, confirmable=confirmable
    )
    return ProposalPage.of(found, limit, cursors)


@router.get("/proposals/{proposal_id}", responses=documented(*_ALWAYS, NotFound))
async def read(
    proposal_id: Identifier, caller: CanRead, proposals: ProposalsDep, response: Response
) -> ProposalView:
    """Read a proposal. Send the ETag as If-Match to settle it."""
    return _shown(await proposals.proposal(proposal_id, by=caller), response)


@router.post("/proposals/{proposal_id}/confirmation", responses=_SETTLING)
async def confirm(
    proposal_id: Identifier,
    caller: CanSettle,
    expected: ExpectedRevision,
    proposals: ProposalsDep,
    response: Response,
) -> ProposalView:
    """Confirm another person's proposal, which makes the change; needs a role of its band.

    A person who approved or booked the loan confirms neither a write-off nor a classification. 409 says that the
    proposal is settled already, or why the loan no longer allows it.
    """
    return _shown(await proposals.confirm(proposal_id, expected=expected, by=caller), response)


@router.post("/proposals/{proposal_id}/rejection", responses=_SETTLING)
async def reject(  # noqa: PLR0917 - FastAPI passes by name
    proposal_id: Identifier,
    body: Rejection,
    caller: CanSettle,
    expected: ExpectedRevision,
    proposals: ProposalsDep,
    response: Response,
) -> ProposalView:
    """Reject another person's proposal; needs a role of its band."""
    return _shown(await proposals.reject(proposal_id, body.comment, expected=expected, by=caller), response)


@router.post("/proposals/{proposal_id}/withdrawal", responses=_SETTLING)
async def withdraw(
    proposal_id: Identifier,
    caller: CanPropose,
    expected: ExpectedRevision,
    proposals: ProposalsDep,
    response: Response,
) -> ProposalView:
    """Withdraw your own proposal."""
    return _shown(await proposals.withdraw(proposal_id, expected=expected, by=caller), response)


def _shown(proposal: Proposal, response: Response) -> ProposalView:
    response.headers["ETag"] = etag(proposal.revision)
    return ProposalView.of(proposal)
