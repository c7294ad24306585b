"""Taking events in: the same tables whatever the order, the repetitions and the interruptions."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import asyncpg
import orjson
import pytest

from services.lineage.events.projection import Event, project
from services.lineage.events.rows import RULES
from services.lineage.service import MOST_BYTES
from services.platform.components.mesh import run_once
from tests.integration.lineage.conftest import Provenance
from tests.unit.lineage.events import dataset, facet, random_events, run_event


def projected(events: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """What the tables must have after these events, by the rules alone."""
    rows = project([Event.of(event) for event in events])
    return {
        name: sorted(rows.sorted(name), key=lambda row: repr(sorted(row.items(), key=str))) for name in RULES
    }


def plain(tables: dict[str, list[dict[str, Any]]]) -> dict[str, list[str]]:
    """Rows as texts, in one order."""
    return {name: sorted(repr(sorted(row.items())) for row in rows) for name, rows in tables.items()}


@pytest.mark.parametrize("seed", [1, 2])
async def test_shuffled_doubled_and_sent_by_many_at_once(fresh: Provenance, seed: int) -> None:
    events = random_events(seed, 80)
    chance = random.Random(seed)
    sent = chance.sample(events, len(events)) + chance.choices(events, k=20)
    batches = [sent[start : start + 9] for start in range(0, 45, 9)]
    await asyncio.gather(
        *(fresh.send_all(batch) for batch in batches), *(fresh.send(event) for event in sent[45:])
    )
    assert plain(await fresh.tables()) == plain(projected(events))


async def test_events_that_are_cut_off_midway_leave_nothing_half_done(fresh: Provenance) -> None:
    events = random_events(3, 60)
    for start in range(0, len(events), 6):
        batch = events[start : start + 6]
        sending = asyncio.create_task(fresh.send_all(batch))
        async with fresh.database.connect() as owner:
            # The connection of whoever is writing ends, at some point of its transaction or before or after it.
            await asyncio.sleep(random.Random(start).random() / 20)
            await owner.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND usename = 'lineage'"
            )
        await asyncio.gather(sending, return_exceptions=True)
        kept = {bytes(row["sha256"]) for row in await _kept(fresh)}
        known = [event for event in events if Event.of(event).hash in kept]
        assert plain(await fresh.tables()) == plain(projected(known))
        # Whoever has no answer sends again.
        await fresh.send_all(batch)
    assert plain(await fresh.tables()) == plain(projected(events))


async def _kept(provenance: Provenance) -> list[Any]:
    async with provenance.database.connect() as owner:
        found: list[Any] = await owner.fetch("SELECT sha256 FROM lineage.event")
        return found


async def test_rebuild_replays_all(fresh: Provenance) -> None:
    await fresh.send_all(random_events(4, 70))
    wanted = await fresh.tables()
    async with fresh.database.connect() as owner:
        await owner.execute("DELETE FROM lineage.run")
        await owner.execute("UPDATE lineage.dataset SET name = 'x'")
    said = await run_once(
        "services.lineage.main", "rebuild", environment={"APPLICATION_URL": fresh.database.url()}
    )
    assert said.endswith(f"projected {len(await _kept(fresh))} events again")
    assert await fresh.tables() == wanted


async def test_a_repeat_changes_nothing(fresh: Provenance) -> None:
    event = run_event("COMPLETE", outputs=[dataset("to")])
    await fresh.send(event)
    before = await fresh.tables()
    await fresh.send(dict(reversed(list(event.items()))))
    assert await fresh.tables() == before
    assert len(await _kept(fresh)) == 1


async def test_a_bad_event_of_a_batch_is_refused_alone(fresh: Provenance) -> None:
    bad = run_event(run="7")
    answer = await fresh.send_all([run_event("START"), bad, "x", run_event("COMPLETE", minute=1)])
    assert answer["status"] == "partial_success"
    assert answer["summary"] == {"received": 4, "successful": 2, "failed": 2}
    assert [one["index"] for one in answer["failed_events"]] == [1, 2]
    assert answer["failed_events"][0]["errors"][0]["pointer"] == "/body/1/run/runId"
    assert len(await _kept(fresh)) == 2
    assert (await fresh.send_all([bad]))["status"] == "failure"
    assert (await fresh.send_all([]))["status"] == "success"


async def refusal(provenance: Provenance, content: bytes, path: str = "", **headers: str) -> dict[str, Any]:
    sent = {"Content-Type": "application/json", **provenance.headers, **headers}
    answer = await provenance.http.post(f"/api/v1/lineage{path}", content=content, headers=sent)
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    problem: dict[str, Any] = answer.json()
    return problem


async def test_a_malformed_event_is_refused_with_a_pointer(provenance: Provenance) -> None:
    problem = await refusal(provenance, orjson.dumps(run_event(run="PLANTED")))
    assert (problem["status"], problem["errors"][0]["pointer"]) == (422, "/body/run/runId")
    assert "PLANTED" not in str(problem)


async def test_an_unknown_version_is_refused_with_a_pointer(provenance: Provenance) -> None:
    event = run_event() | {"schemaURL": "https://openlineage.io/spec/9-0-0/OpenLineage.json"}
    problem = await refusal(provenance, orjson.dumps(event))
    assert (problem["status"], problem["errors"][0]["pointer"]) == (422, "/body/schemaURL")


async def test_an_event_of_four_mebibytes_is_taken_and_a_larger_one_is_not(fresh: Provenance) -> None:
    empty = len(orjson.dumps(run_event(long=facet(text=""))))
    largest = orjson.dumps(run_event(long=facet(text="x" * (MOST_BYTES - empty))))
    answer = await fresh.http.post(
        "/api/v1/lineage", content=largest, headers={"Content-Type": "application/json", **fresh.headers}
    )
    assert answer.status_code == 201, answer.text
    problem = await refusal(fresh, largest + b" ")
    assert (problem["status"], problem["max_bytes"]) == (413, MOST_BYTES)

    async def pieces() -> Any:
        for _ in range(5):
            yield b" " * (1 << 20)

    answer = await fresh.http.post(
        "/api/v1/lineage/batch",
        content=pieces(),
        headers={"Content-Type": "application/json", **fresh.headers},
    )
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b'{"a": NaN}', 400),
        (b'"\\ud800"', 400),
        (b"\xff", 400),
        (b"[" * 65 + b"]" * 65, 400),
        (b"[]", 422),
        (b"7", 422),
    ],
)
async def test_what_is_no_event_is_refused(provenance: Provenance, content: bytes, status: int) -> None:
    assert (await refusal(provenance, content))["status"] == status


async def test_a_batch_is_a_list_of_at_most_a_thousand(provenance: Provenance) -> None:
    assert (await refusal(provenance, b"{}", "/batch"))["status"] == 422
    assert (await refusal(provenance, orjson.dumps([1] * 1001), "/batch"))["status"] == 422


async def test_only_json_is_read(provenance: Provenance) -> None:
    assert (await refusal(provenance, b"{}", **{"Content-Type": "text/plain"}))["status"] == 415
    assert (await refusal(provenance, b"{}", **{"Content-Encoding": "gzip"}))["status"] == 415


async def test_only_who_may_write_sends_events(provenance: Provenance) -> None:
    path, event = "/api/v1/lineage", run_event()
    assert (await provenance.http.post(path, json=event)).status_code == 401
    reader = provenance.tokens.headers(scopes=["lineage:read", "applications:submit"])
    for each in (path, f"{path}/batch"):
        assert (await provenance.http.post(each, json=[event], headers=reader)).status_code == 403


async def test_what_looks_like_statements_is_kept_as_text(fresh: Provenance) -> None:
    nasty = "'; DROP TABLE lineage.event; -- \\ % :x <script>"
    await fresh.send(run_event("COMPLETE", job=nasty, outputs=[dataset(nasty, namespace=nasty)]))
    tables = await fresh.tables()
    assert [row["name"] for row in tables["job"]] == [nasty]
    assert [(row["namespace"], row["name"]) for row in tables["dataset"]] == [(nasty, nasty)]


async def test_what_was_sent_cannot_be_changed(provenance: Provenance) -> None:
    async with provenance.database.connect("lineage") as service:
        for statement in (
            "UPDATE lineage.event SET body = ''",
            "DELETE FROM lineage.event",
            "SELECT 1 FROM auth.users",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await service.execute(statement)
