"""What an event must look like, and what follows from any set of them."""

from __future__ import annotations

import copy
import random
from typing import Any

import orjson
import pytest
from openlineage.client.event_v2 import (
    DatasetEvent,
    InputDataset,
    Job,
    JobEvent,
    OutputDataset,
    Run,
    RunEvent,
    RunState,
    StaticDataset,
)
from openlineage.client.facet_v2 import column_lineage_dataset, schema_dataset
from openlineage.client.serde import Serde

from services.lineage.events.model import Fault, check, moment
from services.lineage.events.projection import Event, project
from services.lineage.events.rows import RULES, Rows, dataset_id, job_id, state_of
from tests.unit.lineage.events import (
    RUN,
    column_lineage,
    columns,
    dataset,
    dataset_event,
    facet,
    job_event,
    random_events,
    run_event,
)

VALID = run_event(
    inputs=[dataset("from", schema=columns("a"))],
    outputs=[dataset("to", schema=columns("a"), columnLineage=column_lineage(a=("from", "a")))],
    parent=facet(run={"runId": RUN}, job={"namespace": "jobs", "name": "whole"}),
    somebody_elses=facet(anything={"nested": [1, None]}),
)


def faults(event: Any) -> list[tuple[str, str]]:
    with pytest.raises(Fault) as caught:
        check(event)
    return caught.value.faults


def changed(*path: str | int, to: Any) -> dict[str, Any]:
    event = copy.deepcopy(VALID)
    place: Any = event
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = to
    return event


@pytest.mark.parametrize("event", [VALID, job_event(), dataset_event(dataset("t")), run_event(None)])
def test_what_the_specification_allows_is_valid(event: dict[str, Any]) -> None:
    check(event)


def test_what_openlineage_python_writes_is_valid() -> None:
    time, producer = "2026-01-31T09:30:00.123456+00:00", "https://example.com/p"
    job = Job("jobs", "copy")
    lineage = column_lineage_dataset.ColumnLineageDatasetFacet(
        fields={
            "a": column_lineage_dataset.Fields(
                inputFields=[column_lineage_dataset.InputField("n", "from", "a")]
            )
        }
    )
    schema = schema_dataset.SchemaDatasetFacet([schema_dataset.SchemaDatasetFacetFields("a", "int")])
    for event in (
        RunEvent(
            eventTime=time,
            producer=producer,
            run=Run(RUN),
            job=job,
            eventType=RunState.COMPLETE,
            inputs=[InputDataset("n", "from")],
            outputs=[OutputDataset("n", "to", {"columnLineage": lineage, "schema": schema})],
        ),
        JobEvent(eventTime=time, producer=producer, job=job),
        DatasetEvent(
            eventTime=time, producer=producer, dataset=StaticDataset("n", "to", facets={"schema": schema})
        ),
    ):
        check(orjson.loads(Serde.to_json(event)))


@pytest.mark.parametrize(
    ("event", "pointer"),
    [
        ([], ""),
        ({}, ""),
        (changed("eventTime", to="2026-01-31"), "/eventTime"),
        (changed("eventTime", to="2026-01-31T09:30:00"), "/eventTime"),
        (changed("eventTime", to="2026-02-30T09:30:00Z"), "/eventTime"),
        (changed("eventTime", to="0001-01-01T00:00:00+14:00"), "/eventTime"),
        (changed("eventTime", to=None), "/eventTime"),
        (changed("eventType", to="BEGIN"), "/eventType"),
        (changed("schemaURL", to="https://openlineage.io/spec/3-0-0/OpenLineage.json"), "/schemaURL"),
        (changed("producer", to=1), "/producer"),
        (changed("run", "runId", to="0197a2a0"), "/run/runId"),
        (changed("run", "facets", "x", to={}), "/run/facets/x/_producer"),
        (changed("run", "facets", "parent", "run", to={}), "/run/facets/parent/run/runId"),
        (changed("job", to={"namespace": "jobs"}), "/job/name"),
        (changed("job", "name", to="a\0b"), "/job/name"),
        (changed("job", "name", to="a" * 1025), "/job/name"),
        (changed("job", "name", to=""), "/job/name"),
        (changed("inputs", to={}), "/inputs"),
        (changed("inputs", 0, "name", to=7), "/inputs/0/name"),
        (changed("inputs", 0, "facets", "schema", "fields", to="a"), "/inputs/0/facets/schema/fields"),
        (
            changed("outputs", 0, "facets", "columnLineage", "fields", "a", to={}),
            "/outputs/0/facets/columnLineage/fields/a/inputFields",
        ),
        (changed("outputs", 0, "outputFacets", to={"a~/b": 1}), "/outputs/0/outputFacets/a~0~1b"),
    ],
    ids=lambda value: value.replace("/", ".") if isinstance(value, str) else "",
)
def test_a_fault_is_named_by_its_place(event: Any, pointer: str) -> None:
    assert pointer in [place for place, _ in faults(event)]


def test_a_fault_does_not_repeat_what_was_sent() -> None:
    event = changed("job", "name", to="PLANTED\0")
    assert "PLANTED" not in repr(faults(event))


def test_only_so_many_faults_are_told() -> None:
    assert len(faults(changed("inputs", to=[{}] * 500))) == 50


def test_a_time_is_moved_to_utc_and_cut_to_microseconds() -> None:
    assert moment("2026-01-31T09:30:00.123456789+07:00").isoformat() == "2026-01-31T02:30:00.123456+00:00"


def rows(events: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found = project([Event.of(event) for event in events])
    return {name: found.sorted(name) for name in RULES}


def test_an_event_has_one_hash_whatever_the_order_of_its_members() -> None:
    turned = dict(reversed(list(VALID.items())))
    assert Event.of(turned).hash == Event.of(VALID).hash != Event.of(run_event()).hash


@pytest.mark.parametrize("seed", range(20))
def test_the_order_of_events_and_their_repetition_do_not_matter(seed: int) -> None:
    events = random_events(seed)
    wanted = rows(events)
    chance = random.Random(seed)
    shuffled = chance.sample(events, len(events)) + chance.choices(events, k=20)
    chance.shuffle(shuffled)
    assert rows(shuffled) == wanted
    # In pieces, merged in another order.
    merged = Rows()
    for start in range(0, len(shuffled), 7)[::-1]:
        merged.merge(project([Event.of(event) for event in shuffled[start : start + 7]]))
    assert {name: merged.sorted(name) for name in RULES} == wanted


def test_an_end_before_its_start_ends_the_run() -> None:
    (run,) = rows([run_event("COMPLETE", minute=5), run_event("START", minute=6)])["run"]
    assert state_of(run["started_at"], run["ended_as"]) == "COMPLETED"


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ("START", "RUNNING"),
        ("RUNNING", "RUNNING"),
        ("OTHER", "NEW"),
        (None, "NEW"),
        ("FAIL", "FAILED"),
        ("ABORT", "ABORTED"),
    ],
)
def test_a_run_without_an_end_is_as_its_events_say(said: str | None, state: str) -> None:
    (run,) = rows([run_event(said)])["run"]
    assert state_of(run["started_at"], run["ended_as"]) == state


def test_a_job_reads_and_writes_what_its_latest_event_with_datasets_says() -> None:
    other = "0197a2a0-0000-7000-8000-0000000000bb"
    (job,) = rows(
        [
            run_event("COMPLETE", outputs=[dataset("old")], minute=1),
            run_event("COMPLETE", outputs=[dataset("new")], minute=3, run=other),
            run_event("START", minute=9),
        ]
    )["job"]
    assert (job["id"], str(job["io_set"])) == (job_id("jobs", "copy"), other)


def test_two_jobs_that_write_one_dataset_keep_their_own_column_lineage() -> None:
    def writes(job: str, source: str) -> dict[str, Any]:
        return run_event(
            job=job,
            outputs=[dataset("to", columnLineage=column_lineage(a=(source, "a")))],
            minute=len(source),
        )

    found = rows([writes("one", "x"), writes("two", "yy")])["column_lineage"]
    assert {row["job_id"] for row in found} == {job_id("jobs", "one"), job_id("jobs", "two")}
    assert {row["dataset_id"] for row in found} == {dataset_id("db://host:1", "to")}
