"""The warehouse is the same whatever way the changes came: at once, shuffled, twice, late, interrupted, rebuilt."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Sequence

import pytest

from tests.warehouse.conftest import Change, Warehouse

# The first of them builds the whole warehouse, which takes minutes on a busy machine.
pytestmark = pytest.mark.timeout(900)

ALL = ("ods", "dw", "dm", "ap")


async def test_building_twice_changes_no_row(built: Warehouse) -> None:
    before = await built.checksums(*ALL)
    written = "SELECT max(xmin::text::bigint) AS last FROM dw.sat_application"
    last = await built.rows(written)

    again = await built.models()

    assert await built.checksums(*ALL) == before
    assert await built.rows(written) == last
    assert again.result["batch_id"] is None  # nothing was read
    assert len(before) > 70


@pytest.mark.long
async def test_unit_tests_run_when_asked_for_and_in_no_other_build(built: Warehouse) -> None:
    def kinds() -> set[str]:
        found = json.loads(next(built.folder.rglob("run_results.json")).read_text())["results"]
        return {result["unique_id"].split(".")[0] for result in found}

    runs = sorted((next(built.folder.rglob("run_results.json")).parent / "runs").iterdir())
    first = json.loads(runs[0].read_text())["results"]
    unit_tests = [one for one in first if one["unique_id"].startswith("unit_test.")]
    assert len(unit_tests) >= 10
    assert {one["status"] for one in unit_tests} == {"pass"}

    await built.build()
    assert kinds() >= {"model", "seed", "test"}
    assert "unit_test" not in kinds()


@pytest.mark.long
async def test_readers_miss_no_table_while_layers_are_built(copied: Warehouse) -> None:
    # The bins of the score are a seed, which no analyst reads.
    names = [name for name in await copied.checksums("dm", "ap") if name != "dm.score_bins"]
    ready = asyncio.Event()
    reads = 0

    async def read() -> None:
        nonlocal reads
        async with copied.database.connect("analyst") as analyst:
            while not ready.is_set():
                for name in names:
                    assert await analyst.fetchval(f"SELECT count(*) FROM {name}") is not None, name
                reads += 1
                await asyncio.sleep(0.05)

    reader = asyncio.create_task(read())
    await copied.models()
    # After a layer was rebuilt, before the next one is.
    await copied.models("--full-refresh", select="path:models/dm path:seeds")
    ready.set()
    await reader
    assert reads > 10
    assert {name.split(".")[1] for name in names} >= {
        "kpi_decision",
        "application_overview",
        "reporting_date",
    }


async def test_the_run_is_told(built: Warehouse) -> None:
    events = [
        json.loads(line) for line in (built.folder / "lineage.json").read_text().splitlines() if line.strip()
    ]
    done = {event["job"]["name"] for event in events if event["eventType"] == "COMPLETE"}
    assert any(name.endswith(".creditmesh.fact_loan_month.build.run") for name in done)
    fact = next(
        event
        for event in events
        if event["eventType"] == "COMPLETE" and ".creditmesh.kpi.build.run" in event["job"]["name"]
    )
    assert {one["name"].split(".", 1)[1] for one in fact["inputs"]} >= {"ap.kpi_decision", "ap.kpi_portfolio"}


@pytest.mark.long
async def test_pieces_make_the_same_whole(
    built: Warehouse, pieced: Warehouse, changes: Sequence[Change]
) -> None:
    third = len(changes) // 3
    early, middle, late = changes[:third], changes[third : 2 * third], changes[2 * third :]
    # The newest come first, loans before their applications, transactions before their loans.
    await pieced.land(late)
    await pieced.models()
    # The oldest come after them, with some rows of the window before once more; the run that reads them is killed.
    await pieced.land([*early, *late[: third // 2]])
    await killed_in_the_middle(pieced)
    await pieced.models()
    # What is between comes last, and a replay of the oldest under a new batch.
    await pieced.land(middle)
    await pieced.land(early)
    await pieced.models()

    expected = await built.checksums("dm", "ap")
    assert await pieced.checksums("dm", "ap") == expected

    await pieced.models("--full-refresh")
    assert await pieced.checksums("dm", "ap") == expected


async def killed_in_the_middle(warehouse: Warehouse) -> None:
    """Start a build and kill its process group once it has written some of the vault."""
    process = await warehouse.start("path:models path:seeds", "--tests", "none")
    assert process.stdout is not None
    seen = 0
    async for line in process.stdout:
        seen += b"OK created sql incremental model dw.sat_" in line
        if seen == 3:
            break
    assert seen == 3
    os.kill(process.pid, signal.SIGKILL)
    await process.wait()
    # The server ends the session's statements by itself; wait until it has.
    while await warehouse.rows(
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'dbt'"
    ):
        await asyncio.sleep(0.1)
