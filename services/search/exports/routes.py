"""HTTP out of exports."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Depends, Query, Request, Response

from services.chassis.web.identity import Caller, require
from services.chassis.web.input.body_limit import bounded_router
from services.chassis.web.limits.rates import RouteClass, count
from services.chassis.web.output.streaming import StreamedFile
from services.chassis.web.problems import Forbidden, Unauthenticated, Unavailable, Unprocessable, documented
from services.search.exports.domain import Format
from services.search.exports.service import Exports, Wish
from services.search.freshness import Freshness
from services.search.schemas import ExportParameters

_PROBLEMS = documented(Unauthenticated, Forbidden, Unprocessable, Unavailable)

router = bounded_router(tags=["exports"])


def _exports(request: Request) -> Exports:
    exports: Exports = request.app.state.exports
    return exports


def _freshness(request: Request) -> Freshness:
    freshness: Freshness = request.app.state.freshness
    return freshness


ExportsDep = Annotated[Exports, Depends(_exports)]
FreshnessDep = Annotated[Freshness, Depends(_freshness)]
Parameters = Annotated[ExportParameters, Query()]
CanRead = Annotated[Caller, Depends(require("applications:read"))]


def _file(form: Format) -> dict[int | str, dict[str, Any]]:
    media_type = form.media_type.partition(";")[0]
    answer = {
        "description": "The file, as it is read. Without its last line it was cut.",
        "content": {media_type: {"schema": {"type": "string"}}},
        "headers": {
            "Content-Disposition": {"schema": {"type": "string"}, "description": "The name of the file."}
        },
    }
    return {200: answer, **_PROBLEMS}


@router.get("/applications.csv", response_class=Response, responses=_file(Format.CSV))
async def export_csv(
    request: Request, caller: CanRead, exports: ExportsDep, freshness: FreshnessDep, parameters: Parameters
) -> Response:
    """Export what a search finds as CSV, up to 1,000,000 rows, in UTF-8.

    The first line says what the rows are, the last one how many there are and whether that is all. Texts that a
    spreadsheet could take for a formula begin with an apostrophe. Personal data is masked; with the scope
    parties:export, a reason and a login of the last 15 minutes it is as clear as in single records. Every export is
    recorded.
    """
    return await _export(Format.CSV, request, caller, exports, freshness, parameters)


@router.get("/applications.ndjson", response_class=Response, responses=_file(Format.NDJSON))
async def export_ndjson(
    request: Request, caller: CanRead, exports: ExportsDep, freshness: FreshnessDep, parameters: Parameters
) -> Response:
    """Export what a search finds as one JSON object a line: `applications.csv` describes what is in it.

    The first line has `filters`, `as_of` and `by`, the last one `rows` and `complete`.
    """
    return await _export(Format.NDJSON, request, caller, exports, freshness, parameters)


async def _export(  # noqa: PLR0917 - the arguments of both routes
    form: Format,
    request: Request,
    caller: Caller,
    exports: Exports,
    freshness: Freshness,
    parameters: ExportParameters,
) -> Response:
    await count(request, RouteClass.EXPORT)
    headers, as_of = freshness.headers(), freshness.whole_until or datetime.now(UTC)
    given = tuple(pair for pair in request.query_params.multi_items() if pair[0] != "reason")
    wish = Wish(parameters.to_domain(), parameters.sort, form, given, parameters.reason)
    return StreamedFile(
        await exports.begin(wish, as_of, by=caller),
        headers=headers,
        media_type=form.media_type,
        file_name=f"applications-{as_of:%Y%m%dT%H%M%SZ}.{form.value}",
    )
