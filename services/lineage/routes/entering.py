"""HTTP of entering by hand, by Marquez' routes."""

from typing import Annotated, Any, Literal

from fastapi import Depends, Request
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from services.chassis.web.identity import Caller, require
from services.chassis.web.input.body_limit import LARGEST_BODY_BYTES, accepts_body, bounded_router
from services.chassis.web.input.strict import Identifier, Instant
from services.chassis.web.problems import (
    BadRequest,
    ContentTooLarge,
    Forbidden,
    Unauthenticated,
    UnsupportedMediaType,
    documented,
)
from services.lineage.entering import Entering
from services.lineage.errors import InvalidEvent, NoSuchEntry, NoSuchRun
from services.lineage.events.model import Moment, Name, RunId
from services.lineage.reading.views import DatasetView, JobView, NamespaceView, RunView, SourceView, TagView
from services.lineage.routes.parameters import Named
from services.lineage.routes.reading import ReadingDep

_ALWAYS = (Unauthenticated, Forbidden, InvalidEvent)
_BODY = documented(*_ALWAYS, BadRequest, ContentTooLarge, UnsupportedMediaType)
_OF_ENTRY = documented(*_ALWAYS, BadRequest, ContentTooLarge, UnsupportedMediaType, NoSuchEntry)
_OF_RUN = documented(*_ALWAYS, BadRequest, ContentTooLarge, UnsupportedMediaType, NoSuchRun)
_LongText = Annotated[str, Field(max_length=10_000, pattern=r"^[^\x00]*$")]
Tags = list[Name]

router = bounded_router(prefix="/api/v1", tags=["entering"])


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=False)

    def said(self) -> dict[str, Any]:
        """What was sent, by the names under which it was sent."""
        return self.model_dump(by_alias=True, exclude_none=True)


class NamespaceBody(_Body):
    """Who owns a namespace."""

    owner_name: Name
    description: _LongText | None = None


class SourceBody(_Body):
    """Where a source is."""

    type: Name
    connection_url: Name
    description: _LongText | None = None


class TagBody(_Body):
    """What a tag means."""

    description: _LongText | None = None


class FieldBody(_Body):
    """A column."""

    name: Name
    type: Name | None = None
    tags: Tags | None = None
    description: _LongText | None = None


class DatasetBody(_Body):
    """What a dataset is."""

    type: Literal["DB_TABLE", "STREAM"]
    physical_name: Name
    source_name: Name
    fields: list[FieldBody] | None = None
    tags: Tags | None = None
    description: _LongText | None = None
    schema_location: Name | None = None
    run_id: RunId | None = None


class NamedBody(_Body):
    """A dataset by its name."""

    namespace: Name
    name: Name


class JobBody(_Body):
    """What a job is."""

    type: Literal["BATCH", "STREAM", "SERVICE"]
    inputs: list[NamedBody] = []
    outputs: list[NamedBody] = []
    location: Name | None = None
    context: dict[str, _LongText] | None = None
    description: _LongText | None = None
    run_id: RunId | None = None


class RunBody(_Body):
    """A run that will be."""

    id: RunId | None = None
    nominal_start_time: Moment | None = None
    nominal_end_time: Moment | None = None
    args: dict[str, Any] | None = None


def _entering(request: Request) -> Entering:
    entering: Entering = request.app.state.entering
    return entering


EnteringDep = Annotated[Entering, Depends(_entering)]
CanWrite = Annotated[Caller, Depends(require("lineage:write"))]


@router.put("/namespaces/{namespace}", responses=_BODY)
async def put_namespace(
    namespace: Named, body: NamespaceBody, caller: CanWrite, entering: EnteringDep, reading: ReadingDep
) -> NamespaceView:
    """Say who owns a namespace."""
    del caller
    await entering.namespace(namespace, body.owner_name, body.description)
    return await reading.namespace(namespace)


@router.put("/sources/{source}", responses=_BODY)
async def put_source(
    source: Named, body: SourceBody, caller: CanWrite, entering: EnteringDep, reading: ReadingDep
) -> SourceView:
    """Say where a source is. A password in its URL is left out."""
    del caller
    await entering.source(source, body.type, body.connection_url, body.description)
    return await reading.source(source)


@router.put("/tags/{tag}", responses=_BODY)
async def put_tag(
    tag: Named, body: TagBody, caller: CanWrite, entering: EnteringDep, reading: ReadingDep
) -> TagView:
    """Say what a tag means."""
    del caller
    await entering.tag(tag, body.description)
    return await reading.tag(tag)


@router.put("/namespaces/{namespace}/datasets/{dataset}", responses=_OF_RUN)
@accepts_body(LARGEST_BODY_BYTES)
async def put_dataset(  # noqa: PLR0917 - FastAPI passes by name
    namespace: Named,
    dataset: Named,
    body: DatasetBody,
    caller: CanWrite,
    entering: EnteringDep,
    reading: ReadingDep,
) -> DatasetView:
    """Say what a dataset is, by itself or as the output of a run. It becomes an event."""
    del caller
    await entering.dataset(namespace, dataset, body.said())
    return await reading.dataset(namespace, dataset)


@router.post("/namespaces/{namespace}/datasets/{dataset}/tags/{tag}", responses=_OF_ENTRY)
async def tag_dataset(  # noqa: PLR0917 - FastAPI passes by name
    namespace: Named, dataset: Named, tag: Named, caller: CanWrite, entering: EnteringDep, reading: ReadingDep
) -> DatasetView:
    """Tag a dataset; a tag that is new is made."""
    del caller
    await entering.tagging(namespace, dataset, "", tag)
    return await reading.dataset(namespace, dataset)


@router.post("/namespaces/{namespace}/datasets/{dataset}/fields/{field}/tags/{tag}", responses=_OF_ENTRY)
async def tag_field(  # noqa: PLR0917 - FastAPI passes by name
    namespace: Named,
    dataset: Named,
    field: Named,
    tag: Named,
    caller: CanWrite,
    entering: EnteringDep,
    reading: ReadingDep,
) -> DatasetView:
    """Tag a column; a tag that is new is made."""
    del caller
    await entering.tagging(namespace, dataset, field, tag)
    return await reading.dataset(namespace, dataset)


@router.put("/namespaces/{namespace}/jobs/{job}", responses=_BODY)
@accepts_body(LARGEST_BODY_BYTES)
async def put_job(  # noqa: PLR0917 - FastAPI passes by name
    namespace: Named, job: Named, body: JobBody, caller: CanWrite, entering: EnteringDep, reading: ReadingDep
) -> JobView:
    """Say what a job is, by itself or in a run. It becomes an event."""
    del caller
    await entering.job(namespace, job, body.said())
    return await reading.job(namespace, job)


@router.post("/namespaces/{namespace}/jobs/{job}/runs", status_code=201, responses=_OF_ENTRY)
async def add_run(  # noqa: PLR0917 - FastAPI passes by name
    namespace: Named, job: Named, body: RunBody, caller: CanWrite, entering: EnteringDep, reading: ReadingDep
) -> RunView:
    """Say that a job will run. It becomes an event."""
    del caller
    return await reading.run(await entering.run(namespace, job, body.said()))


@router.post("/jobs/runs/{run}/{action}", responses=_OF_RUN)
async def mark_run(  # noqa: PLR0917 - FastAPI passes by name
    run: Identifier,
    action: Literal["start", "complete", "fail", "abort"],
    caller: CanWrite,
    entering: EnteringDep,
    reading: ReadingDep,
    at: Instant | None = None,
) -> RunView:
    """Say that a run has started or ended, now or at another time. It becomes an event."""
    del caller
    await entering.mark(run, action, at)
    return await reading.run(run)
