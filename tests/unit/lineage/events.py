"""Events of lineage for tests, and random sets of them."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

SPECIFICATION = "https://openlineage.io/spec/2-0-2/OpenLineage.json"
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
RUN = "0197a2a0-0000-7000-8000-0000000000aa"


def facet(**members: Any) -> dict[str, Any]:
    """A facet with these members."""
    return {"_producer": "https://example.com/test", "_schemaURL": f"{SPECIFICATION}#/facet", **members}


def dataset(name: str, *, namespace: str = "db://host:1", **facets: Any) -> dict[str, Any]:
    """A dataset with these facets."""
    return {"namespace": namespace, "name": name, "facets": facets}


def columns(*names: str) -> dict[str, Any]:
    """A schema facet."""
    return facet(fields=[{"name": name, "type": "text"} for name in names])


def column_lineage(**sources: tuple[str, str]) -> dict[str, Any]:
    """A columnLineage facet: column → (dataset, column)."""
    return facet(
        fields={
            column: {"inputFields": [{"namespace": "db://host:1", "name": table, "field": field}]}
            for column, (table, field) in sources.items()
        }
    )


def base(kind: str, minute: float = 0) -> dict[str, Any]:
    """What every event has; `minute` after BEGIN."""
    return {
        "eventTime": (BEGIN + timedelta(minutes=minute)).isoformat(),
        "producer": "https://example.com/test",
        "schemaURL": f"{SPECIFICATION}#/$defs/{kind}",
    }


def run_event(
    said: str | None = "START",
    *,
    run: str = RUN,
    job: str = "copy",
    minute: float = 0,
    inputs: list[dict[str, Any]] | None = None,
    outputs: list[dict[str, Any]] | None = None,
    **facets: Any,
) -> dict[str, Any]:
    """An event of a run."""
    return {
        **base("RunEvent", minute),
        **({"eventType": said} if said else {}),
        "run": {"runId": run, "facets": facets},
        "job": {"namespace": "jobs", "name": job},
        **({} if inputs is None else {"inputs": inputs}),
        **({} if outputs is None else {"outputs": outputs}),
    }


def job_event(job: str = "copy", *, minute: float = 0, **facets: Any) -> dict[str, Any]:
    """An event of a job."""
    return {**base("JobEvent", minute), "job": {"namespace": "jobs", "name": job, "facets": facets}}


def dataset_event(of: dict[str, Any], *, minute: float = 0) -> dict[str, Any]:
    """An event of a dataset."""
    return {**base("DatasetEvent", minute), "dataset": of}


def random_events(seed: int, count: int = 60) -> list[dict[str, Any]]:
    """A set of events of a few jobs, runs and datasets, many at the same time and some that contradict others."""
    chance = random.Random(seed)
    tables = [f"t{number}" for number in range(5)]

    def some(*, output: bool) -> list[dict[str, Any]]:
        found = []
        for name in chance.sample(tables, chance.randint(0, 2)):
            facets: dict[str, Any] = {}
            if chance.random() < 0.5:
                facets["schema"] = columns(*chance.sample("abcd", chance.randint(1, 3)))
            if output and chance.random() < 0.5:
                facets["columnLineage"] = column_lineage(a=(chance.choice(tables), chance.choice("ab")))
            if chance.random() < 0.3:
                facets["documentation"] = facet(description=f"text {chance.randint(0, 9)}")
            found.append(
                {
                    **dataset(name, **facets),
                    ("outputFacets" if output else "inputFacets"): {"rows": facet(n=chance.randint(0, 9))},
                }
            )
        return found

    made: list[dict[str, Any]] = []
    for _ in range(count):
        minute = chance.randint(0, 8)
        match chance.randint(0, 9):
            case 0:
                job = f"job{chance.randint(0, 2)}"
                made.append(job_event(job, minute=minute, documentation=facet(description=job)))
            case 1:
                made.append(
                    dataset_event(
                        dataset(chance.choice(tables), schema=columns("a", chance.choice("bc"))),
                        minute=minute,
                    )
                )
            case _:
                number = chance.randint(0, 5)
                made.append(
                    run_event(
                        chance.choice(["START", "RUNNING", "COMPLETE", "FAIL", "ABORT", "OTHER", None]),
                        run=str(UUID(int=number + 1)),
                        # Contradicts others now and then.
                        job=f"job{number % 3 if chance.random() < 0.9 else 0}",
                        minute=minute,
                        inputs=some(output=False),
                        outputs=some(output=True),
                        nominalTime=facet(nominalStartTime=BEGIN.isoformat()),
                    )
                )
    return made
