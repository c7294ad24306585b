"""The use cases of reading; each is a transaction that only reads."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from services.chassis.database import ApplicationDatabase
from services.lineage.errors import NoSuchEntry, NoSuchRun
from services.lineage.events.rows import dataset_id, job_id
from services.lineage.reading import queries
from services.lineage.reading.assembly import dataset_views, job_views, run_views, version_views
from services.lineage.reading.nodes import node_of
from services.lineage.reading.views import (
    DatasetList,
    DatasetView,
    FoundList,
    FoundView,
    JobList,
    JobView,
    NamespaceList,
    NamespaceView,
    RunList,
    RunView,
    SourceList,
    SourceView,
    TagList,
    TagView,
    VersionList,
    VersionView,
)
from services.lineage.tables import events


class Reading:
    """What was told of jobs, datasets and runs."""

    def __init__(self, database: ApplicationDatabase) -> None:
        self._database = database

    async def namespaces(self, limit: int, offset: int) -> NamespaceList:
        """Every namespace that was named."""
        async with self._database.reading() as db:
            found, total = await queries.page(db, queries.known_namespaces(), limit, offset)
        return NamespaceList(namespaces=[_namespace(row) for row in found], total_count=total)

    async def namespace(self, name: str) -> NamespaceView:
        """One namespace; raises NoSuchEntry."""
        query = queries.known_namespaces()
        async with self._database.reading() as db:
            found = await queries.rows(db, query.where(query.selected_columns["name"] == name))
        return _namespace(_one(found, f"No event and nobody has named the namespace {name!r}."))

    async def sources(self, limit: int, offset: int) -> SourceList:
        """The sources that were entered."""
        async with self._database.reading() as db:
            found, total = await queries.page(db, queries.known_sources(), limit, offset)
        return SourceList(sources=[_source(row) for row in found], total_count=total)

    async def source(self, name: str) -> SourceView:
        """One source; raises NoSuchEntry."""
        query = queries.known_sources()
        async with self._database.reading() as db:
            found = await queries.rows(db, query.where(query.selected_columns["name"] == name))
        return _source(_one(found, f"There is no source {name!r}."))

    async def tags(self, limit: int, offset: int) -> TagList:
        """The tags that were entered."""
        async with self._database.reading() as db:
            found, total = await queries.page(db, queries.known_tags(), limit, offset)
        return TagList(tags=[TagView(**_of(TagView, row)) for row in found], total_count=total)

    async def tag(self, name: str) -> TagView:
        """One tag; raises NoSuchEntry."""
        query = queries.known_tags()
        async with self._database.reading() as db:
            found = await queries.rows(db, query.where(query.selected_columns["name"] == name))
        return TagView(**_of(TagView, _one(found, f"There is no tag {name!r}.")))

    async def datasets(self, namespace: str, limit: int, offset: int) -> DatasetList:
        """The datasets of a namespace."""
        async with self._database.reading() as db:
            found, total = await queries.page(db, queries.datasets_of(namespace), limit, offset)
            return DatasetList(datasets=await dataset_views(db, found), total_count=total)

    async def dataset(self, namespace: str, name: str) -> DatasetView:
        """One dataset; raises NoSuchEntry."""
        async with self._database.reading() as db:
            found = await queries.rows(db, queries.datasets_of(ids=[dataset_id(namespace, name)]))
            return (await dataset_views(db, [_one(found, _no_dataset(namespace, name))]))[0]

    async def versions(self, namespace: str, name: str, limit: int, offset: int) -> VersionList:
        """The versions of a dataset; raises NoSuchEntry."""
        own = dataset_id(namespace, name)
        async with self._database.reading() as db:
            of = _one(await queries.rows(db, queries.datasets_of(ids=[own])), _no_dataset(namespace, name))
            found, total = await queries.page(db, queries.versions_of(own), limit, offset)
            return VersionList(versions=await version_views(db, of, found), total_count=total)

    async def version(self, namespace: str, name: str, version: UUID) -> VersionView:
        """One version; raises NoSuchEntry."""
        own = dataset_id(namespace, name)
        async with self._database.reading() as db:
            of = _one(await queries.rows(db, queries.datasets_of(ids=[own])), _no_dataset(namespace, name))
            found = await queries.rows(db, queries.versions_of(own, version))
            row = _one(found, f"The dataset {name!r} has no version {version}.")
            return (await version_views(db, of, [row]))[0]

    async def jobs(self, namespace: str, limit: int, offset: int) -> JobList:
        """The jobs of a namespace."""
        async with self._database.reading() as db:
            found, total = await queries.page(db, queries.jobs_of(namespace), limit, offset)
            return JobList(jobs=await job_views(db, found), total_count=total)

    async def job(self, namespace: str, name: str) -> JobView:
        """One job; raises NoSuchEntry."""
        async with self._database.reading() as db:
            found = await queries.rows(db, queries.jobs_of(ids=[job_id(namespace, name)]))
            return (await job_views(db, [_one(found, _no_job(namespace, name))]))[0]

    async def runs(self, namespace: str, name: str, limit: int, offset: int) -> RunList:
        """The runs of a job; raises NoSuchEntry."""
        own = job_id(namespace, name)
        async with self._database.reading() as db:
            if not await queries.existing(db, "job", [own]):
                raise NoSuchEntry(_no_job(namespace, name))
            found, total = await queries.page(db, queries.runs_of(own), limit, offset)
            return RunList(runs=await run_views(db, found), total_count=total)

    async def run(self, run: UUID) -> RunView:
        """One run; raises NoSuchRun."""
        async with self._database.reading() as db:
            found = await queries.rows(db, queries.runs_of(ids=[run]))
            if not found:
                raise NoSuchRun(f"No event has named the run {run}.")
            return (await run_views(db, found))[0]

    async def search(
        self, text: str, namespace: str | None, only: str | None, limit: int, *, by_time: bool
    ) -> FoundList:
        """Datasets and jobs whose names have a text."""
        query = queries.found_by(text, namespace, only, by_time=by_time)
        async with self._database.reading() as db:
            found, total = await queries.page(db, query, limit, 0)
        results = [
            FoundView(
                type=row["type"],
                name=row["name"],
                namespace=row["namespace"],
                node_id=node_of(row["type"].lower(), row["namespace"], row["name"]),
                updated_at=row["last_at"],
            )
            for row in found
        ]
        return FoundList(results=results, total_count=total)

    async def events(
        self,
        limit: int,
        offset: int,
        *,
        namespace: str | None = None,
        before: datetime | None = None,
        after: datetime | None = None,
        newest: bool = True,
    ) -> tuple[list[str], int]:
        """Events as they were sent, from `after` on and earlier than `before`, and how many there are."""
        conditions: list[sa.ColumnElement[bool]] = []
        if namespace is not None:
            conditions.append(events.c.namespace == namespace)
        if before is not None:
            conditions.append(events.c.event_time < before)
        if after is not None:
            conditions.append(events.c.event_time >= after)
        async with self._database.reading() as db:
            return await queries.events_of(db, conditions, limit, offset, newest=newest)


def _one(found: Sequence[queries.Row], missing: str) -> queries.Row:
    if not found:
        raise NoSuchEntry(missing)
    return found[0]


def _no_dataset(namespace: str, name: str) -> str:
    return f"No event has named the dataset {name!r} in the namespace {namespace!r}."


def _no_job(namespace: str, name: str) -> str:
    return f"No event has named the job {name!r} in the namespace {namespace!r}."


def _of(view: type[Any], row: queries.Row) -> dict[str, Any]:
    return {name: row[name] for name in view.model_fields}


def _namespace(row: queries.Row) -> NamespaceView:
    return NamespaceView(
        name=row["name"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        owner_name=row["owner"] or "",
        description=row["description"],
    )


def _source(row: queries.Row) -> SourceView:
    return SourceView(**_of(SourceView, row))
