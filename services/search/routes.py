"""HTTP in and out of search."""

from typing import Annotated

from fastapi import Depends, Query, Request, Response

from services.chassis.web.identity import Caller, require
from services.chassis.web.input.body_limit import bounded_router
from services.chassis.web.input.strict import Identifier
from services.chassis.web.paging import CursorsDep
from services.chassis.web.preconditions import etag
from services.chassis.web.problems import (
    BadRequest,
    Forbidden,
    NotFound,
    Unauthenticated,
    Unavailable,
    Unprocessable,
    documented,
)
from services.search.schemas import ApplicationRecord, ChangeView, FoundPage, SearchParameters
from services.search.service import Search, Source

_ALWAYS = (Unauthenticated, Forbidden, Unprocessable, Unavailable)

router = bounded_router(prefix="/applications", tags=["applications"])


def _search(request: Request) -> Search:
    search: Search = request.app.state.search
    return search


SearchDep = Annotated[Search, Depends(_search)]
Parameters = Annotated[SearchParameters, Query()]
CanRead = Annotated[Caller, Depends(require("applications:read"))]
CanAudit = Annotated[Caller, Depends(require("audit:read"))]


@router.get("", responses=documented(*_ALWAYS, BadRequest))
async def find(caller: CanRead, search: SearchDep, cursors: CursorsDep, parameters: Parameters) -> FoundPage:
    """Find submitted applications that you may see, in the replica, newest first unless you sort."""
    after = cursors.start(parameters.after)
    found = await search.find(
        parameters.to_domain(),
        parameters.sort,
        after,
        parameters.limit,
        by=caller,
        facets=parameters.wanted_facets(),
    )
    return FoundPage.of(found, cursors)


@router.get("/{application_id}", responses=documented(*_ALWAYS, NotFound))
async def read(
    application_id: Identifier,
    caller: CanRead,
    search: SearchDep,
    response: Response,
    source: Source = Source.REPLICA,
) -> ApplicationRecord:
    """Read an application with all its parts, from the replica or directly from the lake."""
    record = ApplicationRecord.of(await search.record(application_id, source, by=caller))
    response.headers["ETag"] = etag(record.application.revision)
    return record


@router.get("/{application_id}/audit", responses=documented(*_ALWAYS, NotFound))
async def audit(application_id: Identifier, caller: CanAudit, search: SearchDep) -> list[ChangeView]:
    """Read the history of an application: its rows of the journal in order, with actor, time and trace."""
    return [ChangeView.of(change) for change in await search.history(application_id, by=caller)]
