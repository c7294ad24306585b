"""A change that fits no record: its own table stops and is resumed, all others continue."""

import asyncio
import os
import signal
import sys
from typing import Any

import asyncpg
import pytest

from services.replicator.topics import LARGEST_RECORD_BYTES, RECORD_MARGIN_BYTES
from tests.integration.replicator.pipeline import ROOT, Pipeline, party_insert, until

APPLICATION = (
    "INSERT INTO credit.application (id, state, revision, draft, created_by, created_at) "
    "VALUES ('{}', 'DRAFT', 1, '{{}}', gen_random_uuid(), clock_timestamp() AT TIME ZONE 'UTC')"
)
FIRST, SECOND, THIRD = (f"00000000-0000-0000-0000-00000000000{n}" for n in (1, 2, 3))


async def stopped(pipeline: Pipeline) -> dict[str, tuple[str, str]]:
    """Kind and reason, and command, of every stopped table."""
    rows = await pipeline.replica("SELECT table_name, kind, reason, command FROM replication.stopped_table")
    return {row["table_name"]: (f"{row['kind']}: {row['reason']}", row["command"]) for row in rows}


async def resume(pipeline: Pipeline, table: str = "credit.application") -> tuple[int | None, str]:
    """Run the command that the status names; exit status and what it said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.replicator.main", "resume-table", table),
        cwd=ROOT,
        env=os.environ
        | {
            "LAKE_URL": pipeline.lake_url("verifier"),
            "APPLICATION_URL": pipeline.application_database.url("sink"),
            "COLUMNS": "300",
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode, said.decode()


async def count(pipeline: Pipeline, query: str) -> int:
    """The number that a query on the replica gives."""
    return int((await pipeline.replica(query))[0][0])


async def reaches(pipeline: Pipeline, query: str, wanted: Any) -> None:
    """Wait until a query on the replica gives a value."""

    async def holds() -> bool:
        return bool((await pipeline.replica(query))[0][0] == wanted)

    await until(holds, f"{query} never gave {wanted}", pipeline, "relay")


@pytest.fixture
async def running(pipeline: Pipeline) -> Pipeline:
    """A pipeline over a lake whose drafts may be of any size, as those of an older lake may be."""
    await pipeline.lake("ALTER TABLE credit.application DROP CONSTRAINT IF EXISTS ck_application_draft_size")
    await pipeline.start("relay")
    await pipeline.start("sink")
    for one in (FIRST, SECOND, THIRD):
        await pipeline.lake(APPLICATION.format(one))
    await pipeline.lake(party_insert(10))
    await pipeline.equal()
    return pipeline


@pytest.mark.parametrize(
    "draft",
    [
        pytest.param("repeat('x', 30 * 1024 * 1024)", id="30 MB", marks=pytest.mark.long),
        pytest.param("repeat('漢', 6 * 1024 * 1024)", id="18 MB of three bytes each", marks=pytest.mark.long),
        pytest.param("repeat(chr(1), 3 * 1024 * 1024)", id="3 MB that JSON escapes"),
    ],
)
async def test_a_row_that_fits_no_record_stops_its_table_alone_and_comes_back(
    running: Pipeline, draft: str
) -> None:
    await running.lake(f"UPDATE credit.application SET draft = {draft} WHERE id = '{FIRST}'")
    await running.lake(f"UPDATE credit.application SET revision = 2 WHERE id = '{SECOND}'")
    await running.lake(f"DELETE FROM credit.application WHERE id = '{THIRD}'")
    await running.lake(party_insert(100, "after"))
    await reaches(running, "SELECT count(*) FROM credit.party", 110)

    reason, command = (await stopped(running))["credit.application"]
    assert reason.startswith("relay: the change at ")
    assert FIRST in reason
    assert command == "resume-table credit.application"
    await running.ready("relay")
    assert await count(running, "SELECT count(*) FROM credit.application") == 3
    result = await running.verify()
    assert (result.findings, list(result.stopped)) == ((), ["credit.application"])

    # The relay's death changes nothing, and neither does the command before the row is corrected.
    await running.signal("relay", signal.SIGKILL)
    await running.start("relay")
    await running.lake(party_insert(10, "later"))
    await reaches(running, "SELECT count(*) FROM credit.party", 120)
    status, said = await resume(running)
    assert status == 1
    assert FIRST in said
    assert "credit.application" in await stopped(running)

    await running.lake(f"UPDATE credit.application SET draft = 'short' WHERE id = '{FIRST}'")
    status, said = await resume(running)
    assert status == 0, said
    await reaches(running, "SELECT count(*) FROM credit.application", 2)
    await reaches(running, "SELECT count(*) FROM replication.relay WHERE held = '{}'", 1)
    assert await stopped(running) == {}
    await running.lake(f"UPDATE credit.application SET revision = 3 WHERE id = '{SECOND}'")
    await running.equal()


async def test_a_second_row_that_is_too_large_stops_the_table_again(running: Pipeline) -> None:
    for one in (FIRST, SECOND):
        await running.lake(
            f"UPDATE credit.application SET draft = repeat('x', 17 * 1024 * 1024) WHERE id = '{one}'"
        )
    await reaches(running, "SELECT count(*) FROM replication.stopped_table", 1)
    await running.lake(f"UPDATE credit.application SET draft = NULL WHERE id = '{FIRST}'")
    assert (await resume(running))[0] == 0
    await reaches(
        running, f"SELECT count(*) FROM replication.stopped_table WHERE reason LIKE '%{SECOND}%'", 1
    )
    await running.lake(f"DELETE FROM credit.application WHERE id = '{SECOND}'")
    assert (await resume(running))[0] == 0
    await reaches(running, "SELECT count(*) FROM replication.relay WHERE held = '{}'", 1)
    await running.equal()


async def test_the_relay_dies_while_a_table_is_resumed(running: Pipeline) -> None:
    await running.lake(
        f"UPDATE credit.application SET draft = repeat('x', 17 * 1024 * 1024) WHERE id = '{FIRST}'"
    )
    await reaches(running, "SELECT count(*) FROM replication.stopped_table", 1)
    await running.lake(party_insert(20_000))
    await running.lake(f"UPDATE credit.application SET draft = NULL WHERE id = '{FIRST}'")
    await running.relayed()
    await running.signal("relay", signal.SIGKILL)
    assert (await resume(running))[0] == 0
    await running.start("relay", FAILPOINTS="relay.after_save=kill:4")
    await running.died("relay")
    await running.start("relay")
    await reaches(running, "SELECT count(*) FROM replication.relay WHERE held = '{}'", 1)
    await running.equal()


async def test_a_large_row_below_the_limit_goes_through(running: Pipeline) -> None:
    await running.lake(
        f"UPDATE credit.application SET draft = repeat('x', 15 * 1024 * 1024) WHERE id = '{FIRST}'"
    )
    await running.equal()
    assert await stopped(running) == {}


async def test_what_a_later_change_of_the_row_makes_up_for_stops_nothing(pipeline: Pipeline) -> None:
    await pipeline.lake("ALTER TABLE credit.application DROP CONSTRAINT IF EXISTS ck_application_draft_size")
    await pipeline.lake(APPLICATION.format(FIRST))
    await pipeline.lake("UPDATE credit.application SET draft = repeat('x', 17 * 1024 * 1024)")
    await pipeline.lake("UPDATE credit.application SET draft = NULL")
    await pipeline.start("relay")
    await pipeline.start("sink")
    await pipeline.equal()
    assert await stopped(pipeline) == {}


async def test_an_operation_that_no_trigger_writes_stops_its_table_alone(running: Pipeline) -> None:
    await running.signal("relay", signal.SIGKILL)
    await running.lake(f"UPDATE credit.application SET revision = 2 WHERE id = '{FIRST}'")
    await running.lake(
        "UPDATE journal.change SET operation = 'x' WHERE position = (SELECT max(position) FROM journal.change)"
    )
    await running.lake(party_insert(5, "after"))
    await running.start("relay")
    await reaches(running, "SELECT count(*) FROM credit.party", 15)
    assert "unknown operation 'x'" in (await stopped(running))["credit.application"][0]
    await running.lake(f"UPDATE credit.application SET revision = 3 WHERE id = '{FIRST}'")
    assert (await resume(running))[0] == 0
    await reaches(running, "SELECT count(*) FROM replication.relay WHERE held = '{}'", 1)
    await running.equal()


async def test_the_journal_is_kept_for_a_held_table(running: Pipeline) -> None:
    await running.lake(
        f"UPDATE credit.application SET draft = repeat('x', 17 * 1024 * 1024) WHERE id = '{FIRST}'"
    )
    await reaches(running, "SELECT count(*) FROM replication.stopped_table", 1)
    await running.lake(party_insert(10))
    await running.relayed()
    [held] = await running.replica("SELECT held, position_major FROM replication.relay")
    await asyncio.sleep(11)
    async with running.lake_database.connect() as connection:
        kept = await connection.fetchval("SELECT position_major FROM journal.reader WHERE name = 'relay'")
    assert kept < held["position_major"]


async def test_a_table_that_is_not_held_needs_no_command(running: Pipeline) -> None:
    status, said = await resume(running)
    assert (status, "nothing to do" in said) == (0, True)
    assert (await resume(running, "credit.nowhere"))[0] == 2


async def test_the_largest_row_that_the_lake_admits_fits_a_record(pipeline: Pipeline) -> None:
    await pipeline.lake(party_insert(1))
    await pipeline.lake(APPLICATION.format(FIRST))
    await pipeline.lake(
        "INSERT INTO credit.application_version (application_id, version, product_code, amount, currency, "
        "term_months, purpose, channel, maker, profile, score, score_reasons, submitted_at) "
        "SELECT $1, 1, code, 1, currency, 1, repeat(chr(1), 64), 'branch', gen_random_uuid(), "
        "repeat(chr(1), 1024 * 1024), 1, repeat(chr(1), 1024 * 1024), clock_timestamp() AT TIME ZONE 'UTC' "
        "FROM credit.product ORDER BY code LIMIT 1",
        FIRST,
    )
    async with pipeline.lake_database.connect() as connection:
        size = await connection.fetchval("SELECT max(octet_length(image)) FROM journal.change")
    assert 12 * 1024 * 1024 < size < LARGEST_RECORD_BYTES - RECORD_MARGIN_BYTES
    await pipeline.start("relay")
    await pipeline.start("sink")
    await pipeline.equal()
    assert await stopped(pipeline) == {}


@pytest.mark.parametrize(
    "draft",
    ["repeat('x', 1024 * 1024 + 1)", "repeat('漢', 350 * 1024)", "repeat('😀', 256 * 1024 + 1)"],
)
async def test_the_lake_refuses_what_is_larger(pipeline: Pipeline, draft: str) -> None:
    await pipeline.lake(APPLICATION.format(FIRST))
    with pytest.raises(asyncpg.CheckViolationError, match="ck_application_draft_size"):
        await pipeline.lake(f"UPDATE credit.application SET draft = {draft}")
