"""The bookkeeping that relay, sink and verification share."""

from __future__ import annotations

import importlib

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from services.lake.journal.model import Position
from services.replicator.store import (
    StopKind,
    StoppedTable,
    clear_stop,
    clear_stops,
    partition_progress,
    stop_tables,
    stopped_tables,
)
from tests.conftest import Database

SCHEMA = StoppedTable("credit.party", StopKind.SCHEMA, "column phone is gone", "accept-schema credit.party")
CAPTURE = StoppedTable("credit.loan", StopKind.CAPTURE, "a trigger is missing", "migrate")
RELAY = StoppedTable("credit.application", StopKind.RELAY, "the row: too large", "resume-table")
OLD = {stop.table: str(stop) for stop in (SCHEMA, CAPTURE, RELAY)}


async def test_progress_relates_what_is_relayed_to_what_is_applied(fresh_application: Database) -> None:
    async with fresh_application.connect() as owner:
        await owner.execute(
            "UPDATE replication.relay SET sent = "
            """'{"lake.credit.party/0": "9.1", "lake.credit.party/10": "9223372036854775807.0"}'"""
        )
        await owner.execute(
            "INSERT INTO replication.sink_offset (topic, partition, position_major, position_minor) "
            "VALUES ('lake.credit.party', 0, 8, 7), ('older.credit.party', 0, 1, 0)"
        )
    for login in ("relay", "sink", "verifier"):
        async with fresh_application.connect(login) as connection:
            first, second = await partition_progress(connection)
        assert (str(first), first.relayed, first.applied) == (
            "lake.credit.party/0",
            Position(9, 1),
            Position(8, 7),
        )
        assert first.has_applied(Position(8, 7))
        assert not first.has_applied(Position(8, 8))
        assert (second.partition, second.relayed, second.applied) == (10, Position(2**63 - 1), Position(0))
        assert not second.has_applied(Position(0)), "no sink has taken it over yet"


async def test_each_kind_of_stop_is_cleared_by_itself(fresh_application: Database) -> None:
    async with fresh_application.connect("sink") as connection:
        await stop_tables(connection, [SCHEMA, CAPTURE, RELAY])
        await clear_stops(connection, StopKind.SCHEMA, but=["credit.loan"])
        assert await stopped_tables(connection) == {stop.table: stop for stop in (CAPTURE, RELAY)}
        await clear_stops(connection, StopKind.CAPTURE, but=["credit.loan"])
        await clear_stop(connection, "credit.application", StopKind.SCHEMA)
        assert (await stopped_tables(connection)).keys() == {"credit.loan", "credit.application"}
        await clear_stop(connection, "credit.application", StopKind.RELAY)
        await clear_stop(connection, "credit.loan")
        assert await stopped_tables(connection) == {}


@pytest.mark.parametrize("replace", [True, False])
async def test_a_stop_of_another_kind_is_overwritten_only_when_asked(
    fresh_application: Database, replace: bool
) -> None:
    async with fresh_application.connect("sink") as connection:
        await stop_tables(connection, [CAPTURE])
        await stop_tables(connection, [SCHEMA._replace(table="credit.loan")], replace=replace)
        [stop] = (await stopped_tables(connection)).values()
        assert stop.kind is (StopKind.SCHEMA if replace else StopKind.CAPTURE)
        await stop_tables(connection, [stop._replace(reason="another")], replace=False)
        assert (await stopped_tables(connection))["credit.loan"].reason == "another"


async def test_reasons_from_before_there_were_kinds_are_split(fresh_application: Database) -> None:
    migration = importlib.import_module("services.replicator.migrations.versions.0005_progress_and_kinds")

    def run(connection: Connection, *, up: bool) -> None:
        with Operations.context(MigrationContext.configure(connection)):
            (migration.upgrade if up else migration.downgrade)()

    engine = create_async_engine(fresh_application.url(), poolclass=NullPool)
    try:
        async with fresh_application.connect() as owner:
            await stop_tables(owner, [SCHEMA, CAPTURE, RELAY])
            # What later revisions build on the view.
            await owner.execute("DROP VIEW replication.freshness")
            async with engine.begin() as connection:
                await connection.run_sync(run, up=False)
            rows = await owner.fetch("SELECT * FROM replication.stopped_table")
            assert {row["table_name"]: row["reason"] for row in rows} == OLD
            await owner.execute(
                "INSERT INTO replication.stopped_table (table_name, reason, command) VALUES ('x.y', 'odd: why', 'z')"
            )
            async with engine.begin() as connection:
                await connection.run_sync(run, up=True)
            found = await stopped_tables(owner)
            assert found.pop("x.y") == StoppedTable("x.y", StopKind.SCHEMA, "odd: why", "z")
            assert found == {stop.table: stop for stop in (SCHEMA, CAPTURE, RELAY)}
    finally:
        await engine.dispose()
