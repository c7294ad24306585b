"""Marquez' own client against the service: each of its public methods."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import UUID

import httpx
import pytest
import uvicorn
from marquez_client import MarquezClient
from marquez_client.errors import APIError
from marquez_client.models import DatasetId, DatasetType, JobType

from tests.integration.lineage.conftest import Provenance, provenance_over
from tests.unit.lineage.events import column_lineage, columns, dataset, facet, job_event, run_event

SPACE = "db://host:1"
FIRST, SECOND = "0197a2a0-0000-7000-8000-000000000001", "0197a2a0-0000-7000-8000-000000000002"
PUBLIC = {
    name for name in dir(MarquezClient) if not name.startswith("_") and callable(getattr(MarquezClient, name))
}
Call = Callable[..., Any]


@pytest.fixture(scope="module")
async def filled(application: Any) -> AsyncIterator[Provenance]:
    """The service with two runs: `raw/in` → copy → `mid` → sum → `out`."""
    async with provenance_over(application) as made:
        raw, mid = dataset("raw/in", schema=columns("a", "b")), dataset("mid", schema=columns("a"))
        mid["facets"]["columnLineage"] = column_lineage(a=("raw/in", "a"))
        out = dataset("out", schema=columns("total"), columnLineage=column_lineage(total=("mid", "a")))
        await made.send_all(
            [
                run_event("START", run=FIRST, job="copy"),
                run_event("COMPLETE", run=FIRST, job="copy", minute=2, inputs=[raw], outputs=[mid]),
                run_event("START", run=SECOND, job="sum", minute=3, inputs=[dataset("mid")], outputs=[out]),
                job_event("copy", minute=4, documentation=facet(description="Copies.")),
            ]
        )
        yield made


@pytest.fixture(scope="module")
async def call(filled: Provenance) -> AsyncIterator[Call]:
    """Calls a method of Marquez' client by its name, over a real connection."""
    server = uvicorn.Server(uvicorn.Config(filled.app, port=0, lifespan="off", log_config=None))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    address = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    token = filled.headers["Authorization"].removeprefix("Bearer ")
    client = MarquezClient(address, api_key=token)

    def called(method: str, *arguments: Any, **named: Any) -> Any:
        with warnings.catch_warnings():
            # Half of the client is deprecated, and is still called.
            warnings.simplefilter("ignore")
            return getattr(client, method)(*arguments, **named)

    async def made(method: str, *arguments: Any, **named: Any) -> Any:
        return await asyncio.to_thread(called, method, *arguments, **named)

    yield made
    server.should_exit = True
    await serving


def names(found: list[dict[str, Any]]) -> set[str]:
    return {one["name"] for one in found}


def test_every_public_method_is_tried() -> None:
    assert {
        *("create_namespace", "get_namespace", "list_namespaces", "list_events"),
        *("create_source", "get_source", "list_sources", "list_tags", "create_tag"),
        *("create_dataset", "get_dataset", "list_datasets", "get_dataset_version", "list_dataset_versions"),
        *("tag_dataset", "tag_dataset_field"),
        *("create_job", "get_job", "list_jobs", "create_job_run", "list_job_runs", "get_job_run"),
        *("mark_job_run_as_started", "mark_job_run_as_completed"),
        *("mark_job_run_as_failed", "mark_job_run_as_aborted"),
        *("get_column_lineage_by_dataset", "get_column_lineage_by_dataset_field"),
        "get_column_lineage_by_job",
    } == PUBLIC


async def test_namespaces(call: Call) -> None:
    made = await call("create_namespace", "team/a", "owner", "What team a has.")
    assert (made["name"], made["ownerName"], made["description"]) == ("team/a", "owner", "What team a has.")
    assert (await call("get_namespace", SPACE))["name"] == SPACE
    assert names((await call("list_namespaces"))["namespaces"]) >= {"team/a", SPACE, "jobs"}
    with pytest.raises(APIError):
        await call("get_namespace", "nowhere")


async def test_events(call: Call) -> None:
    found = await call("list_events", "jobs", limit=1000)
    assert found["totalCount"] == len(found["events"]) >= 4
    assert {one["job"]["namespace"] for one in found["events"]} == {"jobs"}
    every = await call("list_events", limit=2)
    assert (len(every["events"]), every["totalCount"] >= found["totalCount"]) == (2, True)


async def test_sources(call: Call) -> None:
    made = await call("create_source", "lake", "postgresql", "postgresql://user:secret@host:1/lake", "It.")
    assert made["connectionUrl"] == "postgresql://user@host:1/lake"
    assert await call("get_source", "lake") == made
    assert made in (await call("list_sources"))["sources"]


async def test_datasets(call: Call) -> None:
    found = await call("get_dataset", SPACE, "raw/in")
    assert [one["name"] for one in found["fields"]] == ["a", "b"]
    assert names((await call("list_datasets", SPACE))["datasets"]) >= {"raw/in", "mid", "out"}
    versions = (await call("list_dataset_versions", SPACE, "mid"))["versions"]
    assert [one["createdByRun"]["id"] for one in versions] == [FIRST]
    assert await call("get_dataset_version", SPACE, "mid", versions[0]["version"]) == versions[0]
    with pytest.raises(APIError):
        await call("get_dataset_version", SPACE, "raw/in", versions[0]["version"])


async def test_a_dataset_is_entered(call: Call) -> None:
    fields = [{"name": "x", "type": "INTEGER", "tags": ["KEY"]}]
    made = await call(
        "create_dataset",
        "entered",
        "one",
        DatasetType.DB_TABLE,
        "public.one",
        "lake",
        "One.",
        fields=fields,
        tags=["PII"],
    )
    assert (made["physicalName"], made["sourceName"], made["description"]) == ("public.one", "lake", "One.")
    assert made["fields"] == [{"name": "x", "type": "INTEGER", "tags": ["KEY"], "description": None}]
    assert made["tags"] == ["PII"]
    assert await call("get_dataset", "entered", "one") == made


async def test_tags(call: Call) -> None:
    await call("create_tag", "SENSITIVE", "Only for some.")
    assert {"name": "SENSITIVE", "description": "Only for some."} in (await call("list_tags"))["tags"]
    assert "SENSITIVE" in (await call("tag_dataset", SPACE, "out", "SENSITIVE"))["tags"]
    found = await call("tag_dataset_field", SPACE, "out", "total", "SENSITIVE")
    assert [one["tags"] for one in found["fields"]] == [["SENSITIVE"]]
    with pytest.raises(APIError):
        await call("tag_dataset_field", SPACE, "out", "none", "SENSITIVE")


async def test_jobs(call: Call) -> None:
    found = await call("get_job", "jobs", "copy")
    assert (found["description"], found["latestRun"]["id"]) == ("Copies.", FIRST)
    assert names(found["inputs"]) == {"raw/in"}
    assert names(found["outputs"]) == {"mid"}
    assert names((await call("list_jobs", "jobs"))["jobs"]) >= {"copy", "sum"}


@pytest.mark.parametrize(
    ("method", "state"),
    [
        ("mark_job_run_as_completed", "COMPLETED"),
        ("mark_job_run_as_failed", "FAILED"),
        ("mark_job_run_as_aborted", "ABORTED"),
    ],
)
async def test_a_job_is_entered_and_run(call: Call, method: str, state: str) -> None:
    job = await call(
        "create_job",
        "entered",
        state,
        JobType.BATCH,
        location="https://example.com/job",
        inputs=[DatasetId(SPACE, "raw/in")],
        outputs=[DatasetId(SPACE, "elsewhere")],
        context={"sql": "SELECT 1"},
    )
    assert (job["type"], job["location"], job["context"]) == (
        "BATCH",
        "https://example.com/job",
        {"sql": "SELECT 1"},
    )
    run = await call("create_job_run", "entered", state, run_args={"day": "1"})
    assert (run["state"], run["args"], UUID(run["id"]).version) == ("NEW", {"day": "1"}, 7)
    assert (await call("mark_job_run_as_started", run["id"]))["state"] == "RUNNING"
    assert (await call(method, run["id"]))["state"] == state
    assert (await call("get_job_run", run["id"]))["state"] == state
    assert [one["id"] for one in (await call("list_job_runs", "entered", state))["runs"]] == [run["id"]]


async def test_runs(call: Call) -> None:
    done, open_ = await call("get_job_run", FIRST), await call("get_job_run", SECOND)
    assert (done["state"], done["durationMs"], open_["state"]) == ("COMPLETED", 120_000, "RUNNING")
    with pytest.raises(APIError):
        await call("get_job_run", "0197a2a0-0000-7000-8000-000000000009")


def field(table: str, name: str) -> str:
    return f"datasetField:{SPACE}:{table}:{name}"


async def test_column_lineage(call: Call) -> None:
    up = await call("get_column_lineage_by_dataset", SPACE, "out")
    assert {one["id"] for one in up["graph"]} == {
        field("out", "total"),
        field("mid", "a"),
        field("raw/in", "a"),
    }
    near = await call("get_column_lineage_by_dataset_field", SPACE, "out", "total", depth=1)
    assert {one["id"] for one in near["graph"]} == {field("out", "total"), field("mid", "a")}
    both = await call("get_column_lineage_by_dataset_field", SPACE, "mid", "a", with_downstream=True)
    assert len(both["graph"]) == 3
    by_job = await call("get_column_lineage_by_job", "jobs", "copy")
    assert {one["id"] for one in by_job["graph"]} == {field("mid", "a"), field("raw/in", "a")}
    with pytest.raises(APIError):
        await call("get_column_lineage_by_dataset", SPACE, "out", with_downstream=True, version=FIRST)


async def test_the_graph_around_a_node(filled: Provenance) -> None:
    around = await filled.get("/api/v1/lineage", nodeId=f"dataset:{SPACE}:mid", depth=1)
    assert {one["id"] for one in around["graph"]} == {f"dataset:{SPACE}:mid", "job:jobs:copy", "job:jobs:sum"}
    (mid,) = (one for one in around["graph"] if one["type"] == "DATASET")
    assert mid["inEdges"] == [{"origin": "job:jobs:copy", "destination": mid["id"]}]
    assert mid["outEdges"] == [{"origin": mid["id"], "destination": "job:jobs:sum"}]


async def test_search(filled: Provenance) -> None:
    found = await filled.get("/api/v1/search", q="RAW/")
    assert [one["nodeId"] for one in found["results"]] == [f"dataset:{SPACE}:raw/in"]
    assert (await filled.get("/api/v1/search", q="%"))["results"] == []


async def test_events_of_a_time(filled: Provenance) -> None:
    found = await filled.get(
        "/api/v1/events/lineage",
        after="2026-01-01T00:02:00Z",
        before="2026-01-01T00:04:00Z",
        sortDirection="asc",
    )
    assert [one["run"]["runId"] for one in found["events"]] == [FIRST, SECOND]


@pytest.mark.parametrize(
    "path", ["namespaces", "tags", "events", "search?q=a", "lineage?nodeId=job:jobs:copy"]
)
async def test_only_who_may_read_does(filled: Provenance, path: str) -> None:
    async def status(headers: dict[str, str]) -> int:
        answer: httpx.Response = await filled.http.get(f"/api/v1/{path}", headers=headers)
        return answer.status_code

    assert await status({}) == 401
    assert await status(filled.tokens.headers(scopes=["lineage:write"])) == 403
    assert await status(filled.tokens.headers(scopes=["lineage:read"])) == 200


async def test_only_who_may_write_enters(filled: Provenance) -> None:
    reader = filled.tokens.headers(scopes=["lineage:read"])
    for path, body in (("namespaces/x", {"ownerName": "x"}), ("tags/x", {})):
        answer = await filled.http.put(f"/api/v1/{path}", json=body, headers=reader)
        assert answer.status_code == 403
