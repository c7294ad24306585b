"""What the reading routes answer, in Marquez' words."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class View(BaseModel):
    """A body whose members are written in camel case."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


Facets = dict[str, Any]


class NamespaceView(View):
    """A namespace."""

    name: str
    created_at: datetime
    updated_at: datetime
    owner_name: str
    description: str | None


class NamespaceList(View):
    """Namespaces by name."""

    namespaces: list[NamespaceView]
    total_count: int


class SourceView(View):
    """A system that has datasets."""

    type: str
    name: str
    created_at: datetime
    updated_at: datetime
    connection_url: str
    description: str | None


class SourceList(View):
    """Sources by name."""

    sources: list[SourceView]
    total_count: int


class NameView(View):
    """What names a dataset or job."""

    namespace: str
    name: str


class VersionName(NameView):
    """What names a version of a dataset."""

    version: UUID


class FieldView(View):
    """A column."""

    name: str
    type: str | None
    tags: list[str]
    description: str | None


class RunView(View):
    """A run of a job."""

    id: UUID
    created_at: datetime
    updated_at: datetime
    nominal_start_time: str | None
    nominal_end_time: str | None
    state: Literal["NEW", "RUNNING", "COMPLETED", "FAILED", "ABORTED"]
    started_at: datetime | None
    ended_at: datetime | None
    duration_ms: int | None
    args: dict[str, Any]
    job: NameView
    input_versions: list[VersionName]
    output_versions: list[VersionName]
    facets: Facets


class RunList(View):
    """Runs of a job, the newest first."""

    runs: list[RunView]
    total_count: int


class DatasetView(View):
    """A dataset as its latest events have it."""

    id: NameView
    type: str
    name: str
    physical_name: str
    created_at: datetime
    updated_at: datetime
    namespace: str
    source_name: str
    fields: list[FieldView]
    tags: list[str]
    last_modified_at: datetime | None
    description: str | None
    current_version: UUID | None
    facets: Facets
    deleted: bool


class DatasetList(View):
    """Datasets of a namespace by name."""

    datasets: list[DatasetView]
    total_count: int


class VersionView(View):
    """A version of a dataset: what a run has written, or an event has said."""

    id: VersionName
    type: str
    name: str
    physical_name: str
    created_at: datetime
    version: UUID
    namespace: str
    source_name: str
    fields: list[FieldView]
    tags: list[str]
    description: str | None
    created_by_run: RunView | None
    facets: Facets


class VersionList(View):
    """Versions of a dataset, the newest first."""

    versions: list[VersionView]
    total_count: int


class JobView(View):
    """A job as its latest events have it."""

    id: NameView
    type: str
    name: str
    created_at: datetime
    updated_at: datetime
    namespace: str
    inputs: list[NameView]
    outputs: list[NameView]
    location: str | None
    context: dict[str, Any]
    description: str | None
    latest_run: RunView | None
    facets: Facets


class JobList(View):
    """Jobs of a namespace by name."""

    jobs: list[JobView]
    total_count: int


class TagView(View):
    """A tag."""

    name: str
    description: str | None


class TagList(View):
    """Tags by name."""

    tags: list[TagView]
    total_count: int


class EventList(View):
    """Events as they were sent, the newest first unless asked otherwise."""

    events: list[dict[str, Any]]
    total_count: int


class FoundView(View):
    """A dataset or job whose name has what was searched for."""

    type: Literal["DATASET", "JOB"]
    name: str
    namespace: str
    node_id: str
    updated_at: datetime


class FoundList(View):
    """What was found."""

    results: list[FoundView]
    total_count: int


class EdgeView(View):
    """An edge between two nodes, in the direction of the data."""

    origin: str
    destination: str


class NodeView(View):
    """A node of a graph with its edges."""

    id: str
    type: Literal["DATASET", "JOB"]
    data: DatasetView | JobView
    in_edges: list[EdgeView]
    out_edges: list[EdgeView]


class GraphView(View):
    """A graph of jobs and datasets."""

    graph: list[NodeView]


class InputFieldView(View):
    """A column that another follows from."""

    namespace: str
    dataset: str
    field: str


class ColumnData(View):
    """What is known of a column."""

    namespace: str
    dataset: str
    dataset_version: UUID | None
    field: str
    field_type: str | None
    transformation_description: str | None
    transformation_type: str | None
    input_fields: list[InputFieldView]


class ColumnNode(View):
    """A column with its edges."""

    id: str
    type: Literal["DATASET_FIELD"] = "DATASET_FIELD"
    data: ColumnData
    in_edges: list[EdgeView]
    out_edges: list[EdgeView]


class ColumnGraph(View):
    """A graph of columns."""

    graph: list[ColumnNode]
