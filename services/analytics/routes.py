"""HTTP in and out of analytics."""

from typing import Annotated

from fastapi import Depends, Query, Request

from services.analytics.errors import (
    BuildGone,
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


@router.get("/kpis", responses=documented(Unauthenticated, Forbidden))
async def kpis(caller: CanRead, analytics: AnalyticsDep) -> KpiList:
    """Read the catalogue: what each KPI means, what it is made of, and where it comes from."""
    del caller
    return KpiList(items=[KpiBody.of(kpi) for kpi in analytics.catalogue.kpis.values()])


@router.get("/kpis/{kpi}", responses=documented(Unauthenticated, Forbidden, Unprocessable, NoSuchKpi))
async def kpi_of(kpi: KpiName, caller: CanRead, analytics: AnalyticsDep) -> KpiBody:
    """Read one entry of the catalogue."""
    del caller
    return KpiBody.of(analytics.kpi(kpi))


@router.get("/kpis/{kpi}/values", responses=documented(*_ALWAYS, NoSuchKpi, BuildGone, TooManyPoints))
async def values(
    kpi: KpiName, caller: CanRead, analytics: AnalyticsDep, parameters: Annotated[ValueParameters, Query()]
) -> ValuesBody:
    """Read the values of a KPI, each with its numerator and denominator, of one build."""
    del caller
    return ValuesBody.of(await analytics.values(kpi, parameters.to_domain(), parameters.build))


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


@router.get("/pages/{page}", responses=documented(*_ALWAYS, NoSuchPage, BuildGone))
async def page_of(
    page: PageName, caller: CanRead, analytics: AnalyticsDep, parameters: Annotated[PageParameters, Query()]
) -> PageBody:
    """Read everything that a page shows of one currency, of one build."""
    del caller
    return PageBody.of(await analytics.page(page, parameters.currency, parameters.as_of, parameters.build))


@router.get("/builds", responses=documented(Unauthenticated, Forbidden))
async def builds(caller: CanRead, analytics: AnalyticsDep) -> BuildList:
    """List the builds that are kept, the newest first."""
    del caller
    return BuildList(items=[BuildBody.of(build) for build in await analytics.builds()])


@router.get("/as-of", responses=documented(*_ALWAYS, BuildGone))
async def days(
    caller: CanRead, analytics: AnalyticsDep, parameters: Annotated[BuildParameters, Query()]
) -> DaysBody:
    """List the days that a build has the portfolio of, and its currencies."""
    del caller
    build, found, currencies = await analytics.days(parameters.build)
    return DaysBody(
        build=BuildBody.of(build),
        days=[DayBody(day=day, grain=grain) for day, grain in found],
        currencies=list(currencies),
    )


@router.get("/quality", responses=documented(Unauthenticated, Forbidden))
async def quality(caller: CanRead, analytics: AnalyticsDep) -> QualityBody:
    """List the results of each flow's latest quality check, failed ones first."""
    del caller
    return QualityBody(items=[QualityResult(**row) for row in await analytics.quality()])
