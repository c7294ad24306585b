"""HTTP out of rejected records."""

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, Request

from services.chassis.web.identity import Caller, recent_login, require
from services.chassis.web.input.body_limit import bounded_router
from services.chassis.web.input.strict import Identifier
from services.chassis.web.paging import AfterText, CursorsDep, Limit
from services.chassis.web.problems import (
    BadRequest,
    Forbidden,
    NotFound,
    Unauthenticated,
    Unavailable,
    Unprocessable,
    documented,
)
from services.intake.imports.domain import ImportKind
from services.intake.messages.schemas import RejectedRecordContent, RejectedRecordPage
from services.intake.messages.service import RejectedRecords

STEP_UP = timedelta(minutes=15)
"""The oldest login that may read what a record says, as for exports of personal data."""
_ALWAYS = (Unauthenticated, Forbidden, Unprocessable)

# Administrators read the audit trail, but no customer's data: auditors alone have both scopes.
router = bounded_router(prefix="/rejected-records", tags=["rejected records"])
router.dependencies += [Depends(require("audit:read")), Depends(require("parties:read"))]


def _rejected(request: Request) -> RejectedRecords:
    rejected: RejectedRecords = request.app.state.rejected_records
    return rejected


async def _wanted(
    sender: Annotated[Identifier | None, Query(description="Only those of this sender.")] = None,
    kind: Annotated[ImportKind | None, Query(description="Only those that should become this.")] = None,
) -> tuple[UUID | None, ImportKind | None]:
    return sender, kind


WantedDep = Annotated[tuple[UUID | None, ImportKind | None], Depends(_wanted)]
RejectedDep = Annotated[RejectedRecords, Depends(_rejected)]
Recent = Annotated[Caller, Depends(recent_login(STEP_UP))]


@router.get("", responses=documented(*_ALWAYS, BadRequest))
async def read_page(
    wanted: WantedDep,
    rejected: RejectedDep,
    cursors: CursorsDep,
    after: AfterText | None = None,
    limit: Limit = 50,
) -> RejectedRecordPage:
    """List the records of Kafka that were rejected in the last 30 days, the newest first, without what they say."""
    found = await rejected.page(*wanted, cursors.start(after), limit + 1)
    return RejectedRecordPage.of(found, limit, cursors)


@router.get("/{record_id}", responses=documented(*_ALWAYS, NotFound, Unavailable))
async def read(record_id: Identifier, caller: Recent, rejected: RejectedDep) -> RejectedRecordContent:
    """Read a rejected record with what it says, personal data included; your login is at most 15 minutes old.

    The log says who has read it.
    """
    return RejectedRecordContent.showing(*await rejected.one(record_id, by=caller))
