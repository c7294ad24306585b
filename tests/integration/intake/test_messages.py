"""Records of Kafka: each is written once or kept as rejected, whatever happens on the way."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.chassis.kafka_access import KafkaAccess
from services.chassis.objects.sealed import Keys
from services.intake.imports.domain import ImportKind
from services.intake.imports.formats import LARGEST_ROW_BYTES
from services.intake.messages.domain import KEPT
from services.intake.messages.repository import RejectedRepository
from services.intake.messages.service import RejectedRecords
from services.lake.database import Lake
from services.lake.domain.roles import Role, scopes_of
from services.platform.platform import Platform
from tests.conftest import Database
from tests.integration.intake.importing import (
    WRONG_VALUES,
    SampleFile,
    application_row,
    as_ndjson,
    assert_named,
    ended,
    made_in,
    sample_file,
    send,
)
from tests.integration.intake.proposing import booked_loan
from tests.integration.intake.receiving import Sender, lines_of, until
from tests.integration.lending import OBJECT_KEY, Lending, assert_problem
from tests.integration.undecodable import send_undecodable

ROOT = Path(__file__).parents[3]
TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"
PATH = "/rejected-records"
AUDITOR = uuid.uuid4()


@pytest.fixture
async def sender(kafka: KafkaAccess) -> Sender:
    made = Sender(kafka)
    await made.make_topics()
    return made


@pytest.fixture
async def receiving(
    platform: Platform, fresh_lake: Database, application: Database, sender: Sender
) -> AsyncIterator[Lending]:
    """An intake that reads the sender's topics."""
    async with Lending.over(fresh_lake, application, **sender.settings(platform)) as made:
        yield made


def auditor(lending: Lending, role: Role = Role.AUDITOR, login_age: int = 0) -> dict[str, str]:
    return lending.tokens.headers(
        scopes=scopes_of([role]), roles=[role], user=AUDITOR, auth_time=int(time.time()) - login_age
    )


async def read(lending: Lending, path: str = PATH, **parameters: Any) -> Any:
    answer = await lending.intake.get(path, params=parameters, headers=auditor(lending))
    assert answer.status_code == 200, answer.text
    return answer.json()


async def rejected(lending: Lending, sender: Sender) -> list[dict[str, Any]]:
    """All that was rejected of the sender, the newest first."""
    items: list[dict[str, Any]] = []
    after: dict[str, str] = {}
    while True:
        page = await read(lending, sender=str(sender.id), limit=20, **after)
        items += page["items"]
        if page["next"] is None:
            return items
        after = {"after": page["next"]}


def faults_of(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The faults by line, where each line of a file became a record of one partition."""
    return [{"line": one["offset"] + 1, **error} for one in records for error in one["problem"]["errors"]]


async def assert_rows_of(lending: Lending, sender: Sender, file: SampleFile) -> None:
    """The good lines were made once each, the faulty ones are named with what is wrong."""
    await until(lending.lake, file.good, len(file.faults))
    found = await rejected(lending, sender)
    assert_named(faults_of(found), file.faults)
    assert set((await made_in(lending.lake)).values()) == {file.good}


@pytest.mark.parametrize("rows", [120, pytest.param(1_000, marks=pytest.mark.long)])
async def test_case_20_the_same_rows_by_kafka_and_by_file(
    receiving: Lending, sender: Sender, rows: int
) -> None:
    file = sample_file(rows)
    await sender.send(lines_of(file.content))
    await assert_rows_of(receiving, sender, file)

    # No reason repeats what a record says, and the lake has no record in clear.
    found = await rejected(receiving, sender)
    said = json.dumps([one["problem"]["errors"] for one in found], ensure_ascii=False)
    assert not [value for value in WRONG_VALUES if value in said]
    async with receiving.lake.connect() as connection:
        payloads = await connection.fetch("SELECT payload FROM intake.rejected_record")
    assert all(b"IMPORT-" not in bytes(row["payload"]) for row in payloads)

    # The same file by import: nothing is made twice.
    maker = receiving.user("maker", id=sender.id)
    sent = await send(receiving, maker, file.content)
    view = await ended(receiving, maker, sent.headers["location"])
    assert (view["made"], view["repeated"], view["rejected"]) == (0, file.good, len(file.faults))

    # And by Kafka again: what was wrong is as wrong as before.
    await sender.send(lines_of(file.content))
    await until(receiving.lake, file.good, 2 * len(file.faults))
    assert set((await made_in(receiving.lake)).values()) == {file.good}


async def test_case_20_a_row_of_a_file_is_not_made_again_by_kafka(receiving: Lending, sender: Sender) -> None:
    maker = receiving.user("maker", id=sender.id)
    sent = await send(receiving, maker, as_ndjson([application_row(1)]))
    assert (await ended(receiving, maker, sent.headers["location"]))["made"] == 1
    row, changed = application_row(1), application_row(1, party={"full_name": "Somebody Else"})
    await sender.send(
        [
            (json.dumps(row).encode(), None, {}),
            (json.dumps(row).encode(), None, {"message-id": "m-1"}),
            (json.dumps(changed).encode(), None, {"message-id": "m-2"}),
        ]
    )
    await until(receiving.lake, 1, 1)
    (one,) = await rejected(receiving, sender)
    assert (one["offset"], one["reference"]) == (2, "m-2")
    assert_named(faults_of([one]), {3: "/external_ref"})


async def test_a_payment_is_recorded_once_and_in_the_trace_of_its_sender(
    receiving: Lending, sender: Sender
) -> None:
    loan = await booked_loan(receiving)
    body = {"kind": "payment", "loan_id": loan["loan_id"], "amount": "10.00", "currency": "DEM"}
    good = (json.dumps(body).encode(), None, {"message-id": "p-1", "traceparent": TRACEPARENT})
    unknown = (json.dumps({**body, "loan_id": str(uuid.uuid4())}).encode(), "p-2", {})
    await sender.send([good, good, unknown], ImportKind.PAYMENTS)
    await until(receiving.lake, 1, 1)
    (one,) = await rejected(receiving, sender)
    assert (one["kind"], one["topic"]) == ("payments", sender.topic(ImportKind.PAYMENTS))
    assert [error["pointer"] for error in one["problem"]["errors"]] == ["/loan_id"]
    async with receiving.lake.connect() as connection:
        payments = await connection.fetch(
            "SELECT recorded_by FROM credit.loan_transaction WHERE kind = 'payment'"
        )
        traced = await connection.fetchval(
            "SELECT count(*) FROM journal.change "
            "WHERE table_name = 'credit.loan_transaction' AND traceparent LIKE $1",
            f"00-{TRACE}-%",
        )
    assert [row["recorded_by"] for row in payments] == [sender.id]
    assert traced == 1


async def test_records_that_nobody_can_read_hold_nobody_back(receiving: Lending, sender: Sender) -> None:
    def good(number: int) -> Any:
        return (json.dumps(application_row(number)).encode(), None, {})

    await sender.send(
        [good(1), (b"x" * 200_000, "large", {}), (b"[" * 10_000, "deep", {}), (None, "none", {})]
    )
    bad = await send_undecodable(sender.kafka, sender.topic(), 0)
    await sender.send([(b"\xff\xfe", "bytes", {"message-id": "m-1"}), good(2)])
    # The first of the batch that cannot be decoded is an empty object, the last cannot be reached behind it.
    await until(receiving.lake, 2, 7)
    found = {one["offset"]: one for one in await rejected(receiving, sender)}
    assert found.keys() == {1, 2, 3, bad - 1, bad, bad + 1, bad + 2}
    assert found[1]["payload_bytes"] == 200_000
    assert found[3]["payload_bytes"] is found[bad]["payload_bytes"] is None
    large = await read(receiving, f"{PATH}/{found[1]['id']}")
    assert (large["encoding"], large["payload"]) == ("utf-8", "x" * LARGEST_ROW_BYTES)
    binary = await read(receiving, f"{PATH}/{found[bad + 2]['id']}")
    assert (binary["encoding"], binary["payload"]) == ("base64", "//4=")
    assert (await read(receiving, f"{PATH}/{found[bad]['id']}"))["payload"] is None


async def test_rejected_records_are_for_auditors_with_a_recent_login(
    receiving: Lending, sender: Sender
) -> None:
    value = json.dumps(application_row(1, party={"kind": "robot"})).encode()
    await sender.send([(value, None, {"traceparent": TRACEPARENT})])
    await until(receiving.lake, 0, 1)
    (one,) = await rejected(receiving, sender)
    assert "payload" not in one
    assert one["traceparent"] == TRACEPARENT
    assert one["problem"]["trace_id"] == TRACE
    own = f"{PATH}/{one['id']}"
    assert (await read(receiving, own))["payload"] == value.decode()
    assert one["problem"]["instance"] == own

    async def get(path: str, headers: dict[str, str]) -> httpx.Response:
        return await receiving.intake.get(path, headers=headers)

    for role in set(Role) - {Role.AUDITOR}:
        for path in (PATH, own):
            assert_problem(await get(path, auditor(receiving, role)), 403)
    # A session that somebody left open lists reasons, and shows nothing of a record.
    old = auditor(receiving, login_age=3600)
    assert (await get(PATH, old)).status_code == 200
    refused = await get(own, old)
    assert_problem(refused, 401)
    assert "insufficient_user_authentication" in refused.headers["www-authenticate"]
    assert_problem(await get(f"{PATH}/{uuid.uuid4()}", auditor(receiving)), 404)
    assert (await read(receiving, kind="payments"))["items"] == []
    assert (await read(receiving, sender=str(uuid.uuid4())))["items"] == []


async def test_rejected_records_are_deleted_after_thirty_days(receiving: Lending, sender: Sender) -> None:
    await sender.send([(b"{}", f"{number}", {}) for number in range(3)])
    await until(receiving.lake, 0, 3)
    lake = Lake.open(receiving.lake.url("intake"), service="test", pool_size=2)
    try:
        records = RejectedRecords(lake, RejectedRepository(), Keys.parse(OBJECT_KEY))
        assert await records.delete_old() == 0
        async with receiving.lake.connect() as connection:
            await connection.execute(
                "UPDATE intake.rejected_record SET received_at = received_at - $1::interval "
                "WHERE record_offset < 2",
                KEPT,
            )
        assert await records.delete_old() == 2
    finally:
        await lake.dispose()
    assert [one["offset"] for one in await rejected(receiving, sender)] == [2]


async def test_case_20_records_wait_while_the_lake_takes_none(receiving: Lending, sender: Sender) -> None:
    lake = receiving.lake
    good, wrong = json.dumps(application_row(1)).encode(), b"not JSON"
    async with lake.connect() as owner:
        # For sessions that begin from now on; the others are ended.
        await owner.execute(f'ALTER DATABASE "{lake.name}" SET default_transaction_read_only = on')
        await owner.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await sender.send([(wrong, "1", {}), (good, None, {})])
        await asyncio.sleep(2)
        assert await owner.fetchval("SELECT count(*) FROM intake.rejected_record") == 0
        await owner.execute("SET default_transaction_read_only = off")
        await owner.execute(f'ALTER DATABASE "{lake.name}" RESET default_transaction_read_only')
        await owner.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    await until(lake, 1, 1)


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_case_20_a_broker_that_was_killed_loses_and_repeats_nothing(
    platform: Platform, receiving: Lending, sender: Sender
) -> None:
    file = sample_file(300)
    lines = lines_of(file.content)
    async with sender.producing() as produce:
        await produce(lines[:150])
        for start in (150, 225):
            info = (await asyncio.to_thread(platform.supervisor.all))["kafka"]
            os.kill(info.pid, signal.SIGKILL)
            # Intake answers meanwhile.
            assert await rejected(receiving, sender) is not None
            await platform.up(["kafka"])
            await produce(lines[start : start + 75])
    await assert_rows_of(receiving, sender, file)


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_case_20_killed_processes_change_nothing(
    platform: Platform, fresh_lake: Database, application: Database, sender: Sender
) -> None:
    file = sample_file(300)
    seed = int(os.environ.get("PROPERTY_SEED", random.randrange(2**32)))
    print(f"PROPERTY_SEED={seed}")
    chance = random.Random(seed)
    await sender.send(lines_of(file.content))
    environment = platform.kafka_access("intake").environment()
    done = []
    async with Lending.over(fresh_lake, application) as lending, fresh_lake.connect() as connection:

        async def handled() -> int:
            return sum(
                [
                    await connection.fetchval(f"SELECT count(*) FROM intake.{table}")
                    for table in ("imported_row", "rejected_record")
                ]
            )

        for _ in range(3):
            before = await handled()
            process = await _start(fresh_lake.url("intake"), sender.setting, environment)
            try:
                async with asyncio.timeout(60):
                    while await handled() == before:
                        assert process.returncode is None
                        await asyncio.sleep(0.01)
                await asyncio.sleep(chance.random() * 0.5)
            finally:
                process.kill()
                await process.wait()
            done.append(await handled())
        print(f"killed at {done} of {file.rows} records")
        assert done[-1] < file.rows, "all was done before it was killed so often"
        process = await _start(fresh_lake.url("intake"), sender.setting, environment)
        try:
            await assert_rows_of(lending, sender, file)
        finally:
            process.kill()
            await process.wait()


async def _start(url: str, senders: str, environment: dict[str, str]) -> asyncio.subprocess.Process:
    inherited = {name: os.environ[name] for name in ("PATH", "COVERAGE_PROCESS_START") if name in os.environ}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.integration.intake.message_process", url, senders),
        cwd=ROOT,
        env=inherited | environment,
        stdout=asyncio.subprocess.DEVNULL,
    )
