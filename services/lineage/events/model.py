"""What an OpenLineage event must look like: 2-0-2, and the versions before it that are read alike.

The models only check. What is kept and projected is the event as it was sent.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

MOST_FAULTS = 50
LONGEST_NAME = 1024
_VERSION = re.compile(r"https?://openlineage\.io/spec/[12]-[0-9]+-[0-9]+/OpenLineage\.json(#.*)?")
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?([Zz]|[+-][0-9]{2}:?[0-9]{2})"
)
_FIRST, _LAST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2999, 12, 31, tzinfo=UTC)


def moment(text: str) -> datetime:
    """The instant that an RFC 3339 text names, in UTC; raises ValueError."""
    if not _MOMENT.fullmatch(text):
        raise ValueError("give a time with its offset, such as 2026-01-31T09:30:00Z")
    try:
        found = datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("there is no such time") from None
    if not _FIRST <= found <= _LAST:
        raise ValueError("give a time from 1900 to 2999")
    return found


def _is_moment(text: str) -> str:
    moment(text)
    return text


def _is_version(text: str) -> str:
    if not _VERSION.fullmatch(text):
        raise ValueError("this version of OpenLineage is unknown; those of 1-x-x and 2-x-x are read")
    return text


Name = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME, pattern=r"^[^\x00]*$")]
Moment = Annotated[str, AfterValidator(_is_moment)]
RunId = Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$")]


class _Part(BaseModel):
    """A part of an event, which may have members that nobody here knows."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, populate_by_name=False)


class Facet(_Part):
    """What every facet has."""

    producer: str = Field(alias="_producer")
    schema_url: str = Field(alias="_schemaURL")


class SchemaField(_Part):
    """A column."""

    name: Name
    type: str | None = None
    description: str | None = None


class SchemaFacet(Facet):
    """The columns of a dataset."""

    fields: list[SchemaField] | None = None


class Transformation(_Part):
    """How a column follows from another."""

    type: str | None = None
    subtype: str | None = None
    description: str | None = None


class InputField(_Part):
    """A column that another follows from."""

    namespace: Name
    name: Name
    field: Name
    transformations: list[Transformation] | None = None


class InputFields(_Part):
    """The columns that one column follows from."""

    input_fields: list[InputField] = Field(alias="inputFields")
    description: str | None = Field(None, alias="transformationDescription")
    kind: str | None = Field(None, alias="transformationType")


class ColumnLineageFacet(Facet):
    """What the columns of a dataset follow from."""

    fields: dict[Name, InputFields]


class DocumentationFacet(Facet):
    """What a job or dataset is."""

    description: str | None = None


class DatasourceFacet(Facet):
    """Where a dataset is."""

    name: str | None = None
    uri: str | None = None


class JobTypeFacet(Facet):
    """The kind of a job."""

    processing: str | None = Field(None, alias="processingType")
    integration: str | None = None
    job_type: str | None = Field(None, alias="jobType")


class SourceLocationFacet(Facet):
    """Where a job's code is."""

    url: str | None = None


class NominalTimeFacet(Facet):
    """The time that a run is for."""

    start: Moment | None = Field(None, alias="nominalStartTime")
    end: Moment | None = Field(None, alias="nominalEndTime")


class ParentJob(_Part):
    """The job of the parent's run."""

    namespace: Name
    name: Name


class ParentRun(_Part):
    """The parent's run."""

    id: RunId = Field(alias="runId")


class ParentFacet(Facet):
    """The run that has started this one."""

    run: ParentRun
    job: ParentJob


class _Facets(_Part):
    """Facets by their names; the known ones have forms of their own."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)
    __pydantic_extra__: dict[Name, Facet]


class DatasetFacets(_Facets):
    """The facets of a dataset."""

    columns: SchemaFacet | None = Field(None, alias="schema")
    lineage: ColumnLineageFacet | None = Field(None, alias="columnLineage")
    documentation: DocumentationFacet | None = None
    source: DatasourceFacet | None = Field(None, alias="dataSource")


class JobFacets(_Facets):
    """The facets of a job."""

    job_type: JobTypeFacet | None = Field(None, alias="jobType")
    documentation: DocumentationFacet | None = None
    location: SourceLocationFacet | None = Field(None, alias="sourceCodeLocation")


class RunFacets(_Facets):
    """The facets of a run."""

    nominal: NominalTimeFacet | None = Field(None, alias="nominalTime")
    parent: ParentFacet | None = None


class Dataset(_Part):
    """A dataset."""

    namespace: Name
    name: Name
    facets: DatasetFacets | None = None


class InputDataset(Dataset):
    """A dataset that is read."""

    own: _Facets | None = Field(None, alias="inputFacets")


class OutputDataset(Dataset):
    """A dataset that is written."""

    own: _Facets | None = Field(None, alias="outputFacets")


class Job(_Part):
    """A job."""

    namespace: Name
    name: Name
    facets: JobFacets | None = None


class Run(_Part):
    """A run of a job."""

    id: RunId = Field(alias="runId")
    facets: RunFacets | None = None


class _Event(_Part):
    kind: ClassVar[str]
    time: Moment = Field(alias="eventTime")
    producer: str
    schema_url: Annotated[str, AfterValidator(_is_version)] = Field(alias="schemaURL")


class _JobsEvent(_Event):
    job: Job
    inputs: list[InputDataset] | None = None
    outputs: list[OutputDataset] | None = None


class RunEvent(_JobsEvent):
    """What a run of a job has come to."""

    kind = "RUN_EVENT"
    type: Literal["START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"] | None = Field(
        None, alias="eventType"
    )
    run: Run


class JobEvent(_JobsEvent):
    """What a job is, without a run."""

    kind = "JOB_EVENT"


class DatasetEvent(_Event):
    """What a dataset is, without a job."""

    kind = "DATASET_EVENT"
    dataset: Dataset


_RUN, _JOB, _DATASET = TypeAdapter(RunEvent), TypeAdapter(JobEvent), TypeAdapter(DatasetEvent)


class Fault(Exception):
    """An event is not valid; `faults` has a JSON pointer and a sentence for each."""

    def __init__(self, faults: list[tuple[str, str]]) -> None:
        """The faults, at most MOST_FAULTS."""
        super().__init__("; ".join(f"{pointer}: {detail}" for pointer, detail in faults))
        self.faults = faults


def kind_of(event: Mapping[str, Any]) -> str:
    """RUN_EVENT, JOB_EVENT or DATASET_EVENT of a checked event."""
    return (RunEvent if "run" in event else JobEvent if "job" in event else DatasetEvent).kind


def check(event: Any) -> None:
    """Check one parsed event.

    Raises:
        Fault: with the place and the reason of everything that is wrong, without what was sent.
    """
    if not isinstance(event, dict):
        raise Fault([("", "an event is a JSON object")])
    if not event.keys() & {"run", "job", "dataset"}:
        raise Fault([("", "an event has a run and a job, a job, or a dataset")])
    adapter: TypeAdapter[Any] = _RUN if "run" in event else _JOB if "job" in event else _DATASET
    try:
        adapter.validate_python(event)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        raise Fault(
            [
                (_pointer(fault["loc"]), fault["msg"].removeprefix("Value error, "))
                for fault in faults[:MOST_FAULTS]
            ]
        ) from None


def _pointer(location: tuple[int | str, ...]) -> str:
    # Pydantic puts this behind a key of an object that is itself wrong.
    parts = [part for part in location if part != "[key]"]
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)
