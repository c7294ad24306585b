"""The statements that write a batch, as PostgreSQL plans them."""

from __future__ import annotations

from services.lake.journal.model import CapturedColumn, CapturedTable, ColumnType
from services.replicator.records import parse
from services.replicator.replica.connection import take_json_as_it_is
from services.replicator.replica.tables import create_tables
from services.replicator.sink.offsets import claim_arguments
from services.replicator.sink.writer import TableWriter
from tests.conftest import Database
from tests.unit.replicator.records import record

TABLE = CapturedTable(
    "credit",
    "thing",
    (CapturedColumn("id", ColumnType.INTEGER, nullable=False), CapturedColumn("name", ColumnType.TEXT, True)),
    ("id",),
)
GONE = parse(record(operation="d", key=b'["1"]', value=None))
KEPT = parse(record(key=b'["2"]', value=b'{"id":2,"name":"x"}'))


async def test_the_claim_comes_before_all_and_the_deletes_before_what_is_written(
    application: Database,
) -> None:
    writer = TableWriter(TABLE)
    async with application.connect("sink") as connection:
        await create_tables(connection, [TABLE])
        await take_json_as_it_is(connection)
        for events, filters in (([KEPT], 1), ([GONE], 1), ([GONE, KEPT], 2)):
            statement = writer.statement(events)
            rows = await connection.fetch(
                f"EXPLAIN (COSTS OFF) {statement.claiming}", *claim_arguments({}), *statement.bodies
            )
            plan = "\n".join(row[0] for row in rows)
            # Looked at before the first row of what is below it is asked for.
            assert plan.count("One-Time Filter") == filters, plan
            if filters == 2:
                # The number of deletes is asked for by the insert alone.
                insert, delete = plan.split("CTE gone", 1)
                assert "Insert on thing" in insert, plan
                assert "Delete on thing" in delete, plan


async def test_a_key_that_goes_and_another_that_comes_are_one_statement(application: Database) -> None:
    writer = TableWriter(TABLE)
    async with application.connect("sink") as connection:
        await create_tables(connection, [TABLE])
        await connection.execute("INSERT INTO credit.thing VALUES (1, 'goes'), (2, 'old'), (3, 'stays')")
        statement = writer.statement([GONE, KEPT])
        await connection.set_type_codec(
            "json", schema="pg_catalog", encoder=bytes, decoder=bytes, format="binary"
        )
        await connection.execute(statement.text, *statement.bodies)
        rows = await connection.fetch("SELECT id, name FROM credit.thing ORDER BY id")
        assert [tuple(row) for row in rows] == [(2, "x"), (3, "stays")]
