"""The load of the journal: every change lands once and unchanged, despite crashes."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import signal
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace

from services.chassis.telemetry.spans import parent_from
from services.lake.database import Lake
from services.lake.journal.model import START, Position
from services.lake.journal.postgresql import PostgreSQLJournal
from services.lake.journal.retention import Retention
from services.lake.journal.sqlserver import SQLServerJournal
from services.loader.errors import (
    AlreadyLoading,
    NotReplayable,
    SourceChanged,
    SourceUnreachable,
    WarehouseFailed,
)
from services.loader.flows.model import Check
from tests.conftest import Database
from tests.integration.loader.loading import LANDED, Loading, lake_flow, party

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
HARD = "tab\there, line\nthere, \\N \\\\ backslash, quote\" and '' , Ngu\u0079\u0302n decomposed"


async def test_changes_land_as_the_journal_has_them_and_once(loading: Loading) -> None:
    await loading.change(
        party(1),
        party(2, HARD),
        "UPDATE credit.party SET full_name = full_name || '!' WHERE revision = 2",
        "UPDATE credit.party SET id = md5('moved')::uuid WHERE revision = 1",
        "DELETE FROM credit.party WHERE revision = 2",
    )
    loaded = await loading.run()
    journal = await loading.journal()
    assert await loading.landed() == journal
    assert [row[3] for row in journal if row[0] == "credit.party"] == ["c", "c", "u", "d", "u", "d"]
    batch = loaded.batches[0]
    assert (loaded.rows, batch.window.position_to) == (len(journal), f"{journal[-1][1]}.0")
    assert await loading.watermark() == (batch.window.position_to, batch.batch_id)

    again = await loading.run()
    assert again.batches == ()
    assert await loading.landed() == journal
    assert await loading.watermark() == (batch.window.position_to, batch.batch_id)
    assert await loading.value("SELECT checked_at > moved_at FROM dl.watermark")


async def test_the_checksum_is_of_the_rows_that_landed(loading: Loading) -> None:
    await loading.change(party(1), party(2, HARD))
    batch = (await loading.run()).batches[0]
    text = ""
    async with loading.warehouse.connect() as owner:
        for table in sorted(target.table for target in loading.flow.targets):
            lines = io.BytesIO()
            await owner.copy_from_query(
                f"SELECT {LANDED} FROM dl.{table} ORDER BY position_major, position_minor", output=lines
            )
            if rows := lines.getvalue().count(b"\n"):
                text += f"{table} {rows} {hashlib.sha256(lines.getvalue()).hexdigest()}\n"
    assert hashlib.sha256(text.encode()).hexdigest() == batch.checksum
    assert await loading.value("SELECT checksum FROM dl.batch") == batch.checksum
    assert await loading.value("SELECT sum(row_count) FROM dl.batch_target") == batch.row_count


async def test_lines_of_sql_server_are_those_of_postgresql(loading: Loading) -> None:
    """Rows as its driver gives them; no such server is at hand."""
    await loading.change(party(1), party(2, HARD), "DELETE FROM credit.party WHERE revision = 1")
    journal = await loading.journal()

    class Server:
        rows: list[Any] = journal

        async def execute(self, *_: Any) -> Server:
            return self

        def all(self) -> list[Any]:
            given, self.rows = self.rows, []
            return [(*row[1:3], row[0], *row[3:]) for row in given]

    end = Position(journal[-1][1])
    tables = [target.source for target in loading.flow.targets]
    server: Any = Server()
    theirs = [
        line
        async for block in SQLServerJournal().journal_blocks(server, START, end, tables)
        for line in block.split(b"\n")
    ]
    lake = Lake.open(loading.lake.url(), service="test", pool_size=1)
    try:
        async with lake.engine.connect() as connection:
            blocks = PostgreSQLJournal().journal_blocks(connection, START, end, tables)
            ours = [line async for block in blocks for line in block.split(b"\n")]
    finally:
        await lake.dispose()
    assert theirs == ours
    assert len(ours) == len(journal)


async def test_a_late_commit_is_not_missed(loading: Loading) -> None:
    await loading.run()
    async with loading.lake.connect() as late:
        transaction = late.transaction()
        await transaction.start()
        await late.execute(party(1))
        await loading.change(party(2))
        assert (await loading.run()).rows == 0
        await transaction.commit()
    assert (await loading.run()).rows == 2
    assert await loading.landed() == await loading.journal()


async def test_a_large_window_is_cut_into_batches_that_adjoin(loading: Loading) -> None:
    await loading.change(*(party(number) for number in range(1, 8)))
    loaded = await loading.run(batch_rows=5)
    journal = await loading.journal()
    assert await loading.landed() == journal
    windows = [(batch.window.position_from, batch.window.position_to) for batch in loaded.batches]
    assert len(windows) == -(-len(journal) // 5)
    assert [end for _, end in windows[:-1]] == [begin for begin, _ in windows[1:]]
    assert max(batch.row_count for batch in loaded.batches) == 5
    ids = [batch.batch_id for batch in loaded.batches]
    assert ids == sorted(ids)


@pytest.mark.parametrize("locked", ["dl.credit_party", "dl.batch"])
async def test_killed_in_mid_load_nothing_is_there_and_the_next_run_takes_it_anew(
    loading: Loading, locked: str
) -> None:
    await loading.change(party(1), party(2))
    async with loading.warehouse.connect() as owner:
        async with owner.transaction():
            await owner.execute(f"LOCK TABLE {locked} IN SHARE MODE")
            process = await loading.command("run", "lake")
            async with asyncio.timeout(30):
                while not await owner.fetchval(
                    "SELECT 1 FROM pg_locks JOIN pg_class ON pg_class.oid = relation "
                    "WHERE NOT granted AND relname = $1",
                    locked.removeprefix("dl."),
                ):
                    await asyncio.sleep(0.05)
            process.send_signal(signal.SIGKILL)
            await process.wait()
        async with asyncio.timeout(30):
            while await owner.fetchval("SELECT 1 FROM pg_stat_activity WHERE application_name = 'loader'"):
                await asyncio.sleep(0.05)
    assert await loading.landed() == []
    assert await loading.watermark() is None
    assert await loading.value("SELECT count(*) FROM dl.batch") == 0

    process = await loading.command("run", "lake")
    output, said = await process.communicate()
    assert process.returncode == 0, said.decode()
    journal = await loading.journal()
    assert await loading.landed() == journal
    report = json.loads(output.splitlines()[-1])
    assert (report["flow"], report["rows"], report["window_to"]) == (
        "lake",
        len(journal),
        f"{journal[-1][1]}.0",
    )
    assert report["traceparent"] == await loading.value("SELECT traceparent FROM dl.batch")


async def test_only_one_process_loads_a_flow(loading: Loading) -> None:
    await loading.run()
    before = await loading.watermark()
    await loading.change(party(1))
    async with loading.warehouse.connect() as owner, owner.transaction():
        await owner.execute("SELECT 1 FROM dl.watermark FOR UPDATE")
        with pytest.raises(AlreadyLoading, match="flow lake is being loaded by another process"):
            await loading.run()
    assert await loading.watermark() == before
    assert (await loading.run()).rows == 1


async def test_a_batch_is_replayed_under_a_new_id(loading: Loading) -> None:
    await loading.change(party(1))
    first = (await loading.run()).batches[0]
    await loading.change(party(2))
    second = (await loading.run()).batches[0]
    landed, watermark = await loading.landed(), await loading.watermark()

    again = (await loading.replay(first.batch_id)).batches[0]
    assert again.checksum == first.checksum
    assert again.batch_id > second.batch_id
    assert await loading.landed() == landed
    assert await loading.watermark() == watermark
    assert await loading.value(
        "SELECT array_agg(DISTINCT batch_id ORDER BY batch_id) FROM dl.credit_party"
    ) == [
        second.batch_id,
        again.batch_id,
    ]
    with pytest.raises(NotReplayable, match=f"were replaced by batch {again.batch_id}"):
        await loading.replay(first.batch_id)
    with pytest.raises(NotReplayable, match="flow lake has no batch 4711"):
        await loading.replay(4711)


async def test_a_window_that_was_changed_behind_the_loader_is_not_replayed(loading: Loading) -> None:
    await loading.change(party(1))
    batch = (await loading.run()).batches[0]
    landed = await loading.landed()
    await loading.change("UPDATE journal.change SET actor = 'another' WHERE table_name = 'credit.party'")
    with pytest.raises(NotReplayable, match="the source was changed behind"):
        await loading.replay(batch.batch_id)
    assert await loading.landed() == landed


async def test_the_purge_does_not_run_ahead(loading: Loading) -> None:
    await loading.change(party(1))
    await loading.run()
    end = (await loading.journal())[-1][1]
    lake = Lake.open(loading.lake.url(), service="test", pool_size=2)
    try:
        readers = await Retention(lake).readers()
        assert [(reader.name, reader.position) for reader in readers] == [("loader.lake", Position(end))]
    finally:
        await lake.dispose()


@pytest.mark.parametrize(
    ("meddling", "said"),
    [
        (("UPDATE journal.incarnation SET id = gen_random_uuid()",), "has another journal"),
        (("UPDATE journal.purged SET position_major = 1000000",), "was purged up to 1000000.0"),
        (("DELETE FROM journal.change WHERE position > 1",), "restored from an older copy"),
    ],
)
async def test_a_journal_that_is_not_what_it_was_is_refused(
    loading: Loading, meddling: tuple[str, ...], said: str
) -> None:
    await loading.change(party(1))
    await loading.run()
    before = (await loading.landed(), await loading.watermark())
    await loading.change(*meddling)
    with pytest.raises(SourceChanged, match=said) as caught:
        await loading.run()
    assert "services.loader.main restart lake" in str(caught.value)
    assert (await loading.landed(), await loading.watermark()) == before


@pytest.mark.parametrize(
    "meddling",
    [
        "UPDATE journal.incarnation SET id = gen_random_uuid()",
        # The deletion is in the gap, so that no change reports it.
        "DELETE FROM credit.party; "
        "UPDATE journal.purged SET position_major = (SELECT max(position) FROM journal.change); "
        "DELETE FROM journal.change",
    ],
)
async def test_a_flow_begins_anew_where_changes_were_lost(loading: Loading, meddling: str) -> None:
    await loading.change(party(1))
    await loading.run()
    await loading.change(meddling)
    process = await loading.command("restart", "lake", "--yes")
    _, said = await process.communicate()
    assert process.returncode == 0, said.decode()
    assert await loading.landed() == []
    await loading.change(party(2))
    await loading.run()
    assert await loading.landed() == await loading.journal()


async def test_a_column_that_is_gone_is_told_and_nothing_lands(loading: Loading) -> None:
    await loading.run()
    before = await loading.watermark()
    await loading.change(party(1))
    target = loading.flow.targets[0]
    columns = (*target.columns, "nickname")
    loading.flow = lake_flow(
        targets=(target.model_copy(update={"columns": columns}), *loading.flow.targets[1:])
    )
    with pytest.raises(SourceChanged, match=r"credit\.party has no column nickname any more"):
        await loading.run()
    assert await loading.watermark() == before
    loading.flow = lake_flow()
    assert (await loading.run()).rows == 1


async def test_a_value_that_does_not_fit_stops_no_load(loading: Loading) -> None:
    """It is set aside when it is typed."""
    await loading.run()
    await loading.change(party(1), party(2, "Somebody"))
    target = loading.flow.targets[0]
    checked = target.model_copy(update={"checks": (Check(column="full_name", max_length=7),)})
    loading.flow = lake_flow(targets=(checked, *loading.flow.targets[1:]))
    assert (await loading.run()).rows == 2


async def test_databases_that_are_down_are_told_apart(loading: Loading) -> None:
    down = "postgresql+asyncpg://loader:x@127.0.0.1:1/nowhere"

    class Down(Database):
        def url(self, _login: str = "") -> str:
            return down

    lake = loading.lake
    loading.lake = Down(lake.platform, "nowhere")
    with pytest.raises(SourceUnreachable, match="the lake cannot serve at the moment"):
        await loading.run()
    warehouse, loading.lake, loading.warehouse = loading.warehouse, lake, Down(lake.platform, "nowhere")
    with pytest.raises(WarehouseFailed, match="the warehouse cannot serve at the moment"):
        await loading.run()
    loading.warehouse = warehouse
    assert await loading.watermark() is None


async def test_the_batch_is_linked_to_the_changes_and_continues_the_caller(loading: Loading) -> None:
    await loading.change(f"SET journal.traceparent = '{TRACEPARENT}'; {party(1)}")
    caller = "00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    async with loading.loader(parent=caller) as loader:
        batch = (await loader.run(lambda _: None)).batches[0]
    span = next(span for span in loading.spans.get_finished_spans() if span.name == "load lake")
    change = trace.get_current_span(parent_from(TRACEPARENT)).get_span_context()
    assert [link.context.span_id for link in span.links] == [change.span_id]
    assert span.parent is not None
    assert f"{span.parent.trace_id:032x}" == caller.split("-")[1]
    assert batch.traceparent is not None
    assert batch.traceparent.split("-")[2] == f"{span.context.span_id:016x}"
    assert span.attributes is not None
    assert span.attributes["creditmesh.rows"] == batch.row_count


async def test_lineage_names_what_dbt_names(loading: Loading, tmp_path: Path) -> None:
    await loading.change(party(1))
    events = tmp_path / "events.json"
    process = await loading.command(
        "run",
        "lake",
        OPENLINEAGE__TRANSPORT__TYPE="file",
        OPENLINEAGE__TRANSPORT__LOG_FILE_PATH=str(events),
        OPENLINEAGE__TRANSPORT__APPEND="true",
    )
    _, said = await process.communicate()
    assert process.returncode == 0, said.decode()
    start, complete = (json.loads(line) for line in events.read_text().splitlines())
    assert (start["eventType"], complete["eventType"]) == ("START", "COMPLETE")
    assert start["run"]["runId"] == complete["run"]["runId"]
    port = loading.lake.platform.settings.postgres_port
    output = next(o for o in complete["outputs"] if o["name"].endswith(".dl.credit_party"))
    assert (output["namespace"], output["name"]) == (
        f"postgres://127.0.0.1:{port}",
        f"{loading.warehouse.name}.dl.credit_party",
    )
    assert output["outputFacets"]["outputStatistics"]["rowCount"] == 1
    sources = output["facets"]["columnLineage"]["fields"]["image"]["inputFields"]
    assert {source["name"] for source in sources} == {f"{loading.lake.name}.credit.party"}
    assert "full_name" in {source["field"] for source in sources}
    traced = complete["run"]["facets"]["creditmesh_trace"]["traceparent"]
    assert traced == await loading.value("SELECT traceparent FROM dl.batch")
