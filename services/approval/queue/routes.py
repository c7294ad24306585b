"""HTTP in and out of the queue."""

from typing import Annotated

from fastapi import Depends, Query, Request

from services.approval.queue.backlog import Backlog
from services.approval.queue.schemas import (
    QueueFilters,
    QueuePage,
    QueueParameters,
    QueueSummary,
    UncoveredView,
)
from services.approval.queue.service import Queue
from services.chassis.web.identity import Caller, require
from services.chassis.web.input.body_limit import bounded_router
from services.chassis.web.paging import CursorsDep, Limit
from services.chassis.web.problems import BadRequest, Forbidden, Unauthenticated, Unprocessable, documented

_ALWAYS = (Unauthenticated, Forbidden, Unprocessable)

router = bounded_router(prefix="/queue", tags=["queue"])


def _queue(request: Request) -> Queue:
    queue: Queue = request.app.state.queue
    return queue


def _backlog(request: Request) -> Backlog:
    backlog: Backlog = request.app.state.backlog
    return backlog


QueueDep = Annotated[Queue, Depends(_queue)]
BacklogDep = Annotated[Backlog, Depends(_backlog)]
CanDecide = Annotated[Caller, Depends(require("applications:decide"))]


@router.get("", responses=documented(*_ALWAYS, BadRequest))
async def read_queue(
    caller: CanDecide,
    queue: QueueDep,
    cursors: CursorsDep,
    parameters: Annotated[QueueParameters, Query()],
) -> QueuePage:
    """List applications that wait for one of your stages, oldest first; without those you made or have decided on."""
    start = cursors.start(parameters.after)
    entries, more = await queue.page(caller, parameters.to_domain(), parameters.sort, start, parameters.limit)
    return QueuePage.of(entries, more, cursors)


@router.get("/summary", responses=documented(*_ALWAYS))
async def read_summary(
    caller: CanDecide, queue: QueueDep, filters: Annotated[QueueFilters, Query()]
) -> QueueSummary:
    """Count your queue by stage and band, with the ages of what waits."""
    return QueueSummary.of(await queue.summary(caller, filters.to_domain()))


@router.get("/without-band", responses=documented(*_ALWAYS))
async def read_uncovered(_: CanDecide, backlog: BacklogDep, limit: Limit = 50) -> list[UncoveredView]:
    """List waiting applications that no approval band covers, oldest first; no queue shows them."""
    return [UncoveredView.of(one) for one in await backlog.uncovered(limit)]
