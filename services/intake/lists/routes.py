"""HTTP out of the lists."""

from typing import Annotated

from fastapi import Depends, Query, Request

from services.chassis.web.identity import Caller, require
from services.chassis.web.input.body_limit import bounded_router
from services.chassis.web.input.strict import FlagText
from services.chassis.web.paging import AfterText, CursorsDep, Limit
from services.chassis.web.problems import BadRequest, Forbidden, Unauthenticated, Unprocessable, documented
from services.intake.lists.domain import Filters
from services.intake.lists.schemas import SummaryPage
from services.intake.lists.service import Lists
from services.lake.domain.states import State

router = bounded_router(tags=["applications"])


def _lists(request: Request) -> Lists:
    lists: Lists = request.app.state.lists
    return lists


ListsDep = Annotated[Lists, Depends(_lists)]
CanRead = Annotated[Caller, Depends(require("applications:read"))]
InStates = Annotated[
    list[State], Query(max_length=len(State), description="Any of these states; give it once for each.")
]
Mine = Annotated[FlagText, Query(description="Whether to list only what you made.")]


@router.get("/applications", responses=documented(Unauthenticated, Forbidden, Unprocessable, BadRequest))
async def read_page(  # noqa: PLR0917 - FastAPI passes by name
    caller: CanRead,
    lists: ListsDep,
    cursors: CursorsDep,
    state: InStates = [],  # noqa: B006 - FastAPI copies it
    mine: Mine = False,
    after: AfterText | None = None,
    limit: Limit = 50,
) -> SummaryPage:
    """List the applications that you may see, the newest first; with `mine=true` your own, drafts included.

    Search finds submitted applications by words and terms.
    """
    filters = Filters(tuple(state), mine)
    found = await lists.applications(filters, cursors.start(after), limit + 1, by=caller)
    return SummaryPage.of(found, limit, cursors)
