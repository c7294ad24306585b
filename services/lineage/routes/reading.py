"""HTTP of reading the graph, by Marquez' routes."""

from typing import Annotated, Literal

from fastapi import Depends, Query, Request, Response

from services.chassis.web.identity import Caller, require
from services.chassis.web.input.body_limit import JSON, bounded_router
from services.chassis.web.input.strict import Identifier, Instant
from services.chassis.web.problems import Forbidden, Unauthenticated, Unprocessable, documented
from services.lineage.errors import NoSuchEntry, NoSuchNode, NoSuchRun, VersionWithDownstream
from services.lineage.reading.service import Reading
from services.lineage.reading.views import (
    ColumnGraph,
    DatasetList,
    DatasetView,
    EventList,
    FoundList,
    GraphView,
    JobList,
    JobView,
    NamespaceList,
    NamespaceView,
    RunList,
    RunView,
    SourceList,
    SourceView,
    TagList,
    VersionList,
    VersionView,
)
from services.lineage.reading.walks import Walks
from services.lineage.routes.parameters import Depth, Limit, Named, NodeId, Offset, PythonFlag, Text

_ALWAYS = (Unauthenticated, Forbidden, Unprocessable)
_LIST = documented(*_ALWAYS)
_ENTRY = documented(*_ALWAYS, NoSuchEntry)

router = bounded_router(prefix="/api/v1", tags=["graph"])


def _reading(request: Request) -> Reading:
    reading: Reading = request.app.state.reading
    return reading


def _walks(request: Request) -> Walks:
    walks: Walks = request.app.state.walks
    return walks


ReadingDep = Annotated[Reading, Depends(_reading)]
WalksDep = Annotated[Walks, Depends(_walks)]
CanRead = Annotated[Caller, Depends(require("lineage:read"))]


@router.get("/namespaces", responses=_LIST)
async def namespaces(
    caller: CanRead, reading: ReadingDep, limit: Limit = 100, offset: Offset = 0
) -> NamespaceList:
    """List the namespaces of jobs and datasets by name."""
    del caller
    return await reading.namespaces(limit, offset)


@router.get("/namespaces/{namespace}", responses=_ENTRY)
async def namespace(namespace: Named, caller: CanRead, reading: ReadingDep) -> NamespaceView:
    """Read one namespace."""
    del caller
    return await reading.namespace(namespace)


@router.get("/sources", responses=_LIST)
async def sources(caller: CanRead, reading: ReadingDep, limit: Limit = 100, offset: Offset = 0) -> SourceList:
    """List the sources that were entered, by name."""
    del caller
    return await reading.sources(limit, offset)


@router.get("/sources/{source}", responses=_ENTRY)
async def source(source: Named, caller: CanRead, reading: ReadingDep) -> SourceView:
    """Read one source."""
    del caller
    return await reading.source(source)


@router.get("/tags", responses=_LIST)
async def tags(caller: CanRead, reading: ReadingDep, limit: Limit = 100, offset: Offset = 0) -> TagList:
    """List the tags by name."""
    del caller
    return await reading.tags(limit, offset)


@router.get("/namespaces/{namespace}/datasets", responses=_LIST)
async def datasets(
    namespace: Named, caller: CanRead, reading: ReadingDep, limit: Limit = 100, offset: Offset = 0
) -> DatasetList:
    """List the datasets of a namespace by name."""
    del caller
    return await reading.datasets(namespace, limit, offset)


@router.get("/namespaces/{namespace}/datasets/{dataset}", responses=_ENTRY)
async def dataset(namespace: Named, dataset: Named, caller: CanRead, reading: ReadingDep) -> DatasetView:
    """Read one dataset as its latest events have it."""
    del caller
    return await reading.dataset(namespace, dataset)


@router.get("/namespaces/{namespace}/datasets/{dataset}/versions", responses=_ENTRY)
async def versions(  # noqa: PLR0917 - FastAPI passes by name
    namespace: Named,
    dataset: Named,
    caller: CanRead,
    reading: ReadingDep,
    limit: Limit = 100,
    offset: Offset = 0,
) -> VersionList:
    """List the versions of a dataset, the newest first."""
    del caller
    return await reading.versions(namespace, dataset, limit, offset)


@router.get("/namespaces/{namespace}/datasets/{dataset}/versions/{version}", responses=_ENTRY)
async def version(
    namespace: Named, dataset: Named, version: Identifier, caller: CanRead, reading: ReadingDep
) -> VersionView:
    """Read one version of a dataset."""
    del caller
    return await reading.version(namespace, dataset, version)


@router.get("/namespaces/{namespace}/jobs", responses=_LIST)
async def jobs(
    namespace: Named, caller: CanRead, reading: ReadingDep, limit: Limit = 100, offset: Offset = 0
) -> JobList:
    """List the jobs of a namespace by name."""
    del caller
    return await reading.jobs(namespace, limit, offset)


@router.get("/namespaces/{namespace}/jobs/{job}", responses=_ENTRY)
async def job(namespace: Named, job: Named, caller: CanRead, reading: ReadingDep) -> JobView:
    """Read one job as its latest events have it."""
    del caller
    return await reading.job(namespace, job)


@router.get("/namespaces/{namespace}/jobs/{job}/runs", responses=_ENTRY)
async def runs(  # noqa: PLR0917 - FastAPI passes by name
    namespace: Named,
    job: Named,
    caller: CanRead,
    reading: ReadingDep,
    limit: Limit = 100,
    offset: Offset = 0,
) -> RunList:
    """List the runs of a job, the newest first."""
    del caller
    return await reading.runs(namespace, job, limit, offset)


@router.get("/jobs/runs/{run}", responses=documented(*_ALWAYS, NoSuchRun))
async def run(run: Identifier, caller: CanRead, reading: ReadingDep) -> RunView:
    """Read one run."""
    del caller
    return await reading.run(run)


@router.get("/search", responses=_LIST)
async def search(  # noqa: PLR0917 - FastAPI passes by name
    caller: CanRead,
    reading: ReadingDep,
    q: Annotated[Text, Query(min_length=1, max_length=200, description="A part of the name.")],
    namespace: Annotated[Text | None, Query(description="Only here.")] = None,
    only: Annotated[Literal["DATASET", "JOB"] | None, Query(alias="filter")] = None,
    sort: Literal["NAME", "UPDATE_AT"] = "NAME",
    limit: Limit = 10,
) -> FoundList:
    """Find datasets and jobs by a part of their names, in whatever case."""
    del caller
    return await reading.search(q, namespace, only, limit, by_time=sort == "UPDATE_AT")


@router.get("/lineage", responses=documented(*_ALWAYS, NoSuchNode))
async def lineage(caller: CanRead, walks: WalksDep, node: NodeId, depth: Depth = 20) -> GraphView:
    """Read the jobs and datasets around one of them."""
    del caller
    return await walks.around(node, depth)


@router.get("/column-lineage", responses=documented(*_ALWAYS, NoSuchNode, VersionWithDownstream))
async def columns(
    caller: CanRead,
    walks: WalksDep,
    node: NodeId,
    depth: Depth = 20,
    with_downstream: Annotated[PythonFlag, Query(alias="withDownstream")] = False,
) -> ColumnGraph:
    """Read what the columns of a dataset or job, or one column (`datasetField:NAMESPACE:NAME:COLUMN`), follow from.

    With `withDownstream` also what follows from them. A version behind `#` is accepted; columns are those of now.
    """
    del caller
    return await walks.columns(node, depth, with_downstream=with_downstream)


@router.get("/events/lineage", response_model=EventList, responses=_LIST)
async def events(  # noqa: PLR0917 - FastAPI passes by name
    caller: CanRead,
    reading: ReadingDep,
    before: Instant | None = None,
    after: Instant | None = None,
    sort: Annotated[Literal["asc", "desc"], Query(alias="sortDirection")] = "desc",
    limit: Limit = 100,
    offset: Offset = 0,
) -> Response:
    """List the events as they were sent, with canonical JSON; fewer than `limit` where they are large."""
    del caller
    return _listed(*await reading.events(limit, offset, before=before, after=after, newest=sort == "desc"))


@router.get("/events", response_model=EventList, responses=_LIST)
async def all_events(
    caller: CanRead, reading: ReadingDep, limit: Limit = 100, offset: Offset = 0
) -> Response:
    """List the events, the newest first."""
    del caller
    return _listed(*await reading.events(limit, offset))


@router.get("/events/{namespace}", response_model=EventList, responses=_LIST)
async def events_of(
    namespace: Named, caller: CanRead, reading: ReadingDep, limit: Limit = 100, offset: Offset = 0
) -> Response:
    """List the events whose job, or dataset, is in a namespace, the newest first."""
    del caller
    return _listed(*await reading.events(limit, offset, namespace=namespace))


def _listed(found: list[str], total: int) -> Response:
    # As they were kept: parsing megabytes and writing them again would hold up everybody else.
    return Response(f'{{"events":[{",".join(found)}],"totalCount":{total}}}', media_type=JSON)
