"""HTTP in and out of servicing."""

from typing import Annotated

from fastapi import Depends, Query, Request, Response

from services.chassis.web.identity import Caller, require
from services.chassis.web.input.body_limit import bounded_router
from services.chassis.web.input.strict import Identifier
from services.chassis.web.paging import Limit
from services.chassis.web.problems import (
    BadRequest,
    Conflict,
    Forbidden,
    NotFound,
    Unauthenticated,
    Unavailable,
    Unprocessable,
    documented,
)
from services.intake.idempotency import IdempotentRequest
from services.intake.routes import IdempotencyKey, answered
from services.intake.servicing.schemas import LoanPage, LoanView, NewTransaction, TransactionView
from services.intake.servicing.service import Servicing

_ALWAYS = (Unauthenticated, Forbidden, Unprocessable, NotFound)

router = bounded_router(prefix="/loans", tags=["loans"])


def _servicing(request: Request) -> Servicing:
    servicing: Servicing = request.app.state.servicing
    return servicing


ServicingDep = Annotated[Servicing, Depends(_servicing)]
After = Annotated[Identifier, Query(description="`next` of the page before; leave out for the first page.")]
CanRead = Annotated[Caller, Depends(require("applications:read"))]
CanService = Annotated[Caller, Depends(require("loans:service"))]


@router.get("", responses=documented(Unauthenticated, Forbidden, Unprocessable))
async def read_page(
    caller: CanRead, servicing: ServicingDep, after: After | None = None, limit: Limit = 50
) -> LoanPage:
    """List the loans, in an order that stays the same but means nothing."""
    return LoanPage.of(*await servicing.loans(after, limit, by=caller))


@router.get("/{loan_id}", responses=documented(*_ALWAYS))
async def read(loan_id: Identifier, caller: CanRead, servicing: ServicingDep) -> LoanView:
    """Read a loan with its schedule and all that was recorded under it, in the order of recording."""
    return LoanView.of(await servicing.loan(loan_id, by=caller))


@router.post(
    "/{loan_id}/transactions",
    status_code=201,
    response_model=TransactionView,
    responses=documented(*_ALWAYS, BadRequest, Conflict, Unavailable),
)
async def record(
    loan_id: Identifier,
    body: NewTransaction,
    caller: CanService,
    servicing: ServicingDep,
    key: IdempotencyKey,
) -> Response:
    """Record a payment. What else happens to a loan takes two people: see `POST /loans/{loan_id}/proposals`.

    Repeated with the same Idempotency-Key and body within 7 days, the payment that the first request recorded is given
    again (`Idempotency-Replayed: true`). 409 says in `reason` why the loan does not take it, or that the first request
    is still being worked on.
    """
    request = IdempotentRequest.saying(key, f"{loan_id} {body.model_dump_json()}")
    made = await servicing.record(loan_id, body.to_domain(), by=caller, request=request)
    return answered(made, TransactionView.of(made.what), {"Location": f"/loans/{loan_id}"})
