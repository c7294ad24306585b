"""HTTP in and out of search."""

from typing import Annotated, Any

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
from services.search.audit.schemas import AuditTrail
from services.search.freshness import LAG_HEADER, VERIFIED_HEADER, Freshness
from services.search.schemas import ApplicationRecord, FoundPage, SearchParameters
from services.search.service import Search, Source

FRESH: dict[int | str, dict[str, Any]] = {
    200: {
        "headers": {
            LAG_HEADER: {
                "description": "Every change older than this many seconds is in the answer; missing until measured.",
                "schema": {"type": "number", "minimum": 0, "examples": [0.214]},
            },
            VERIFIED_HEADER: {
                "description": "When replica and lake were last found equal; missing until they were.",
                "schema": {"type": "string", "format": "date-time", "examples": ["2026-01-31T09:30:00Z"]},
            },
        }
    }
}
"""What an answer from the replica has more, for the API document."""
_ALWAYS = (Unauthenticated, Forbidden, Unprocessable, Unavailable)

router = bounded_router(prefix="/applications", tags=["applications"])
lake_router = bounded_router(prefix="/lake", tags=["applications"])


def _search(request: Request) -> Search:
    search: Search = request.app.state.search
    return search


def _freshness(request: Request) -> Freshness:
    freshness: Freshness = request.app.state.freshness
    return freshness


SearchDep = Annotated[Search, Depends(_search)]
FreshnessDep = Annotated[Freshness, Depends(_freshness)]
Parameters = Annotated[SearchParameters, Query()]
CanRead = Annotated[Caller, Depends(require("applications:read"))]
CanAudit = Annotated[Caller, Depends(require("audit:read"))]


@router.get("", responses={**FRESH, **documented(*_ALWAYS, BadRequest)})
async def find(  # noqa: PLR0917 - FastAPI passes by name
    caller: CanRead,
    search: SearchDep,
    cursors: CursorsDep,
    freshness: FreshnessDep,
    parameters: Parameters,
    response: Response,
) -> FoundPage:
    """Find submitted applications that you may see, in the replica, newest first unless you sort."""
    after = cursors.start(parameters.after)
    # Before the replica is read: what is measured later says nothing of these rows.
    response.headers.update(freshness.headers())
    found = await search.find(
        parameters.to_domain(),
        parameters.sort,
        after,
        parameters.limit,
        by=caller,
        facets=parameters.wanted_facets(),
    )
    return FoundPage.of(found, cursors)


@router.get("/{application_id}", responses={**FRESH, **documented(*_ALWAYS, NotFound)})
async def read(  # noqa: PLR0917 - FastAPI passes by name
    application_id: Identifier,
    caller: CanRead,
    search: SearchDep,
    freshness: FreshnessDep,
    response: Response,
    source: Source = Source.REPLICA,
) -> ApplicationRecord:
    """Read an application with all its parts, from the replica or directly from the lake."""
    if source is Source.REPLICA:
        response.headers.update(freshness.headers())
    record = ApplicationRecord.of(await search.record(application_id, source, by=caller))
    response.headers["ETag"] = etag(record.application.revision)
    return record


@lake_router.get("/applications/{application_id}", responses=documented(*_ALWAYS, NotFound))
async def read_from_lake(
    application_id: Identifier, caller: CanRead, search: SearchDep, response: Response
) -> ApplicationRecord:
    """Read an application with all its parts directly from the lake, where it is written."""
    record = ApplicationRecord.of(await search.record(application_id, Source.LAKE, by=caller))
    response.headers["ETag"] = etag(record.application.revision)
    return record


@router.get("/{application_id}/audit", responses=documented(*_ALWAYS, NotFound))
async def audit(application_id: Identifier, caller: CanAudit, search: SearchDep) -> AuditTrail:
    """Read the history of an application: its changes in order, before and after, with actor, role, time and trace."""
    return AuditTrail.of(await search.history(application_id, by=caller))
