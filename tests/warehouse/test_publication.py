"""What people are shown: the newest build of ap that has passed its tests, as one."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa
import sqlglot
from sqlalchemy.dialects import mssql

from services.analytics import publication
from services.analytics.errors import NotPublished
from services.analytics.publication import publish
from services.analytics.tables import COPIED, build
from services.analytics.warehouse import Warehouse as Serving
from services.platform.settings import ROOT
from tests.warehouse.conftest import TRACEPARENT, Warehouse
from tests.warehouse.portfolio import AS_OF

# The first of them builds the whole warehouse, which takes minutes on a busy machine.
pytestmark = pytest.mark.timeout(900)


@pytest.fixture
async def serving(copied: Warehouse) -> AsyncIterator[Serving]:
    """The copied warehouse, by the login that publishes."""
    await copied.forget_other_runs()
    opened = Serving.open(copied.database.url("transformer"), service="test")
    yield opened
    await opened.dispose()


async def checksum(copied: Warehouse, table: str, columns: list[str], where: str = "true") -> str:
    """The rows of some columns, whatever their order."""
    listed = ", ".join(columns)
    (row,) = await copied.rows(
        f"SELECT count(*) || ' ' || md5(string_agg(md5(r::text), '' ORDER BY md5(r::text))) AS sum "
        f"FROM (SELECT {listed} FROM {table} WHERE {where}) AS r"
    )
    return str(row["sum"])


async def test_a_build_is_copied_as_it_is(copied: Warehouse, serving: Serving) -> None:
    done = await publish(serving, traceparent=TRACEPARENT)
    assert (done.build_id, done.as_of_date, done.removed) == (1, AS_OF, 0)
    for table in COPIED:
        columns = [column.name for column in table.columns if column.name != "build_id"]
        (known,) = await copied.rows(
            "SELECT array_agg(column_name::text) AS names FROM information_schema.columns "
            "WHERE table_schema = 'ap' AND table_name = $1",
            table.name,
        )
        assert sorted(columns) == sorted(known["names"]), table.name
        assert done.rows[table.name] > 0, table.name
        assert await checksum(copied, f"serving.{table.name}", columns, "build_id = 1") == await checksum(
            copied, f"ap.{table.name}", columns
        ), table.name
    (row,) = await copied.rows("SELECT * FROM serving.build")
    assert row["tests_passed"] > 50
    assert row["through_batch_id"] == copied.batches
    assert row["through_time"] is not None
    assert row["traceparent"] == TRACEPARENT


async def test_the_same_build_is_published_once(copied: Warehouse, serving: Serving) -> None:
    first, *others = await asyncio.gather(*(publish(serving) for _ in range(4)))
    assert {one.build_id for one in others} == {first.build_id}
    assert len(await copied.rows("SELECT 1 FROM serving.build")) == 1


async def test_what_is_published_is_read_and_nothing_else(copied: Warehouse, serving: Serving) -> None:
    await publish(serving)
    async with copied.database.connect("reporting") as reporting:
        assert await reporting.fetchval("SELECT count(*) FROM serving.kpi") > 0
        assert await reporting.fetchval("SELECT count(*) FROM dm.fact_loan_month") > 0
        await reporting.fetchval("SELECT count(*) FROM dl.quality_result")
        for statement in (
            "SELECT 1 FROM ap.kpi",
            "SELECT 1 FROM ods.credit_party",
            "SELECT 1 FROM dl.credit_party",
            "DELETE FROM serving.build",
            "UPDATE serving.kpi SET value = 0",
            "CREATE TABLE serving.mine (a integer)",
        ):
            with pytest.raises(Exception, match="permission denied"):
                await reporting.execute(statement)
    async with copied.database.connect("transformer") as transformer:
        with pytest.raises(Exception, match="permission denied"):
            await transformer.execute("UPDATE serving.kpi SET value = 0")


async def test_a_build_that_fails_its_tests_is_not_shown(copied: Warehouse, serving: Serving) -> None:
    before = await publish(serving)
    async with copied.database.connect("transformer") as transformer:
        await transformer.execute("INSERT INTO ap.kpi_portfolio SELECT * FROM ap.kpi_portfolio")
    await copied.build("path:models/ap", status=1)
    with pytest.raises(NotPublished, match=r"failed: .*unique_together_kpi_portfolio"):
        await publish(serving)
    assert [row["build_id"] for row in await copied.rows("SELECT build_id FROM serving.build")] == [
        before.build_id
    ]


async def test_a_build_that_is_not_whole_is_not_shown(copied: Warehouse, serving: Serving) -> None:
    await publish(serving)
    await copied.build("kpi_flow")
    with pytest.raises(NotPublished, match=r"made only 1 of [0-9]+ models"):
        await publish(serving)
    async with copied.database.connect("transformer") as transformer:
        (noted,) = await copied.rows("SELECT * FROM build.run WHERE models = 1")
        assert noted["tests_passed"] > 0
        assert noted["tests_left"] > 50
        await transformer.execute("UPDATE build.run SET models_left = 0")
        with pytest.raises(NotPublished, match=f"left out {noted['tests_left']} of its tests"):
            await publish(serving)


async def test_a_build_that_is_under_way_or_was_killed_is_not_shown(
    copied: Warehouse, serving: Serving
) -> None:
    async with copied.database.connect("transformer") as transformer:
        await transformer.execute("UPDATE build.run SET finished_at = NULL")
        with pytest.raises(NotPublished, match="under way or was killed"):
            await publish(serving)
        await transformer.execute("DELETE FROM build.run")
        with pytest.raises(NotPublished, match="never built"):
            await publish(serving)


async def test_a_build_that_begins_while_another_is_copied_leaves_nothing(
    copied: Warehouse, serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = publication._copy

    async def and_a_build_begins(session: publication.Session, table: sa.Table, build_id: int) -> int:
        rows = await copy(session, table, build_id)
        if table is COPIED[-1]:
            async with copied.database.connect("transformer") as transformer:
                await transformer.execute(
                    "INSERT INTO build.run "
                    "SELECT 'another', started_at + interval '1 hour', NULL, 0, 0, 0, 0, 0, '[]', 1 FROM build.run"
                )
        return rows

    monkeypatch.setattr(publication, "_copy", and_a_build_begins)
    with pytest.raises(NotPublished, match="began meanwhile"):
        await publish(serving)
    assert await copied.rows("SELECT 1 FROM serving.build") == []
    assert await copied.rows("SELECT 1 FROM serving.kpi") == []


async def test_old_builds_go_with_their_rows(
    copied: Warehouse, serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publication, "NEWEST_KEPT", 2)
    monkeypatch.setattr(publication, "DAYS_KEPT", 0)
    async with copied.database.connect("transformer") as transformer:
        for number in range(4):
            await transformer.execute("UPDATE build.run SET invocation_id = $1", f"build {number}")
            done = await publish(serving)
    assert (done.build_id, done.removed) == (4, 1)
    for table in (build, *COPIED):
        found = await copied.rows(f"SELECT DISTINCT build_id FROM serving.{table.name} ORDER BY 1")
        assert [row["build_id"] for row in found] == [3, 4], table.name


async def test_the_command_says_what_it_did(copied: Warehouse) -> None:
    await copied.forget_other_runs()

    async def command(login: str) -> tuple[int | None, str, str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "services.analytics.main", "publish"),
            cwd=ROOT,
            env={"WAREHOUSE_URL": copied.database.url(login), "TRACEPARENT": TRACEPARENT},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        return process.returncode, out.decode(), err.decode()

    status, out, err = await command("transformer")
    assert status == 0, err
    said = json.loads(out.splitlines()[-1])
    assert said["build_id"] == 1
    assert said["rows"].keys() == {table.name for table in COPIED}
    # The trace of who asked for the build goes on.
    assert said["traceparent"].split("-")[1] == TRACEPARENT.split("-")[1]
    status, out, err = await command("analyst")
    assert (status, out) == (1, "")
    assert "nothing was published" in err


def test_sql_server_copies_by_statements_that_it_knows() -> None:
    dialect = mssql.dialect()  # type: ignore[no-untyped-call] # SQLAlchemy's
    for table in COPIED:
        columns = [column.name for column in table.columns]
        statement = table.insert().from_select(columns, sa.select(*(sa.column(name) for name in columns)))
        text = str(statement.compile(dialect=dialect))
        assert sqlglot.parse_one(text, read="tsql", error_level=sqlglot.ErrorLevel.RAISE)
