"""HTTP in and out of claims."""

from typing import Annotated

from fastapi import Depends, Request

from services.approval.claims.schemas import ClaimView, TakeOver
from services.approval.claims.service import Claims
from services.chassis.web.identity import Caller, require
from services.chassis.web.input.body_limit import bounded_router
from services.chassis.web.input.strict import Identifier
from services.chassis.web.problems import (
    Conflict,
    Forbidden,
    NotFound,
    Unauthenticated,
    Unavailable,
    Unprocessable,
    documented,
)

_ANSWERS = documented(Unauthenticated, Forbidden, Unprocessable, NotFound, Conflict, Unavailable)

router = bounded_router(prefix="/applications/{application_id}/claim", tags=["claims"])


def _claims(request: Request) -> Claims:
    claims: Claims = request.app.state.claims
    return claims


ClaimsDep = Annotated[Claims, Depends(_claims)]
CanDecide = Annotated[Caller, Depends(require("applications:decide"))]


@router.put("", responses=_ANSWERS)
async def claim(
    application_id: Identifier, caller: CanDecide, claims: ClaimsDep, body: TakeOver | None = None
) -> ClaimView:
    """Claim an application that waits for your decision, or renew your claim.

    Others who claim it or decide on it meanwhile get 409 with `claimed_by` and `claimed_until`. The claim ends with
    every change of the application. Senior officers and the committee take over another person's claim with a reason.
    """
    return ClaimView.of(await claims.claim(application_id, body.reason if body else None, by=caller))


@router.delete("", status_code=204, responses=_ANSWERS)
async def release(application_id: Identifier, caller: CanDecide, claims: ClaimsDep) -> None:
    """Release your claim; nothing happens where nobody has one."""
    await claims.release(application_id, by=caller)
