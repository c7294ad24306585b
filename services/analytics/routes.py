"""HTTP in and out of analytics."""

from collections.abc import Awaitable, Callable, Hashable
from typing import Annotated, Any

from fastapi import Depends, Header, Query, Request, Response
from pydantic import BaseModel

from services.analytics.answers import Answers
from services.analytics.domain import Build
from services.analytics.errors import (
    BuildGone,
    NoSuchFilter,
    NoSuchKpi,
    NoSuchPage,
    NoSuchPoint,
    NothingPublished,
    TooManyPoints,
)
from services.analytics.schemas import (
    BuildBody,
    BuildList,
    BuildParameters,
    DayBody,
    DaysBody,
    KpiBody,
    KpiList,
    KpiName,
    PageBody,
    PageName,
    PageParameters,
    QualityBody,
    QualityResult,
    RowParameters,
    RowsBody,
    RunBody,
    ValueParameters,
    ValuesBody,
)
from services.analytics.service import Analytics
from services.chassis.web.identity import Caller, require
from services.chassis.web.input.body_limit import bounded_router
from services.chassis.web.paging import CursorsDep
from services.chassis.web.problems import (
    BadRequest,
    Forbidden,
    Unauthenticated,
    Unprocessable,
    documented,
)

_ALWAYS = (Unauthenticated, Forbidden, Unprocessable, NothingPublished)

router = bounded_router(tags=["kpis"])


def _analytics(request: Request) -> Analytics:
    analytics: Analytics = request.app.state.analytics
    return analytics


AnalyticsDep = Annotated[Analytics, Depends(_analytics)]
CanRead = Annotated[Caller, Depends(require("kpis:read"))]
CanReadRows = Annotated[Caller, Depends(require("portfolio:rows"))]


Known = Annotated[str | None, Header(alias="If-None-Match", description="The ETag of the last answer.")]
_UNCHANGED: dict[int | str, dict[str, Any]] = {
    304: {"description": "The answer is the one that If-None-Match names."}
}
_MEDIA_TYPE = "application/json"


async def _kept(
    request: Request,
    known: str | None,
    parameters: BuildParameters,
    make: Callable[[Build], Awaitable[BaseModel]],
) -> Response:
    """An answer about one build, out of memory where it was made before."""
    build = await _analytics(request).build(parameters.build)
    # The build's number stands for the newest, and whatever is left out has its default.
    asked = parameters.model_dump(exclude={"build"}, exclude_none=True)
    key = (build.build_id, request.url.path, tuple(sorted(asked.items())))
    return await _answered(request, known, key, lambda: make(build))


async def _answered(
    request: Request, known: str | None, key: Hashable, make: Callable[[], Awaitable[BaseModel]]
) -> Response:
    answers = request.app.state.answers
    assert isinstance(answers, Answers)

    async def encoded() -> bytes:
        return (await make()).model_dump_json().encode()

    answer = await answers.get(key, encoded)
    headers = {"ETag": answer.etag, "Cache-Control": "private, no-cache"}
    if known == answer.etag:
        return Response(status_code=304, headers=headers)
    return Response(answer.body, headers=headers, media_type=_MEDIA_TYPE)


@router.get("/kpis", response_model=KpiList, responses=documented(Unauthenticated, Forbidden) | _UNCHANGED)
async def kpis(caller: CanRead, request: Request, analytics: AnalyticsDep, known: Known = None) -> Response:
    """Read the catalogue: what each KPI means, what it is made of, and where it comes from."""
    del caller

    async def make() -> KpiList:
        return KpiList(items=[KpiBody.of(kpi) for kpi in analytics.catalogue.kpis.values()])

    return await _answered(request, known, "catalogue", make)


@router.get("/kpis/{kpi}", responses=documented(Unauthenticated, Forbidden, Unprocessable, NoSuchKpi))
async def kpi_of(kpi: KpiName, caller: CanRead, analytics: AnalyticsDep) -> KpiBody:
    """Read one entry of the catalogue."""
    del caller
    return KpiBody.of(analytics.kpi(kpi))


@router.get(
    "/kpis/{kpi}/values",
    response_model=ValuesBody,
    responses=documented(*_ALWAYS, NoSuchKpi, BuildGone, NoSuchFilter, TooManyPoints) | _UNCHANGED,
)
async def values(  # noqa: PLR0917 - FastAPI names them all
    kpi: KpiName,
    caller: CanRead,
    request: Request,
    analytics: AnalyticsDep,
    parameters: Annotated[ValueParameters, Query()],
    known: Known = None,
) -> Response:
    """Read the values of a KPI, each with its numerator and denominator, of one build."""
    del caller
    analytics.kpi(kpi)

    async def make(build: Build) -> ValuesBody:
        return ValuesBody.of(await analytics.values(kpi, parameters.to_domain(), build.build_id))

    return await _kept(request, known, parameters, make)


@router.get("/kpis/{kpi}/rows", responses=documented(*_ALWAYS, BadRequest, NoSuchPoint, BuildGone))
async def rows(
    kpi: KpiName,
    caller: CanReadRows,
    analytics: AnalyticsDep,
    cursors: CursorsDep,
    parameters: Annotated[RowParameters, Query()],
) -> RowsBody:
    """Read the rows behind the numerator or denominator of one value, and what all of them add up to."""
    del caller
    behind = await analytics.rows(
        kpi,
        parameters.part,
        parameters.to_domain(),
        parameters.build,
        cursors.start_key(parameters.after),
        parameters.limit,
    )
    return RowsBody.of(behind, cursors)


@router.get(
    "/pages/{page}",
    response_model=PageBody,
    responses=documented(*_ALWAYS, NoSuchPage, BuildGone, NoSuchFilter) | _UNCHANGED,
)
async def page_of(  # noqa: PLR0917 - FastAPI names them all
    page: PageName,
    caller: CanRead,
    request: Request,
    analytics: AnalyticsDep,
    parameters: Annotated[PageParameters, Query()],
    known: Known = None,
) -> Response:
    """Read everything that a page shows of one currency on one day: three years up to the day, of one build."""
    del caller

    async def make(build: Build) -> PageBody:
        return PageBody.of(await analytics.page(page, parameters.currency, parameters.as_of, build.build_id))

    return await _kept(request, known, parameters, make)


@router.get("/builds", responses=documented(Unauthenticated, Forbidden))
async def builds(caller: CanRead, analytics: AnalyticsDep) -> BuildList:
    """List the builds that are kept, the newest first."""
    del caller
    return BuildList(items=[BuildBody.of(build) for build in await analytics.builds()])


@router.get("/runs/newest", responses=documented(Unauthenticated, Forbidden))
async def newest_run(caller: CanRead, analytics: AnalyticsDep) -> RunBody:
    """Read how the newest build of the warehouse went: one that failed is not shown, and the older one stays."""
    del caller
    return RunBody.of(await analytics.newest_run())


@router.get("/as-of", response_model=DaysBody, responses=documented(*_ALWAYS, BuildGone) | _UNCHANGED)
async def days(
    caller: CanRead,
    request: Request,
    analytics: AnalyticsDep,
    parameters: Annotated[BuildParameters, Query()],
    known: Known = None,
) -> Response:
    """List the days that a build has the portfolio of, and its currencies."""
    del caller

    async def make(build: Build) -> DaysBody:
        of, found, currencies = await analytics.days(build.build_id)
        return DaysBody(
            build=BuildBody.of(of),
            days=[DayBody(day=day, grain=grain) for day, grain in found],
            currencies=list(currencies),
        )

    return await _kept(request, known, parameters, make)


@router.get("/quality", responses=documented(Unauthenticated, Forbidden))
async def quality(caller: CanRead, analytics: AnalyticsDep) -> QualityBody:
    """List the results of each flow's latest quality check, failed ones first."""
    del caller
    return QualityBody(items=[QualityResult(**row) for row in await analytics.quality()])
