"""From a checked event to the rows that it says. Plain Python."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

import orjson

from services.lineage.events.model import kind_of, moment
from services.lineage.events.rows import (
    ENDS,
    NO_JOB,
    STARTS,
    Rows,
    dataset_id,
    job_id,
    set_of,
    slot_id,
    version_id,
)

INPUT, OUTPUT = "in", "out"
_SCHEMA, _COLUMN_LINEAGE = "schema", "columnLineage"


@dataclass(frozen=True, slots=True)
class Event:
    """A checked event, with what it is known by."""

    content: Mapping[str, Any]
    text: bytes
    """Its canonical text: the same event has the same one, in whatever order its members were sent."""
    hash: bytes
    kind: str
    at: datetime

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "Event":
        """The event of a checked content."""
        text = canonical(content)
        return cls(
            content, text, hashlib.sha256(text).digest(), kind_of(content), moment(content["eventTime"])
        )

    @property
    def run(self) -> UUID | None:
        """Its run."""
        return UUID(self.content["run"]["runId"]) if "run" in self.content else None

    @property
    def namespace(self) -> str:
        """The namespace of its job, or of its dataset."""
        return str((self.content.get("job") or self.content.get("dataset") or {})["namespace"])


def canonical(value: Any) -> bytes:
    """JSON with sorted members."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def project(events: Iterable[Event]) -> Rows:
    """The rows that follow from these events together."""
    rows = Rows()
    for event in events:
        _Projected(rows, event).project()
    return rows


class _Projected:
    def __init__(self, rows: Rows, event: Event) -> None:
        self._rows = rows
        self._event = event
        self._at, self._hash = event.at, event.hash

    def project(self) -> None:
        content = self._event.content
        if "job" not in content:
            dataset = self._dataset(content["dataset"])
            self._version(dataset, set_of(self._hash), content["dataset"])
            self._column_lineage(dataset, NO_JOB, content["dataset"])
            return
        job = content["job"]
        own = job_id(job["namespace"], job["name"])
        set_id = self._event.run or set_of(self._hash)
        named = [
            *((INPUT, dataset) for dataset in content.get("inputs") or ()),
            *((OUTPUT, dataset) for dataset in content.get("outputs") or ()),
        ]
        self._rows.add(
            "job",
            id=own,
            namespace=job["namespace"],
            name=job["name"],
            first_at=self._at,
            last_at=self._at,
            # Only events that name datasets say what the job reads and writes now.
            **({"io_at": self._at, "io_hash": self._hash, "io_set": set_id} if named else {}),
        )
        self._facets("job", own, job.get("facets"))
        if self._event.run is not None:
            self._run(self._event.run, own)
        for direction, dataset in named:
            self._named(direction, dataset, own, set_id)

    def _run(self, run: UUID, job: UUID) -> None:
        said = str(self._event.content.get("eventType") or "OTHER")
        self._rows.add(
            "run",
            id=run,
            first_at=self._at,
            last_at=self._at,
            started_at=self._at if said in STARTS else None,
            job_at=self._at,
            job_hash=self._hash,
            job_id=job,
            **({"ended_at": self._at, "ended_hash": self._hash, "ended_as": said} if said in ENDS else {}),
        )
        self._facets("run", run, self._event.content["run"].get("facets"))

    def _named(self, direction: str, dataset: Mapping[str, Any], job: UUID, set_id: UUID) -> None:
        own = self._dataset(dataset)
        self._rows.add(
            "io", set_id=set_id, direction=direction, dataset_id=own, job_id=job, first_at=self._at
        )
        facets = dataset.get("inputFacets" if direction == INPUT else "outputFacets")
        self._facets(direction, slot_id(set_id, direction, own), facets)
        if direction == OUTPUT:
            self._version(own, set_id, dataset)
            self._column_lineage(own, job, dataset)

    def _dataset(self, dataset: Mapping[str, Any]) -> UUID:
        own = dataset_id(dataset["namespace"], dataset["name"])
        self._rows.add(
            "dataset",
            id=own,
            namespace=dataset["namespace"],
            name=dataset["name"],
            first_at=self._at,
            last_at=self._at,
        )
        # What columns follow from is kept for each job: two jobs may write one dataset.
        facets = {
            name: body for name, body in (dataset.get("facets") or {}).items() if name != _COLUMN_LINEAGE
        }
        self._facets("dataset", own, facets)
        return own

    def _facets(self, kind: str, owner: UUID, facets: Mapping[str, Any] | None) -> None:
        for name, body in (facets or {}).items():
            if body is not None:
                self._rows.add(
                    "facet",
                    kind=kind,
                    owner=owner,
                    name=name,
                    at=self._at,
                    hash=self._hash,
                    body=canonical(body).decode(),
                )

    def _version(self, dataset: UUID, set_id: UUID, content: Mapping[str, Any]) -> None:
        own = version_id(dataset, set_id)
        fields = _member(content, _SCHEMA, "fields")
        stamped: dict[str, Any] = {}
        if fields is not None:
            text = canonical(fields).decode()
            columns = uuid5(NO_JOB, text)
            self._rows.add("columns", id=columns, fields=text)
            stamped = {"at": self._at, "hash": self._hash, "columns_id": columns}
        self._rows.add("version", id=own, dataset_id=dataset, set_id=set_id, first_at=self._at, **stamped)
        self._rows.add(
            "dataset",
            id=dataset,
            first_at=self._at,
            last_at=self._at,
            version_at=self._at,
            version_hash=self._hash,
            version_id=own,
        )

    def _column_lineage(self, dataset: UUID, job: UUID, content: Mapping[str, Any]) -> None:
        fields = _member(content, _COLUMN_LINEAGE, "fields")
        if fields is not None:
            self._rows.add(
                "column_lineage",
                dataset_id=dataset,
                job_id=job,
                at=self._at,
                hash=self._hash,
                fields=canonical(fields).decode(),
            )


def _member(content: Mapping[str, Any], facet: str, member: str) -> Any:
    return ((content.get("facets") or {}).get(facet) or {}).get(member)


def columns_of(fields: Sequence[Mapping[str, Any]]) -> list[str]:
    """The names of a schema's fields."""
    return [str(one["name"]) for one in fields]
