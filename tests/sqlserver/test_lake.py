"""Behaviour that needs a real SQL Server: its horizon, its types, its catalogue, its rights."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError

from services.lake.database import Lake
from services.lake.journal.model import START, CapturedTable
from services.lake.journal.postgresql import PostgreSQLJournal
from services.lake.journal.reader import JournalReader
from tests.faults.schema import change
from tests.faults.test_schema_changes import goes_on, stopped
from tests.faults.validator import Validator
from tests.integration.replicator.operating import command
from tests.integration.replicator.pipeline import Pipeline, party_insert

PARTY = "credit.party"
EVERYTHING = "credit.everything"
# Column → type and the values that it is tried with, as T-SQL.
COLUMNS: dict[str, tuple[str, tuple[str, ...]]] = {
    "a_uniqueidentifier": ("uniqueidentifier", ("NEWID()", "'00000000-0000-0000-0000-000000000000'")),
    "a_bit": ("bit", ("0", "1")),
    "a_tinyint": ("tinyint", ("0", "255")),
    "a_smallint": ("smallint", ("-32768", "32767")),
    "an_int": ("int", ("-2147483648", "2147483647")),
    "a_bigint": ("bigint", ("-9223372036854775808", "9223372036854775807")),
    "a_decimal": ("decimal(38, 10)", (f"{'9' * 28}.{'9' * 10}", f"-{'9' * 28}.{'9' * 10}", "0.0000000001")),
    "a_money": ("money", ("922337203685477.5807", "-922337203685477.5808")),
    "a_smallmoney": ("smallmoney", ("214748.3647", "-214748.3648")),
    "a_real": ("real", ("3.4028234E38", "1.18E-38", "0.1E0", "-0E0")),
    "a_float": ("float", ("1.7976931348623157E308", "2.2250738585072014E-308", "0.1E0", "-0E0")),
    "a_date": ("date", ("'0001-01-01'", "'9999-12-31'")),
    "a_time": ("time(6)", ("'00:00:00'", "'23:59:59.999999'")),
    "a_datetime2": ("datetime2(6)", ("'0001-01-01'", "'9999-12-31 23:59:59.999999'")),
    "a_short_datetime2": ("datetime2(2)", ("'2026-03-29 02:30:00.12'",)),
    "a_datetime": ("datetime", ("'1753-01-01'", "'9999-12-31 23:59:59.997'", "'2026-01-01 00:00:00.003'")),
    "a_smalldatetime": ("smalldatetime", ("'1900-01-01'", "'2079-06-06 23:59'")),
    "a_datetimeoffset": (
        "datetimeoffset(6)",
        ("'0001-01-01 14:00 +14:00'", "'9999-12-31 09:59:59.999999 -14:00'", "'2026-01-01 00:00 +05:45'"),
    ),
    "a_char": ("char(5)", ("''", "'a'", "' a b'")),
    "an_nchar": ("nchar(5)", ("N'ễ'", "N'\U0001f600 '")),
    "a_varchar": ("varchar(50)", ("''", "'a '", "'\",\"\\/'")),
    "an_nvarchar": (
        "nvarchar(max)",
        ("N'Nguyễn \U0001f600'", "REPLICATE(CONVERT(nvarchar(max), N'ễ'), 9000)"),
    ),
    "an_xml": ("xml", ("N'<a b=\"1\">ễ &amp; <c/></a>'", "N''")),
    "a_binary": ("binary(4)", ("0x00", "0xFFFFFFFF")),
    "a_varbinary": ("varbinary(max)", ("0x", "0x00FF00")),
}


@pytest.fixture(autouse=True)
async def validator(pipeline: Pipeline) -> AsyncIterator[Validator]:
    """Compares topics and journal when the test is over."""
    pipeline.environment["RELAY_CATALOGUE_SECONDS"] = "0.5"
    watching = Validator(pipeline)
    yield watching
    if pipeline.processes:
        await watching.validate_order()


@asynccontextmanager
async def journal_of(pipeline: Pipeline) -> AsyncIterator[JournalReader]:
    """The journal as the relay reads it."""
    lake = Lake.open(pipeline.lake_url("relay"), service="test-journal", pool_size=2)
    try:
        yield JournalReader(lake)
    finally:
        await lake.dispose()


async def test_case_01_what_took_a_lower_position_and_commits_later_is_not_passed_by(
    pipeline: Pipeline,
) -> None:
    async with (
        journal_of(pipeline) as journal,
        pipeline.lake_database.connect() as first,
        pipeline.lake_database.connect() as second,
    ):
        before = await journal.last_position()
        async with first.transaction():
            await first.execute(party_insert(1, "first"))
            await second.execute(party_insert(1, "second"))
            assert await journal.read(before, 10) == []
            assert await journal.oldest_writer_seconds() >= 0
        read = await journal.read(before, 10)
    assert [each.image is not None and "first 1" in each.image for each in read] == [True, False]
    assert read[0].position < read[1].position


async def test_case_02_of_two_overlapping_transactions_the_later_commit_counts(pipeline: Pipeline) -> None:
    await pipeline.start("relay")
    await pipeline.start("sink")
    await pipeline.lake(party_insert(1, "row"))
    async with (
        pipeline.lake_database.connect() as first,
        pipeline.lake_database.connect() as second,
        first.transaction(),
    ):
        await first.execute(party_insert(1, "other"))
        async with second.transaction():
            await second.execute("UPDATE credit.party SET full_name = 'second' WHERE full_name = 'row 1'")
        await first.execute("UPDATE credit.party SET full_name = 'first' WHERE full_name = 'second'")
    await pipeline.equal()
    [row] = await pipeline.replica("SELECT full_name FROM credit.party WHERE full_name <> 'other 1'")
    assert row["full_name"] == "first"


async def test_case_03_an_open_transaction_holds_the_horizon_and_says_for_how_long(
    pipeline: Pipeline,
) -> None:
    await pipeline.start("relay")
    await pipeline.start("sink")
    async with pipeline.lake_database.connect() as idle, idle.transaction():
        await idle.execute(party_insert(1, "idle"))
        await pipeline.lake(party_insert(10, "waits"))
        while await pipeline.metric("relay", "credit_replication_horizon_held_seconds") < 2:
            await asyncio.sleep(0.1)
        assert await pipeline.replica("SELECT 1 FROM credit.party") == []
    await pipeline.equal()


async def test_case_19_truncate_is_refused_by_the_grants(pipeline: Pipeline) -> None:
    async with pipeline.lake_database.connect("intake") as intake:
        with pytest.raises((DBAPIError, asyncpg.InsufficientPrivilegeError)):
            await intake.raw("TRUNCATE TABLE credit.document")


async def test_case_19_added_dropped_and_renamed_columns(pipeline: Pipeline) -> None:
    await pipeline.start("relay")
    await pipeline.start("sink")
    await pipeline.lake(party_insert(100))
    await change(pipeline, PARTY, "ALTER TABLE credit.party ADD COLUMN nickname varchar(40)")
    await pipeline.lake("UPDATE credit.party SET nickname = 'N', phone = '1'")
    await pipeline.equal()
    for statement in (
        "ALTER TABLE credit.party RENAME COLUMN phone TO telephone",
        "ALTER TABLE credit.party DROP COLUMN telephone",
    ):
        await change(pipeline, PARTY, statement)
        assert "is gone (dropped or renamed)" in (await stopped(pipeline))["reason"]
        ended = await command(pipeline, "accept-schema", PARTY, "--yes", application="sink")
        assert ended.status == 0, ended.output
        await goes_on(pipeline)


async def test_case_19_a_disabled_trigger_stops_its_table_and_a_cascade_the_relay(pipeline: Pipeline) -> None:
    await pipeline.start("relay")
    await pipeline.start("sink")
    await pipeline.lake("ALTER TABLE credit.party DISABLE TRIGGER capture_insert")
    row = await stopped(pipeline)
    assert (row["kind"], row["reason"]) == (
        "capture",
        "capture triggers missing or disabled: capture_party_insert",
    )
    await pipeline.lake("ALTER TABLE credit.party ENABLE TRIGGER capture_insert")
    await goes_on(pipeline)
    async with pipeline.lake_database.connect() as owner:
        await owner.raw(
            "ALTER TABLE credit.application_party ADD CONSTRAINT fk_eager FOREIGN KEY (party_id) "
            "REFERENCES credit.party (id) ON DELETE CASCADE"
        )
    assert await pipeline.died("relay") == 1
    assert "foreign key fk_eager of credit.application_party to credit.party" in pipeline.log("relay")


async def test_case_20_every_type_at_its_boundaries_is_equal_and_one_corrupted_cell_is_named(
    pipeline: Pipeline,
) -> None:
    columns = ", ".join(f"{name} {type_} NULL" for name, (type_, _) in COLUMNS.items())
    async with pipeline.lake_database.connect() as owner:
        await owner.raw(
            f"CREATE TABLE {EVERYTHING} (id int NOT NULL PRIMARY KEY, {columns}, a_rowversion rowversion NOT NULL)"
        )
        await owner.raw(f"GRANT SELECT ON {EVERYTHING} TO verifier")
    await change(pipeline, EVERYTHING)
    await pipeline.start("relay")
    await pipeline.start("sink")
    most = max(len(values) for _, values in COLUMNS.values())
    async with pipeline.lake_database.connect() as owner:
        # A session's taste must not be seen in any image.
        await owner.raw("SET DATEFORMAT dmy; SET LANGUAGE German; SET DATEFIRST 3")
        await owner.raw(f"INSERT INTO {EVERYTHING} (id) VALUES (0)")
        for number in range(most):
            values = ", ".join(values[number % len(values)] for _, values in COLUMNS.values())
            names = ", ".join(COLUMNS)
            await owner.raw("SET DATEFORMAT ymd")
            await owner.raw(f"INSERT INTO {EVERYTHING} (id, {names}) VALUES ({number + 1}, {values})")
            await owner.raw(f"UPDATE {EVERYTHING} SET a_bit = 1 - a_bit")
        await owner.raw(f"DELETE FROM {EVERYTHING} WHERE id = 0")
    await pipeline.equal()
    [offset] = await pipeline.replica(
        f"SELECT a_datetimeoffset_offset_minutes AS minutes FROM {EVERYTHING} WHERE id = 3"
    )
    assert offset["minutes"] == 345

    async with journal_of(pipeline) as journal:
        tables = {table.full_name: table for table in (await journal.definitions()).values()}
        assert await journal.read(START, 1)
    table: CapturedTable = tables[EVERYTHING]
    [row] = await pipeline.replica(
        f"UPDATE {EVERYTHING} AS r SET a_money = a_money + 0.0001 WHERE id = 2 "
        f"RETURNING {PostgreSQLJournal().key(table.replica, 'r')} AS key"
    )
    findings = (await pipeline.verify()).findings
    assert [(f.table, f.key, f.kind) for f in findings] == [(EVERYTHING, row["key"], "different")]
