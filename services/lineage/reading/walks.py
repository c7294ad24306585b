"""The use cases of walking the graph of jobs and datasets, and that of columns."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson

from services.chassis.database import ApplicationDatabase, ApplicationReader
from services.lineage.errors import NoSuchNode, VersionWithDownstream
from services.lineage.events.rows import dataset_id, job_id
from services.lineage.reading import queries
from services.lineage.reading.assembly import dataset_views, job_views
from services.lineage.reading.nodes import Column, node_of, reach, splits
from services.lineage.reading.views import (
    ColumnData,
    ColumnGraph,
    ColumnNode,
    DatasetView,
    EdgeView,
    GraphView,
    InputFieldView,
    JobView,
    NodeView,
)

_KINDS = {"dataset": dataset_id, "job": job_id}


class Walks:
    """What is around a node."""

    def __init__(self, database: ApplicationDatabase) -> None:
        self._database = database

    async def around(self, node: str, depth: int) -> GraphView:
        """The jobs and datasets at most `depth` edges away in any direction; raises NoSuchNode."""
        async with self._database.reading() as db:
            start = await _found(db, node, ("dataset", "job"))
            edges: dict[UUID, list[UUID]] = {}
            pairs: list[tuple[UUID, UUID]] = []
            for row in await queries.current_edges(db):
                job, dataset = row["job_id"], row["dataset_id"]
                pairs.append((dataset, job) if row["direction"] == "in" else (job, dataset))
                edges.setdefault(job, []).append(dataset)
                edges.setdefault(dataset, []).append(job)
            near = reach([start], lambda one: edges.get(one, ()), depth)
            datasets = await dataset_views(db, await queries.rows(db, queries.datasets_of(ids=near)))
            jobs = await job_views(db, await queries.rows(db, queries.jobs_of(ids=near)))
        return _graph([*datasets, *jobs], [pair for pair in pairs if near.keys() >= set(pair)])

    async def columns(self, node: str, depth: int, *, with_downstream: bool) -> ColumnGraph:
        """The columns that those of a dataset, a column or a job follow from, and those that follow from them.

        Raises:
            NoSuchNode: there is no such node.
            VersionWithDownstream: a version has no downstream.
        """
        named, _, version = node.partition("#")
        if version and with_downstream:
            raise VersionWithDownstream("Leave out the version, or withDownstream.")
        async with self._database.reading() as db:
            known = _Columns()
            for row in await queries.column_edges(db):
                known.add(row)
            starts = await self._starts(db, named, known)
            near = reach(starts, lambda one: known.sources.get(one, ()), depth)
            if with_downstream:
                near |= reach(starts, lambda one: known.targets.get(one, ()), depth)
            ids = {(one.namespace, one.dataset): dataset_id(one.namespace, one.dataset) for one in near}
            fields = await queries.fields_of(db, list(ids.values()))
            versions = {
                row["id"]: row["version_id"]
                for row in await queries.rows(db, queries.datasets_of(ids=ids.values()))
            }
        types = {
            Column(*name, one["name"]): one.get("type")
            for name, own in ids.items()
            for one in fields.get(own, ())
        }
        return ColumnGraph(
            graph=[
                known.node(one, near, types.get(one), versions.get(ids[one.namespace, one.dataset]))
                for one in sorted(near)
            ]
        )

    async def _starts(self, db: ApplicationReader, node: str, known: "_Columns") -> list[Column]:
        if node.startswith("datasetField:"):
            wanted = list(splits(node.partition(":")[2], 3))
            there = await queries.existing(db, "dataset", [dataset_id(*one[:2]) for one in wanted])
            fields = await queries.fields_of(db, there)
            for one in wanted:
                column = Column(*one)
                own = dataset_id(*one[:2])
                if column in known or any(each["name"] == column.field for each in fields.get(own, ())):
                    return [column]
            raise NoSuchNode(f"No event has named the column of {node!r}.")
        own = await _found(db, node, ("dataset", "job"))
        if node.startswith("job:"):
            return known.written_by(own)
        (row,) = await queries.rows(db, queries.datasets_of(ids=[own]))
        named = {one["name"] for one in (await queries.fields_of(db, [own])).get(own, ())}
        named |= {
            one.field for one in known if (one.namespace, one.dataset) == (row["namespace"], row["name"])
        }
        return [Column(row["namespace"], row["name"], one) for one in sorted(named)]


@dataclass
class _Columns:
    """All column edges."""

    sources: dict[Column, dict[Column, None]] = field(default_factory=dict)
    targets: dict[Column, dict[Column, None]] = field(default_factory=dict)
    _said: dict[Column, Mapping[str, Any]] = field(default_factory=dict)
    _jobs: dict[UUID, list[Column]] = field(default_factory=dict)

    def __contains__(self, column: Column) -> bool:
        return column in self.sources or column in self.targets

    def __iter__(self) -> Iterator[Column]:
        return iter(self.sources.keys() | self.targets.keys())

    def add(self, row: queries.Row) -> None:
        for name, said in orjson.loads(row["fields"]).items():
            column = Column(row["namespace"], row["name"], name)
            self._said[column] = said
            self._jobs.setdefault(row["job_id"], []).append(column)
            for one in said["inputFields"]:
                source = Column(one["namespace"], one["name"], one["field"])
                self.sources.setdefault(column, {})[source] = None
                self.targets.setdefault(source, {})[column] = None

    def written_by(self, job: UUID) -> list[Column]:
        return self._jobs.get(job, [])

    def node(
        self, column: Column, near: Iterable[Column], kind: str | None, version: UUID | None
    ) -> ColumnNode:
        said = self._said.get(column, {})
        there = set(near)
        sources = [one for one in self.sources.get(column, ()) if one in there]
        targets = [one for one in self.targets.get(column, ()) if one in there]
        return ColumnNode(
            id=column.node,
            data=ColumnData(
                namespace=column.namespace,
                dataset=column.dataset,
                dataset_version=version,
                field=column.field,
                field_type=kind,
                transformation_description=said.get("transformationDescription"),
                transformation_type=said.get("transformationType"),
                input_fields=[
                    InputFieldView(namespace=one.namespace, dataset=one.dataset, field=one.field)
                    for one in self.sources.get(column, ())
                ],
            ),
            in_edges=[EdgeView(origin=one.node, destination=column.node) for one in sources],
            out_edges=[EdgeView(origin=column.node, destination=one.node) for one in targets],
        )


async def _found(db: ApplicationReader, node: str, kinds: Sequence[str]) -> UUID:
    """The id of a job or dataset by its node's name, which can be read in several ways."""
    kind, _, rest = node.partition(":")
    if kind in kinds:
        candidates = [_KINDS[kind](*one) for one in splits(rest, 2)]
        for own in await queries.existing(db, kind, candidates):
            return own
    raise NoSuchNode(f"No event has named {node!r}; a node is dataset:NAMESPACE:NAME or job:NAMESPACE:NAME.")


def _graph(views: Sequence[DatasetView | JobView], pairs: Iterable[tuple[UUID, UUID]]) -> GraphView:
    nodes: dict[UUID, tuple[str, DatasetView | JobView]] = {}
    for view in views:
        kind = "job" if isinstance(view, JobView) else "dataset"
        nodes[_KINDS[kind](view.namespace, view.name)] = node_of(kind, view.namespace, view.name), view
    inward: dict[UUID, list[EdgeView]] = {}
    outward: dict[UUID, list[EdgeView]] = {}
    for origin, destination in sorted(pairs):
        edge = EdgeView(origin=nodes[origin][0], destination=nodes[destination][0])
        outward.setdefault(origin, []).append(edge)
        inward.setdefault(destination, []).append(edge)
    return GraphView(
        graph=[
            NodeView(
                id=name,
                type="JOB" if isinstance(view, JobView) else "DATASET",
                data=view,
                in_edges=inward.get(own, []),
                out_edges=outward.get(own, []),
            )
            for own, (name, view) in nodes.items()
        ]
    )
