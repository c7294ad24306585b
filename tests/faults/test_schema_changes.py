"""Acceptance case 19: tables that change under load, and what capture cannot see."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from services.replicator.verification.verifier import NotCaughtUp
from tests.conftest import Database
from tests.faults.schema import change
from tests.faults.validator import Validator
from tests.integration.replicator.operating import command
from tests.integration.replicator.pipeline import Pipeline, party_insert, until

PARTY = "credit.party"
APPLICATION_INSERT = (
    "INSERT INTO credit.application (id, state, revision, draft, created_by, created_at) "
    "SELECT gen_random_uuid(), 'DRAFT', 1, 'while it stood', gen_random_uuid(), "
    "clock_timestamp() AT TIME ZONE 'UTC' FROM generate_series(1, 50)"
)


@pytest.fixture(autouse=True)
async def validator(pipeline: Pipeline) -> AsyncIterator[Validator]:
    """Compares topics and journal when the test is over; the columns that are written change meanwhile."""
    pipeline.environment["RELAY_CATALOGUE_SECONDS"] = "0.5"
    watching = Validator(pipeline)
    yield watching
    await watching.validate_order()


@asynccontextmanager
async def load(lake: Database) -> AsyncIterator[None]:
    """Insert, update and delete parties, by columns that no test takes away, for the length of a block."""
    stop = asyncio.Event()

    async def write() -> None:
        async with lake.connect() as connection:
            number = 0
            while not stop.is_set():
                number += 1
                await connection.execute(party_insert(20, f"load{number}"))
                await connection.execute(
                    "UPDATE credit.party SET full_name = full_name || '!' WHERE full_name LIKE $1",
                    f"load{number - 1} 1%",
                )
                await connection.execute(
                    "DELETE FROM credit.party WHERE full_name = $1", f"load{number - 1} 2"
                )
                await asyncio.sleep(0.01)

    writer = asyncio.create_task(write())
    try:
        yield
        # Some are written by the new definition.
        await asyncio.sleep(0.5)
    finally:
        stop.set()
        await writer


async def started(pipeline: Pipeline) -> None:
    """Start relay and sink, and let some rows through."""
    await pipeline.start("relay")
    await pipeline.start("sink")
    await pipeline.lake(party_insert(100))
    await pipeline.equal()


async def stopped(pipeline: Pipeline, table: str = PARTY) -> asyncpg.Record:
    """Wait until a table is stopped; return the row that says so."""

    async def listed() -> bool:
        rows = await pipeline.replica("SELECT 1 FROM replication.stopped_table WHERE table_name = $1", table)
        return bool(rows)

    await until(listed, f"{table} was not stopped", pipeline, "sink")
    [row] = await pipeline.replica("SELECT * FROM replication.stopped_table")
    assert row["table_name"] == table
    return row


async def goes_on_again(pipeline: Pipeline) -> None:
    """Wait until no table is stopped."""

    async def none_listed() -> bool:
        return not await pipeline.replica("SELECT 1 FROM replication.stopped_table")

    await until(none_listed, "a table still stands", pipeline, "sink")


async def goes_on(pipeline: Pipeline) -> None:
    """Wait until no table is stopped, and both sides are equal."""
    await goes_on_again(pipeline)
    await pipeline.equal()


async def others_go_on(pipeline: Pipeline) -> None:
    """See a change of another table arrive while one is stopped."""
    await pipeline.lake(APPLICATION_INSERT)

    async def arrived() -> bool:
        rows = await pipeline.replica("SELECT 1 FROM credit.application WHERE draft = 'while it stood'")
        return len(rows) == 50

    await until(arrived, "another table stood still too", pipeline, "sink")


async def columns(pipeline: Pipeline, table: str = PARTY) -> dict[str, str]:
    """Names and types of a replica's columns."""
    rows = await pipeline.replica(
        "SELECT attname, format_type(atttypid, atttypmod) AS type FROM pg_attribute "
        "WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped",
        table,
    )
    return {row["attname"]: row["type"] for row in rows}


@pytest.mark.long
async def test_a_table_that_is_captured_later_is_replicated_without_a_restart(pipeline: Pipeline) -> None:
    await pipeline.start("relay")
    await pipeline.start("sink")
    await pipeline.lake(party_insert(10))
    await pipeline.equal()
    await change(
        pipeline,
        "credit.branch",
        "CREATE TABLE credit.branch (code varchar(8) PRIMARY KEY, name varchar(100))",
        "GRANT SELECT ON credit.branch TO verifier",
    )
    await pipeline.lake(
        "INSERT INTO credit.branch SELECT n::text, 'branch ' || n FROM generate_series(1, 30) AS n"
    )
    await pipeline.lake(party_insert(10, "beside"))
    await pipeline.equal()
    assert len(await pipeline.replica("SELECT 1 FROM credit.branch WHERE name LIKE 'branch %'")) == 30


async def test_case_19_added_and_widened_columns_are_followed_under_load(pipeline: Pipeline) -> None:
    await started(pipeline)
    async with load(pipeline.lake_database):
        await change(pipeline, PARTY, "ALTER TABLE credit.party ADD COLUMN nickname varchar(40)")
        await pipeline.lake("UPDATE credit.party SET nickname = 'N' WHERE full_name LIKE 'x 1%'")
        await change(
            pipeline,
            PARTY,
            "ALTER TABLE credit.party ALTER COLUMN revision TYPE bigint, "
            "ALTER COLUMN full_name TYPE varchar(5000), ALTER COLUMN birth_date TYPE timestamp, "
            "ALTER COLUMN created_by DROP NOT NULL",
        )
        await pipeline.lake(
            "UPDATE credit.party SET revision = 9223372036854775807, birth_date = '2001-02-03 04:05:06', "
            "created_by = NULL, full_name = repeat('x', 4000) WHERE full_name LIKE 'x 1%'"
        )
        await change(pipeline, PARTY, "ALTER TABLE credit.party ADD COLUMN points integer NOT NULL DEFAULT 7")

    async def filled() -> bool:
        found = await columns(pipeline)
        return "points" in found and not await pipeline.replica(
            "SELECT 1 FROM credit.party WHERE points IS DISTINCT FROM 7"
        )

    await until(filled, "the value did not reach every row", pipeline, "relay")
    await pipeline.equal()
    found = await columns(pipeline)
    assert (found["nickname"], found["revision"], found["birth_date"]) == (
        "text",
        "bigint",
        "timestamp without time zone",
    )


LOSSES = (
    (
        "ALTER TABLE credit.party RENAME COLUMN phone TO telephone",
        "column phone is gone (dropped or renamed)",
    ),
    ("ALTER TABLE credit.party DROP COLUMN telephone", "column telephone is gone (dropped or renamed)"),
    (
        "ALTER TABLE credit.party ALTER COLUMN revision TYPE smallint USING revision % 7",
        "column revision changes from integer to smallint",
    ),
    (
        "ALTER TABLE credit.party ALTER COLUMN birth_date TYPE varchar(10) USING to_char(birth_date, 'DD.MM.YYYY')",
        "column birth_date changes from date to text(10)",
    ),
)


@pytest.mark.long
async def test_case_19_a_change_that_loses_something_stops_its_table_until_it_is_accepted(
    pipeline: Pipeline,
) -> None:
    await started(pipeline)
    await pipeline.lake("UPDATE credit.party SET phone = '1', birth_date = '2001-02-03', revision = 1000")
    async with load(pipeline.lake_database):
        for number, (statement, reason) in enumerate(LOSSES):
            await change(pipeline, PARTY, statement)
            row = await stopped(pipeline)
            assert (row["kind"], row["reason"]) == ("schema", reason)
            assert row["command"] == "python -m services.replicator.main accept-schema credit.party"
            if not number:
                await others_go_on(pipeline)
                assert await pipeline.metric("sink", "credit_replication_table_stopped", table=PARTY) == 1
                assert (await pipeline.get("sink", "/readyz")).status_code == 503
            shown = await command(pipeline, "accept-schema", PARTY, "--yes", application="sink")
            assert shown.status == 0, shown.output
            assert reason in shown.output
            await goes_on_again(pipeline)
    await goes_on(pipeline)
    assert await pipeline.metric("sink", "credit_replication_table_stopped", table=PARTY) == 0
    assert (await pipeline.get("sink", "/readyz")).status_code == 200


@pytest.mark.long
async def test_case_19_another_key_stops_its_table_until_it_is_accepted(pipeline: Pipeline) -> None:
    await pipeline.start("relay")
    await pipeline.start("sink")
    table = "credit.approval_band"
    await pipeline.equal()
    await change(
        pipeline,
        table,
        "ALTER TABLE credit.approval_band DROP CONSTRAINT pk_approval_band, "
        "ADD COLUMN id uuid NOT NULL DEFAULT gen_random_uuid(), ADD CONSTRAINT pk_approval_band PRIMARY KEY (id)",
    )
    await pipeline.lake("UPDATE credit.approval_band SET stage_order = stage_order + 10")
    row = await stopped(pipeline, table)
    assert "the key changes from (" in row["reason"]
    ended = await command(pipeline, "accept-schema", table, "--yes", application="sink")
    assert ended.status == 0, ended.output
    await goes_on(pipeline)


async def test_case_19_a_verification_waits_until_the_replica_has_followed_a_definition(
    pipeline: Pipeline,
) -> None:
    await started(pipeline)
    for name in ("relay", "sink"):
        await pipeline.signal(name, signal.SIGSTOP)
    await change(pipeline, PARTY, "ALTER TABLE credit.party ADD COLUMN nickname varchar(40)")
    with pytest.raises(NotCaughtUp, match=r"the newest definition of credit\.party was not followed"):
        await pipeline.verify(wait_seconds=0.5)
    for name in ("relay", "sink"):
        await pipeline.signal(name, signal.SIGCONT)
    assert (await pipeline.verify()).equal
    assert "nickname" in await columns(pipeline)


async def test_case_19_truncate_is_refused_and_what_is_done_behind_captures_back_stops_the_table(
    pipeline: Pipeline,
) -> None:
    await started(pipeline)
    ended = await command(pipeline, "accept-schema", PARTY, application="sink")
    assert (ended.status, "nothing to accept" in ended.output) == (0, True)
    ended = await command(pipeline, "accept-schema", "credit.nothing", application="sink")
    assert (ended.status, "credit.nothing is not captured" in ended.output) == (2, True)
    with pytest.raises(
        asyncpg.FeatureNotSupportedError, match=r"TRUNCATE of credit\.party is refused: capture cannot see it"
    ):
        await pipeline.lake("TRUNCATE credit.party CASCADE")

    await pipeline.lake("ALTER TABLE credit.party ADD COLUMN nickname varchar(40) DEFAULT 'nick'")
    row = await stopped(pipeline)
    assert (row["kind"], row["reason"]) == ("capture", "altered without regenerating capture: nickname")
    assert row["command"] == "python -m services.lake.main migrate"
    await others_go_on(pipeline)
    await change(pipeline, PARTY)
    await goes_on(pipeline)

    await pipeline.lake("ALTER TABLE credit.party DISABLE TRIGGER capture_insert")
    row = await stopped(pipeline)
    assert (row["kind"], row["reason"]) == ("capture", "capture triggers missing or disabled: capture_insert")
    await pipeline.lake(party_insert(1, "unseen"))
    await pipeline.lake("ALTER TABLE credit.party ENABLE TRIGGER capture_insert")
    await goes_on_again(pipeline)
    [finding] = (await pipeline.verify()).findings
    assert (finding.table, finding.kind) == (PARTY, "missing")
    await pipeline.lake("UPDATE credit.party SET revision = 2 WHERE full_name = 'unseen 1'")
    await pipeline.equal()


async def test_case_19_what_turns_the_order_of_changes_round_is_refused_by_name(pipeline: Pipeline) -> None:
    await pipeline.lake(
        "ALTER TABLE credit.application_party ADD CONSTRAINT fk_eager FOREIGN KEY (party_id) "
        "REFERENCES credit.party (id) ON DELETE CASCADE"
    )
    trigger = (
        "CREATE TRIGGER audit BEFORE UPDATE ON credit.party FOR EACH ROW "
        "EXECUTE FUNCTION suppress_redundant_updates_trigger()"
    )
    await pipeline.lake(trigger)
    await pipeline.start("relay")
    assert await pipeline.died("relay") == 1
    log = pipeline.log("relay")
    assert "CaptureUnsound" in log
    assert "foreign key fk_eager of credit.application_party to credit.party cascades" in log
    assert "trigger credit.party.audit is none of capture's" in log
    # The one is put right, the other was reviewed.
    await pipeline.lake("ALTER TABLE credit.application_party DROP CONSTRAINT fk_eager")
    pipeline.environment["REVIEWED_TRIGGERS"] = "credit.party.audit"
    await started(pipeline)


@pytest.mark.long
async def test_a_table_of_the_replica_altered_by_hand_waits_until_it_is_put_right(pipeline: Pipeline) -> None:
    await started(pipeline)
    await pipeline.replica(
        "ALTER TABLE credit.party DROP COLUMN full_name, ADD COLUMN full_name integer, DROP CONSTRAINT pk_party"
    )
    await pipeline.lake(party_insert(100, "after"))
    row = await stopped(pipeline)
    assert (row["kind"], row["reason"]) == (
        "schema",
        "altered by hand: column full_name is integer, not text",
    )
    assert row["command"].startswith(
        "ALTER TABLE credit.party DROP COLUMN full_name, ADD COLUMN full_name text "
    )
    await others_go_on(pipeline)
    log = pipeline.log("sink")
    assert f"{pipeline.prefix}credit.party/0@" in log or f"{pipeline.prefix}credit.party/1@" in log

    await pipeline.replica("ALTER TABLE credit.party DROP COLUMN full_name, ADD COLUMN full_name text")

    async def key_found() -> bool:
        row = await stopped(pipeline)
        return (row["kind"], row["reason"]) == ("schema", "altered by hand: the key is (), not (id)")

    await until(key_found, "the lost key was not found", pipeline, "sink")
    await pipeline.replica("ALTER TABLE credit.party ADD CONSTRAINT pk_party PRIMARY KEY (id)")
    await goes_on_again(pipeline)
    await pipeline.lake("UPDATE credit.party SET revision = revision + 1")
    await pipeline.equal()
    assert pipeline.processes["sink"].returncode is None
