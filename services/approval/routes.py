"""HTTP in and out of approval."""

from typing import Annotated

from fastapi import Depends, Request, Response

from services.approval.cases import Wanted
from services.approval.reasons import REASONS
from services.approval.schemas import (
    ApplicationRecord,
    BandView,
    DecidedView,
    DecisionsView,
    LoanView,
    NewBooking,
    NewDecision,
    NewDecisions,
    ReasonView,
)
from services.approval.service import Approval
from services.chassis.web.identity import Caller, require
from services.chassis.web.input.body_limit import LARGEST_BODY_BYTES, accepts_body, bounded_router
from services.chassis.web.input.strict import Identifier
from services.chassis.web.preconditions import ExpectedRevision, etag
from services.chassis.web.problems import (
    BadRequest,
    Conflict,
    Forbidden,
    NotFound,
    PreconditionFailed,
    PreconditionRequired,
    Problem,
    Unauthenticated,
    Unavailable,
    Unprocessable,
    documented,
    problem_details,
)
from services.lake.domain.states import State

_ALWAYS = (Unauthenticated, Forbidden, Unprocessable)
_CHANGING = (*_ALWAYS, BadRequest, NotFound, Conflict, PreconditionFailed, PreconditionRequired, Unavailable)

router = bounded_router()


def _approval(request: Request) -> Approval:
    approval: Approval = request.app.state.approval
    return approval


ApprovalDep = Annotated[Approval, Depends(_approval)]
CanRead = Annotated[Caller, Depends(require("applications:read"))]
CanDecide = Annotated[Caller, Depends(require("applications:decide"))]
CanBook = Annotated[Caller, Depends(require("applications:book"))]


@router.get("/bands", tags=["bands"], responses=documented(Unauthenticated, Forbidden))
async def read_bands(_: CanRead, approval: ApprovalDep) -> list[BandView]:
    """List the amount bands that count now or will, and the stages that each requires."""
    return [BandView.of(band) for band in await approval.bands()]


@router.get("/reason-codes", tags=["decisions"], responses=documented(Unauthenticated, Forbidden))
async def read_reasons(_: CanRead) -> list[ReasonView]:
    """List the reasons of rejections and returns, with labels in English, Vietnamese and Portuguese."""
    return [ReasonView.of(one) for one in REASONS.values()]


@router.post(
    "/decisions",
    status_code=207,
    response_model_exclude_none=True,
    tags=["decisions"],
    responses=documented(*_ALWAYS, BadRequest),
)
@accepts_body(LARGEST_BODY_BYTES)
async def decide_several(body: NewDecisions, caller: CanDecide, approval: ApprovalDep) -> DecisionsView:
    """Decide on up to 50 applications, each by its own revision and in its own transaction.

    The answers have the order of the request. An application that was refused has the problem that its decision alone
    would have had; the others are decided all the same.
    """
    wanted = [Wanted(one.application_id, one.revision, one.to_domain()) for one in body.decisions]
    answers = await approval.decide_several(wanted, by=caller)
    return DecisionsView.of([_answer(one, given) for one, given in zip(wanted, answers, strict=True)])


@router.get("/applications/{application_id}", tags=["applications"], responses=documented(*_ALWAYS, NotFound))
async def read(
    application_id: Identifier, caller: CanRead, approval: ApprovalDep, response: Response
) -> ApplicationRecord:
    """Read everything that a decision needs. Send the ETag as If-Match with the decision. It renews your claim."""
    return await _record(approval, application_id, caller, response)


@router.post(
    "/applications/{application_id}/decisions", tags=["applications"], responses=documented(*_CHANGING)
)
async def decide(  # noqa: PLR0917 - FastAPI passes by name
    application_id: Identifier,
    body: NewDecision,
    caller: CanDecide,
    expected: ExpectedRevision,
    approval: ApprovalDep,
    response: Response,
) -> ApplicationRecord:
    """Decide on the current version for the stage that is due; returns the updated record.

    An approved application can be returned too, until it is booked. 409 with the `reason` `parties_changed` names the
    parties and fields that changed since the submission: return the application, and its maker submits it again. 409
    with `claimed_by` and `claimed_until` says that another person works on it.
    """
    await approval.decide(application_id, body.to_domain(), expected=expected, by=caller)
    return await _record(approval, application_id, caller, response)


@router.post(
    "/applications/{application_id}/booking", tags=["applications"], responses=documented(*_CHANGING)
)
@accepts_body(1024)
async def book(  # noqa: PLR0917 - FastAPI passes by name
    application_id: Identifier,
    caller: CanBook,
    expected: ExpectedRevision,
    approval: ApprovalDep,
    response: Response,
    body: NewBooking | None = None,
) -> LoanView:
    """Book the approved application as a loan, disbursed on its value date, with its repayment schedule.

    409 with the `reason` `parties_changed`: as for a decision.
    """
    wanted = body.value_date if body is not None else None
    booking = await approval.book(application_id, wanted, expected=expected, by=caller)
    response.headers["ETag"] = etag(booking.revision)
    return LoanView.of(booking)


async def _record(
    approval: Approval, application_id: Identifier, caller: Caller, response: Response
) -> ApplicationRecord:
    record = await approval.record(application_id, by=caller)
    response.headers["ETag"] = etag(record.row["revision"])
    return ApplicationRecord.of(record)


def _answer(wanted: Wanted, given: State | Problem) -> DecidedView:
    if isinstance(given, Problem):
        path = f"/applications/{wanted.application_id}/decisions"
        return DecidedView(
            application_id=wanted.application_id,
            status=given.status,
            problem=problem_details(given, path),
        )
    return DecidedView(
        application_id=wanted.application_id, status=200, state=given, revision=wanted.revision + 1
    )
