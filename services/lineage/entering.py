"""The use cases of entering by hand, or by a program that speaks Marquez' older routes.

Datasets, jobs and runs become events like any other, so that nothing but events makes the graph. Owners, sources and
tags have no event; they are rows that `rebuild` leaves alone.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID, uuid5

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from uuid_utils.compat import uuid7

from services.chassis.database import ApplicationDatabase
from services.lineage.errors import NoSuchEntry
from services.lineage.events.rows import dataset_id, named_id
from services.lineage.reading.assembly import OURS_DATASET, OURS_JOB, OURS_RUN
from services.lineage.reading.service import Reading
from services.lineage.service import Intake, utc_now
from services.lineage.tables import namespaces, sources, tagged, tags

PRODUCER = "https://openlineage.io/creditmesh/lineage"
SPECIFICATION = "https://openlineage.io/spec/2-0-2/OpenLineage.json"
ACTIONS = {"start": "START", "complete": "COMPLETE", "fail": "FAIL", "abort": "ABORT"}
"""The type of the event that each action on a run is."""


class Entering:
    """Entering namespaces, sources, tags, datasets, jobs and runs."""

    def __init__(self, database: ApplicationDatabase, intake: Intake, reading: Reading) -> None:
        self._database = database
        self._intake = intake
        self._reading = reading

    async def namespace(self, name: str, owner: str, description: str | None) -> None:
        """Say who owns a namespace."""
        await self._put(namespaces, "namespace", name, owner=owner, description=description)

    async def source(self, name: str, kind: str, url: str, description: str | None) -> None:
        """Say where a source is; a password in its URL is left out."""
        await self._put(
            sources, "source", name, type=kind, connection_url=without_password(url), description=description
        )

    async def tag(self, name: str, description: str | None) -> None:
        """Say what a tag means."""
        await self._put(tags, "tag", name, description=description)

    async def _put(self, table: sa.Table, kind: str, name: str, **values: str | None) -> None:
        now = utc_now()
        statement = insert(table).values(
            id=named_id(kind, name), name=name, created_at=now, updated_at=now, **values
        )
        changed = statement.on_conflict_do_update(
            index_elements=["id"], set_={**values, "updated_at": statement.excluded.updated_at}
        )
        async with self._database.transaction() as tx:
            await tx.execute(changed)

    async def tagging(self, namespace: str, name: str, field: str, tag: str) -> None:
        """Tag a dataset, or the column `field` of it; a tag that is new is made. Raises NoSuchEntry."""
        dataset = await self._reading.dataset(namespace, name)
        if field and field not in {one.name for one in dataset.fields}:
            raise NoSuchEntry(f"The dataset {name!r} has no column {field!r}.")
        own, now = dataset_id(namespace, name), utc_now()
        async with self._database.transaction() as tx:
            new = {"id": named_id("tag", tag), "name": tag, "created_at": now, "updated_at": now}
            await tx.execute(insert(tags).values(new).on_conflict_do_nothing())
            row = {
                "dataset_id": own,
                "field_id": uuid5(own, field),
                "tag_id": named_id("tag", tag),
                "field": field,
                "tagged_at": now,
            }
            await tx.execute(insert(tagged).values(row).on_conflict_do_nothing())

    async def dataset(self, namespace: str, name: str, said: Mapping[str, Any]) -> None:
        """Say what a dataset is: physicalName, sourceName, type, fields, tags, description, schemaLocation, runId.

        Raises:
            NoSuchRun: it is said to be written by a run that nobody knows.
        """
        # A source whose URL is unknown is named only.
        facets = {
            "schema": _facet(fields=[_column(one) for one in said.get("fields") or ()]),
            "dataSource": _facet(name=said["sourceName"]),
            OURS_DATASET: _facet(
                type=said["type"],
                physicalName=said["physicalName"],
                schemaLocation=said.get("schemaLocation"),
            ),
            **_documentation(said),
        }
        content: dict[str, Any] = {"namespace": namespace, "name": name, "facets": facets}
        if said.get("runId"):
            run = await self._reading.run(UUID(str(said["runId"])))
            await self._run_event(
                run.id, {"namespace": run.job.namespace, "name": run.job.name}, outputs=[content]
            )
        else:
            await self._intake.keep({**_event("DatasetEvent"), "dataset": content})
        for tag in said.get("tags") or ():
            await self.tagging(namespace, name, "", tag)
        for one in said.get("fields") or ():
            for tag in one.get("tags") or ():
                await self.tagging(namespace, name, one["name"], tag)

    async def job(self, namespace: str, name: str, said: Mapping[str, Any]) -> None:
        """Say what a job is: type, inputs, outputs, location, context, description, runId."""
        processing = "STREAMING" if said["type"] == "STREAM" else said["type"]
        location = said.get("location")
        facets = {
            "jobType": _facet(processingType=processing, integration="MARQUEZ", jobType="JOB"),
            OURS_JOB: _facet(context=said.get("context") or {}),
            **({"sourceCodeLocation": _facet(type="url", url=location)} if location else {}),
            **_documentation(said),
        }
        job = {"namespace": namespace, "name": name, "facets": facets}
        inputs, outputs = (said.get(side) or [] for side in ("inputs", "outputs"))
        if said.get("runId"):
            await self._run_event(UUID(str(said["runId"])), job, inputs=inputs, outputs=outputs)
        else:
            named = {"inputs": inputs, "outputs": outputs}
            await self._intake.keep({**_event("JobEvent"), "job": job, **named})

    async def run(self, namespace: str, name: str, said: Mapping[str, Any]) -> UUID:
        """Say that a job will run: id, nominalStartTime, nominalEndTime, args. Raises NoSuchEntry."""
        await self._reading.job(namespace, name)
        run = UUID(str(said["id"])) if said.get("id") else uuid7()
        nominal = {part: said[part] for part in ("nominalStartTime", "nominalEndTime") if said.get(part)}
        facets = {
            OURS_RUN: _facet(args=said.get("args") or {}),
            **({"nominalTime": _facet(**nominal)} if nominal else {}),
        }
        await self._run_event(run, {"namespace": namespace, "name": name}, facets=facets)
        return run

    async def mark(self, run: UUID, action: str, at: datetime | None) -> None:
        """Say that a run has started or ended, now or at another time; raises NoSuchRun."""
        known = await self._reading.run(run)
        job = {"namespace": known.job.namespace, "name": known.job.name}
        await self._run_event(run, job, said=ACTIONS[action], at=at)

    async def _run_event(
        self,
        run: UUID,
        job: Mapping[str, Any],
        *,
        said: str = "OTHER",
        at: datetime | None = None,
        facets: Mapping[str, Any] | None = None,
        inputs: Sequence[Mapping[str, Any]] = (),
        outputs: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        await self._intake.keep(
            {
                **_event("RunEvent", at),
                "eventType": said,
                "run": {"runId": str(run), "facets": dict(facets or {})},
                "job": dict(job),
                "inputs": list(inputs),
                "outputs": list(outputs),
            }
        )


def without_password(url: str) -> str:
    """The URL without a password in it; a text that is no URL stays as it is."""
    try:
        parts = urlsplit(url)
        if parts.password is None:
            return url
        place = f"{parts.username}@{parts.netloc.rpartition('@')[2]}"
    except ValueError:
        return url
    return urlunsplit(parts._replace(netloc=place))


def _event(kind: str, at: datetime | None = None) -> dict[str, Any]:
    return {
        "eventTime": (at or utc_now()).isoformat(),
        "producer": PRODUCER,
        "schemaURL": f"{SPECIFICATION}#/$defs/{kind}",
    }


def _facet(**members: Any) -> dict[str, Any]:
    said = {name: value for name, value in members.items() if value is not None}
    return {"_producer": PRODUCER, "_schemaURL": f"{SPECIFICATION}#/$defs/BaseFacet", **said}


def _column(said: Mapping[str, Any]) -> dict[str, Any]:
    return {name: said[name] for name in ("name", "type", "description") if said.get(name) is not None}


def _documentation(said: Mapping[str, Any]) -> dict[str, Any]:
    text = said.get("description")
    return {"documentation": _facet(description=text)} if text else {}
