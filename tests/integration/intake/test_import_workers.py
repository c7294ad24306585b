"""The workers of imports: rows are written once, whatever happens to workers and files on the way."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from services.intake.imports import worker
from services.intake.imports.domain import FOLDER, ROWS_OF_A_TRANSACTION
from services.intake.imports.formats import Record
from services.intake.imports.rows import ReadRow, RowReader
from services.intake.imports.worker import ImportWorker
from services.lake.database import Lake
from tests.conftest import Database
from tests.integration.intake.import_process import worker_over
from tests.integration.intake.importing import (
    application_row,
    as_ndjson,
    assert_named,
    ended,
    files,
    made_in,
    rows_of_import,
    sample_file,
    send,
)
from tests.integration.intake.killing import import_with_kills
from tests.integration.lending import OBJECT_KEY, Lending, assert_problem


@pytest.fixture
async def waiting(
    monkeypatch: pytest.MonkeyPatch, fresh_lake: Database, application: Database, tmp_path: Path
) -> AsyncIterator[Lending]:
    """As a process that takes files and never comes to write their rows."""

    async def nothing(_: ImportWorker) -> None:
        await asyncio.sleep(3600)

    monkeypatch.setattr(ImportWorker, "keep", nothing)
    stored = {"object_store_url": tmp_path.as_uri(), "object_store_keys": SecretStr(OBJECT_KEY)}
    async with Lending.over(fresh_lake, application, **stored) as made:
        yield made


@pytest.fixture
async def workers(fresh_lake: Database, tmp_path: Path) -> AsyncIterator[list[ImportWorker]]:
    """Two workers as two processes have them."""
    lakes = [Lake.open(fresh_lake.url("intake"), service="test", pool_size=2) for _ in range(2)]
    yield [worker_over(lake, tmp_path.as_uri(), timedelta(seconds=5)) for lake in lakes]
    for lake in lakes:
        await lake.dispose()


async def test_ten_imports_of_one_sender_wait_and_no_more(waiting: Lending) -> None:
    maker = waiting.user("maker")
    for number in range(10):
        assert (await send(waiting, maker, as_ndjson([application_row(number + 1)]))).status_code == 202
    assert_problem(await send(waiting, maker, as_ndjson([application_row(11)])), 409)
    assert (await send(waiting, waiting.user("maker"), as_ndjson([application_row(12)]))).status_code == 202


async def test_of_twenty_imports_at_once_ten_are_taken(waiting: Lending) -> None:
    maker = waiting.user("maker")
    answers = await asyncio.gather(
        *(send(waiting, maker, as_ndjson([application_row(n)])) for n in range(1, 21))
    )
    assert Counter(one.status_code for one in answers) == {202: 10, 409: 10}


@pytest.mark.timeout(900)
async def test_case_19_killed_workers_change_nothing(waiting: Lending, tmp_path: Path) -> None:
    await import_with_kills(waiting, tmp_path, sample_file(200, faults=11), kills=3)


async def test_two_workers_write_each_row_once(
    waiting: Lending, workers: list[ImportWorker], tmp_path: Path
) -> None:
    maker, other = waiting.user("maker"), waiting.user("maker")
    same = as_ndjson([application_row(n) for n in range(1, 151)])
    paths = [(await send(waiting, maker, same)).headers["location"] for _ in range(2)]
    rest = as_ndjson([application_row(n) for n in range(151, 301)])
    foreign = (await send(waiting, other, rest)).headers["location"]

    async def work(one: ImportWorker) -> None:
        while await one.run_due():
            pass

    async with asyncio.timeout(120):
        for _ in range(50):
            await asyncio.gather(*(work(one) for one in workers))
            if not files(tmp_path):
                break
            await asyncio.sleep(0.2)
    views = [await ended(waiting, maker, path) for path in paths]
    assert sum(view["made"] for view in views) == 150
    assert sum(view["repeated"] for view in views) == 150
    assert (await ended(waiting, other, foreign))["made"] == 150
    assert set((await made_in(waiting.lake)).values()) == {300}


async def test_who_has_lost_the_import_commits_nothing(
    waiting: Lending, workers: list[ImportWorker], monkeypatch: pytest.MonkeyPatch
) -> None:
    maker = waiting.user("maker")
    path = (await send(waiting, maker, as_ndjson([application_row(1)]))).headers["location"]
    slow, quick = workers
    begun, go_on = asyncio.Event(), asyncio.Event()
    begin = slow._writer.begin

    async def stopped(*arguments: Any, **named: Any) -> Any:
        begun.set()
        await go_on.wait()
        return await begin(*arguments, **named)

    monkeypatch.setattr(slow._writer, "begin", stopped)
    running = asyncio.create_task(slow.run_due())
    await begun.wait()
    # Its lease ends while it waits.
    async with waiting.lake.connect() as connection:
        await connection.execute(
            "UPDATE intake.import_file SET next_attempt_at = now() AT TIME ZONE 'utc' - interval '1 s'"
        )
    assert await quick.run_due()
    go_on.set()
    await running
    view = await ended(waiting, maker, path)
    assert (view["made"], view["repeated"]) == (1, 0)
    assert set((await made_in(waiting.lake)).values()) == {1}


async def test_a_row_that_fails_in_an_unforeseen_way_is_named_and_the_others_are_made(
    waiting: Lending, workers: list[ImportWorker], monkeypatch: pytest.MonkeyPatch
) -> None:
    maker, first = waiting.user("maker"), workers[0]
    rows = [application_row(n) for n in range(1, 8)]
    path = (await send(waiting, maker, as_ndjson(rows))).headers["location"]
    put = first._writer._intake.put_application

    async def failing(tx: Any, content: Any, **named: Any) -> Any:
        if content.purpose == rows[4]["application"]["purpose"] and str(content.amount).startswith(
            rows[4]["application"]["amount"]
        ):
            raise ZeroDivisionError("Nguyễn Văn Đạt")
        return await put(tx, content, **named)

    monkeypatch.setattr(first._writer._intake, "put_application", failing)
    assert await first.run_due()
    view = await ended(waiting, maker, path)
    assert (view["made"], view["rejected"]) == (6, 1)
    (fault,) = await rows_of_import(waiting, maker, path)
    assert (fault["line"], fault["pointer"]) == (5, "")
    assert "logged" in fault["detail"]


async def test_a_file_that_was_damaged_fails_and_what_was_written_stays(
    waiting: Lending, workers: list[ImportWorker], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker = waiting.user("maker")
    rows = [application_row(n) for n in range(1, ROWS_OF_A_TRANSACTION + 11)]
    path = (await send(waiting, maker, as_ndjson(rows))).headers["location"]
    # Its turn is over after the first transaction.
    monkeypatch.setattr(worker, "TURN_SECONDS", 0)
    assert await workers[0].run_due()
    (file,) = files(tmp_path)
    stored = file.read_bytes()
    file.write_bytes(stored[:-1] + bytes([stored[-1] ^ 1]))
    assert await workers[0].run_due()
    view = await ended(waiting, maker, path)
    assert (view["state"], view["made"], view["line"]) == ("failed", *[ROWS_OF_A_TRANSACTION] * 2)
    assert set((await made_in(waiting.lake)).values()) == {ROWS_OF_A_TRANSACTION}
    assert files(tmp_path) == []


async def test_an_import_that_fails_in_an_unforeseen_way_holds_no_other_up_and_goes_on(
    waiting: Lending, workers: list[ImportWorker], monkeypatch: pytest.MonkeyPatch
) -> None:
    maker, one = waiting.user("maker"), workers[0]
    paths = [
        (await send(waiting, maker, as_ndjson([application_row(n)]))).headers["location"] for n in (1, 2)
    ]

    async def failing(*_: Any) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(one._repository, "add_faults", failing)
        with pytest.raises(ZeroDivisionError):
            await one.run_due()
    assert await one.run_due()
    assert (await ended(waiting, maker, paths[1]))["made"] == 1
    async with waiting.lake.connect() as connection:
        await connection.execute(
            "UPDATE intake.import_file SET next_attempt_at = now() AT TIME ZONE 'utc' WHERE ended_at IS NULL"
        )
    assert await one.run_due()
    assert (await ended(waiting, maker, paths[0]))["made"] == 1


async def test_a_row_that_cannot_be_read_in_an_unforeseen_way_is_named(
    waiting: Lending, workers: list[ImportWorker], monkeypatch: pytest.MonkeyPatch
) -> None:
    maker = waiting.user("maker")
    path = (await send(waiting, maker, as_ndjson([application_row(n) for n in (1, 2)]))).headers["location"]
    read = RowReader.read

    def failing(reader: RowReader, record: Record) -> ReadRow:
        if record.line == 1:
            raise ZeroDivisionError
        return read(reader, record)

    monkeypatch.setattr(RowReader, "read", failing)
    assert await workers[0].run_due()
    assert (await ended(waiting, maker, path))["made"] == 1
    assert_named(await rows_of_import(waiting, maker, path), {1: ""})


async def test_files_that_nobody_needs_are_swept(
    waiting: Lending, workers: list[ImportWorker], tmp_path: Path
) -> None:
    maker = waiting.user("maker")
    await send(waiting, maker, as_ndjson([application_row(1)]))
    (file,) = files(tmp_path)

    async def killed() -> AsyncIterator[bytes]:
        yield b"{}"

    await workers[0]._objects.put(FOLDER.key(uuid.uuid4()), killed())
    await asyncio.sleep(0.01)
    assert len(files(tmp_path)) == 2
    # What waits for its worker stays, and so does what may belong to a request that is under way.
    assert await workers[0].sweep() == 0
    assert await workers[0].sweep(timedelta(0)) == 1
    assert files(tmp_path) == [file]
