"""The SQL of reading the graph."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import orjson
import sqlalchemy as sa

from services.chassis.database import ApplicationReader
from services.lineage.tables import (
    column_lineage,
    columns,
    datasets,
    events,
    facets,
    io,
    jobs,
    namespaces,
    runs,
    sources,
    tagged,
    tags,
    versions,
)

Row = sa.RowMapping
MOST_BYTES_OF_EVENTS = 8 << 20
"""What one list of events has at most; a larger one ends earlier."""
_CURRENT_IO = jobs.join(io, sa.and_(io.c.set_id == jobs.c.io_set, io.c.job_id == jobs.c.id))


async def rows(db: ApplicationReader, query: sa.Select[Any]) -> list[Row]:
    """The rows of a query."""
    return list((await db.execute(query)).mappings())


async def page(
    db: ApplicationReader, query: sa.Select[Any], limit: int, offset: int
) -> tuple[list[Row], int]:
    """A part of a query's rows, and how many there are."""
    total = await db.scalar(sa.select(sa.func.count()).select_from(query.order_by(None).subquery()))
    return await rows(db, query.limit(limit).offset(offset)), int(total)


def known_namespaces() -> sa.Select[Any]:
    """Every namespace that was named by an event or a person."""
    named = sa.union_all(
        *(
            sa.select(table.c.namespace.label("name"), table.c.first_at, table.c.last_at)
            for table in (datasets, jobs)
        ),
        sa.select(namespaces.c.name, namespaces.c.created_at, namespaces.c.updated_at),
    ).subquery()
    seen = (
        sa.select(
            named.c.name,
            sa.func.min(named.c.first_at).label("created_at"),
            sa.func.max(named.c.last_at).label("updated_at"),
        )
        .group_by(named.c.name)
        .subquery()
    )
    return (
        sa.select(seen, namespaces.c.owner, namespaces.c.description)
        .select_from(seen.outerjoin(namespaces, namespaces.c.name == seen.c.name))
        .order_by(seen.c.name)
    )


def known_sources() -> sa.Select[Any]:
    """The sources that people have entered."""
    return sa.select(sources).order_by(sources.c.name)


def known_tags() -> sa.Select[Any]:
    """The tags that people have entered."""
    return sa.select(tags).order_by(tags.c.name)


def datasets_of(namespace: str | None = None, ids: Iterable[UUID] | None = None) -> sa.Select[Any]:
    """Datasets with their current version, by name."""
    query = (
        sa.select(datasets, versions.c.first_at.label("modified_at"))
        .select_from(datasets.outerjoin(versions, versions.c.id == datasets.c.version_id))
        .order_by(datasets.c.namespace, datasets.c.name)
    )
    if namespace is not None:
        query = query.where(datasets.c.namespace == namespace)
    return query if ids is None else query.where(datasets.c.id.in_(list(ids)))


def jobs_of(namespace: str | None = None, ids: Iterable[UUID] | None = None) -> sa.Select[Any]:
    """Jobs with their latest run, by name."""
    latest = (
        sa.select(runs.c.id)
        .where(runs.c.job_id == jobs.c.id)
        .order_by(runs.c.first_at.desc(), runs.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    query = sa.select(jobs, latest.label("run_id")).order_by(jobs.c.namespace, jobs.c.name)
    if namespace is not None:
        query = query.where(jobs.c.namespace == namespace)
    return query if ids is None else query.where(jobs.c.id.in_(list(ids)))


def runs_of(job: UUID | None = None, ids: Iterable[UUID] | None = None) -> sa.Select[Any]:
    """Runs with the names of their jobs, the newest first."""
    query = (
        sa.select(runs, jobs.c.namespace, jobs.c.name)
        .select_from(runs.join(jobs, jobs.c.id == runs.c.job_id))
        .order_by(runs.c.first_at.desc(), runs.c.id.desc())
    )
    if job is not None:
        query = query.where(runs.c.job_id == job)
    return query if ids is None else query.where(runs.c.id.in_(list(ids)))


def versions_of(dataset: UUID, version: UUID | None = None) -> sa.Select[Any]:
    """Versions of a dataset with their columns, the newest first."""
    query = (
        sa.select(versions, columns.c.fields, runs.c.id.label("run_id"))
        .select_from(
            versions.outerjoin(columns, columns.c.id == versions.c.columns_id).outerjoin(
                runs, runs.c.id == versions.c.set_id
            )
        )
        .where(versions.c.dataset_id == dataset)
        .order_by(versions.c.first_at.desc(), versions.c.id)
    )
    return query if version is None else query.where(versions.c.id == version)


async def facets_of(db: ApplicationReader, kind: str, owners: Sequence[UUID]) -> dict[UUID, dict[str, Any]]:
    """The facets of each owner that were not taken back."""
    found: dict[UUID, dict[str, Any]] = {owner: {} for owner in owners}
    query = (
        sa.select(facets.c.owner, facets.c.name, facets.c.body)
        .where(facets.c.kind == kind, facets.c.owner.in_(owners))
        .order_by(facets.c.name)
    )
    for row in await rows(db, query):
        body = orjson.loads(row["body"])
        if body.get("_deleted") is not True:
            found[row["owner"]][row["name"]] = body
    return found


async def tags_of(db: ApplicationReader, ids: Sequence[UUID]) -> dict[UUID, dict[str, list[str]]]:
    """The tags of each dataset by column; those of the dataset itself under an empty name."""
    query = (
        sa.select(tagged.c.dataset_id, tagged.c.field, tags.c.name)
        .select_from(tagged.join(tags, tags.c.id == tagged.c.tag_id))
        .where(tagged.c.dataset_id.in_(ids))
        .order_by(tags.c.name)
    )
    found: dict[UUID, dict[str, list[str]]] = {one: {} for one in ids}
    for row in await rows(db, query):
        found[row["dataset_id"]].setdefault(row["field"], []).append(row["name"])
    return found


async def datasets_of_jobs(db: ApplicationReader, ids: Sequence[UUID]) -> list[Row]:
    """What jobs read and write now: job_id, direction, namespace, name."""
    query = (
        sa.select(io.c.job_id, io.c.direction, datasets.c.namespace, datasets.c.name)
        .select_from(_CURRENT_IO.join(datasets, datasets.c.id == io.c.dataset_id))
        .where(jobs.c.id.in_(ids))
        .order_by(datasets.c.namespace, datasets.c.name)
    )
    return await rows(db, query)


async def versions_of_runs(db: ApplicationReader, ids: Sequence[UUID]) -> list[Row]:
    """What runs have read and written: set_id, direction, namespace, name, version (None: nobody has written it)."""
    began = sa.func.coalesce(runs.c.started_at, runs.c.first_at)
    read = (
        sa.select(versions.c.id)
        .where(versions.c.dataset_id == io.c.dataset_id, versions.c.first_at <= began)
        .order_by(versions.c.first_at.desc())
        .limit(1)
        .scalar_subquery()
    )
    written = (
        sa.select(versions.c.id)
        .where(versions.c.dataset_id == io.c.dataset_id, versions.c.set_id == io.c.set_id)
        .limit(1)
        .scalar_subquery()
    )
    query = (
        sa.select(
            io.c.set_id,
            io.c.direction,
            datasets.c.namespace,
            datasets.c.name,
            sa.case((io.c.direction == "out", written), else_=read).label("version"),
        )
        .distinct()
        .select_from(io.join(datasets, datasets.c.id == io.c.dataset_id).join(runs, runs.c.id == io.c.set_id))
        .where(io.c.set_id.in_(ids))
        .order_by(datasets.c.namespace, datasets.c.name)
    )
    return await rows(db, query)


async def current_edges(db: ApplicationReader) -> list[Row]:
    """Every edge between a job and a dataset: job_id, direction, dataset_id."""
    return await rows(db, sa.select(io.c.job_id, io.c.direction, io.c.dataset_id).select_from(_CURRENT_IO))


async def column_edges(db: ApplicationReader) -> list[Row]:
    """What the columns of every dataset follow from: dataset_id, namespace, name, job_id, fields."""
    query = (
        sa.select(
            datasets.c.id.label("dataset_id"),
            datasets.c.namespace,
            datasets.c.name,
            column_lineage.c.job_id,
            column_lineage.c.fields,
        )
        .select_from(column_lineage.join(datasets, datasets.c.id == column_lineage.c.dataset_id))
        .order_by(column_lineage.c.at, column_lineage.c.hash)
    )
    return await rows(db, query)


async def fields_of(db: ApplicationReader, ids: Sequence[UUID]) -> dict[UUID, list[Row]]:
    """The columns of each dataset."""
    query = sa.select(facets.c.owner, facets.c.body).where(
        facets.c.kind == "dataset", facets.c.name == "schema", facets.c.owner.in_(ids)
    )
    return {row["owner"]: orjson.loads(row["body"]).get("fields") or [] for row in await rows(db, query)}


async def existing(db: ApplicationReader, kind: str, ids: Sequence[UUID]) -> list[UUID]:
    """Those of the ids that a dataset or job has, in the order of `ids`."""
    table = datasets if kind == "dataset" else jobs
    found = {row["id"] for row in await rows(db, sa.select(table.c.id).where(table.c.id.in_(ids)))}
    return [one for one in ids if one in found]


def found_by(text: str, namespace: str | None, only: str | None, *, by_time: bool) -> sa.Select[Any]:
    """Datasets and jobs whose names have a text."""
    parts = []
    for kind, table in (("DATASET", datasets), ("JOB", jobs)):
        if only in (None, kind):
            part = sa.select(
                sa.literal(kind).label("type"), table.c.namespace, table.c.name, table.c.last_at
            ).where(table.c.name.icontains(text, autoescape=True))
            parts.append(part if namespace is None else part.where(table.c.namespace == namespace))
    found = sa.union_all(*parts).subquery()
    order = (found.c.last_at.desc(),) if by_time else ()
    return sa.select(found).order_by(*order, found.c.name, found.c.namespace, found.c.type)


async def events_of(
    db: ApplicationReader,
    conditions: Sequence[sa.ColumnElement[bool]],
    limit: int,
    offset: int,
    *,
    newest: bool,
) -> tuple[list[str], int]:
    """Events as texts, at most MOST_BYTES_OF_EVENTS of them but at least one, and how many there are."""
    total = await db.scalar(sa.select(sa.func.count()).select_from(events).where(*conditions))
    order = [column.desc() if newest else column.asc() for column in (events.c.event_time, events.c.sha256)]
    query = sa.select(events.c.body).where(*conditions).order_by(*order).limit(limit).offset(offset)
    found: list[str] = []
    size = 0
    async with db.connection.stream(query.execution_options(max_row_buffer=8)) as stream:
        async for body in stream.scalars():
            size += len(body)
            if found and size > MOST_BYTES_OF_EVENTS:
                break
            found.append(body)
    return found, int(total)
