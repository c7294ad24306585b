"""From rows and facets to views."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import orjson

from services.chassis.database import ApplicationReader
from services.lineage.events.rows import state_of
from services.lineage.reading import queries
from services.lineage.reading.views import (
    DatasetView,
    FieldView,
    JobView,
    NameView,
    RunView,
    VersionName,
    VersionView,
)

OURS_DATASET, OURS_JOB, OURS_RUN = "creditmesh_dataset", "creditmesh_job", "creditmesh_run"
"""Facets of what is entered by Marquez' own routes and has no facet in OpenLineage."""


async def dataset_views(db: ApplicationReader, found: Sequence[queries.Row]) -> list[DatasetView]:
    """Datasets with their facets and tags."""
    ids = [row["id"] for row in found]
    facets, tags = await queries.facets_of(db, "dataset", ids), await queries.tags_of(db, ids)
    return [_dataset(row, facets[row["id"]], tags[row["id"]]) for row in found]


def _dataset(row: queries.Row, facets: dict[str, Any], tags: Mapping[str, list[str]]) -> DatasetView:
    return DatasetView(
        id=NameView(namespace=row["namespace"], name=row["name"]),
        created_at=row["first_at"],
        updated_at=row["last_at"],
        fields=_fields((facets.get("schema") or {}).get("fields") or [], tags),
        last_modified_at=row["modified_at"],
        current_version=row["version_id"],
        facets=facets,
        deleted=False,
        **_described(row, facets, tags),
    )


def _described(row: queries.Row, facets: dict[str, Any], tags: Mapping[str, list[str]]) -> dict[str, Any]:
    ours = facets.get(OURS_DATASET) or {}
    source = facets.get("dataSource") or {}
    return {
        "type": str(ours.get("type") or "DB_TABLE"),
        "name": row["name"],
        "physical_name": str(ours.get("physicalName") or row["name"]),
        "namespace": row["namespace"],
        "source_name": str(source.get("name") or row["namespace"]),
        "tags": tags.get("", []),
        "description": (facets.get("documentation") or {}).get("description"),
    }


def _fields(fields: Sequence[Mapping[str, Any]], tags: Mapping[str, list[str]]) -> list[FieldView]:
    return [
        FieldView(
            name=one["name"],
            type=one.get("type"),
            tags=tags.get(one["name"], []),
            description=one.get("description"),
        )
        for one in fields
    ]


async def version_views(
    db: ApplicationReader, dataset: queries.Row, found: Sequence[queries.Row]
) -> list[VersionView]:
    """Versions of a dataset with the runs that made them."""
    own = dataset["id"]
    facets = (await queries.facets_of(db, "dataset", [own]))[own]
    tags = (await queries.tags_of(db, [own]))[own]
    ids = [row["run_id"] for row in found if row["run_id"] is not None]
    runs = {run.id: run for run in await run_views(db, await queries.rows(db, queries.runs_of(ids=ids)))}
    return [
        VersionView(
            id=VersionName(namespace=dataset["namespace"], name=dataset["name"], version=row["id"]),
            created_at=row["first_at"],
            version=row["id"],
            fields=_fields(orjson.loads(row["fields"] or "[]"), tags),
            created_by_run=runs.get(row["run_id"]),
            facets=facets,
            **_described(dataset, facets, tags),
        )
        for row in found
    ]


async def run_views(db: ApplicationReader, found: Sequence[queries.Row]) -> list[RunView]:
    """Runs with their facets and what they have read and written."""
    ids = [row["id"] for row in found]
    facets = await queries.facets_of(db, "run", ids)
    versions: dict[UUID, dict[str, list[VersionName]]] = {one: {"in": [], "out": []} for one in ids}
    for row in await queries.versions_of_runs(db, ids):
        if row["version"] is not None:
            versions[row["set_id"]][row["direction"]].append(
                VersionName(namespace=row["namespace"], name=row["name"], version=row["version"])
            )
    return [_run(row, facets[row["id"]], versions[row["id"]]) for row in found]


def _run(row: queries.Row, facets: dict[str, Any], versions: Mapping[str, list[VersionName]]) -> RunView:
    nominal = facets.get("nominalTime") or {}
    began, ended = row["started_at"], row["ended_at"]
    args = (facets.get(OURS_RUN) or {}).get("args")
    return RunView(
        id=row["id"],
        created_at=row["first_at"],
        updated_at=row["last_at"],
        nominal_start_time=nominal.get("nominalStartTime"),
        nominal_end_time=nominal.get("nominalEndTime"),
        state=state_of(began, row["ended_as"]),
        started_at=began,
        ended_at=ended,
        duration_ms=None if began is None or ended is None else round((ended - began).total_seconds() * 1000),
        args=args if isinstance(args, dict) else {},
        job=NameView(namespace=row["namespace"], name=row["name"]),
        input_versions=versions["in"],
        output_versions=versions["out"],
        facets=facets,
    )


async def job_views(db: ApplicationReader, found: Sequence[queries.Row]) -> list[JobView]:
    """Jobs with their facets, datasets and latest runs."""
    ids = [row["id"] for row in found]
    facets = await queries.facets_of(db, "job", ids)
    named: dict[UUID, dict[str, list[NameView]]] = {one: {"in": [], "out": []} for one in ids}
    for row in await queries.datasets_of_jobs(db, ids):
        named[row["job_id"]][row["direction"]].append(NameView(namespace=row["namespace"], name=row["name"]))
    run_ids = [row["run_id"] for row in found if row["run_id"] is not None]
    runs = {run.id: run for run in await run_views(db, await queries.rows(db, queries.runs_of(ids=run_ids)))}
    return [_job(row, facets[row["id"]], named[row["id"]], runs.get(row["run_id"])) for row in found]


def _job(
    row: queries.Row, facets: dict[str, Any], named: Mapping[str, list[NameView]], latest: RunView | None
) -> JobView:
    processing = str((facets.get("jobType") or {}).get("processingType") or "BATCH")
    context = (facets.get(OURS_JOB) or {}).get("context")
    return JobView(
        id=NameView(namespace=row["namespace"], name=row["name"]),
        type="STREAM" if processing == "STREAMING" else processing,
        name=row["name"],
        created_at=row["first_at"],
        updated_at=row["last_at"],
        namespace=row["namespace"],
        inputs=named["in"],
        outputs=named["out"],
        location=(facets.get("sourceCodeLocation") or {}).get("url"),
        context=context if isinstance(context, dict) else {},
        description=(facets.get("documentation") or {}).get("description"),
        latest_run=latest,
        facets=facets,
    )
