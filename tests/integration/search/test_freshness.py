"""The lag and the verification as search reads them from the replicator's progress and the journal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from services.chassis.database import ApplicationDatabase
from services.lake.database import Lake
from services.lake.journal.model import Position
from services.search.freshness import StoredProgress
from tests.integration.lending import Lending

SENT = '{"lake.credit.party/0": "20.0", "lake.credit.application/1": "18.0"}'


@pytest.fixture
async def progress(lending: Lending) -> AsyncIterator[StoredProgress]:
    application = ApplicationDatabase.open(lending.application.url("search"), service="search", pool_size=1)
    lake = Lake.open(lending.lake.url("search"), service="search", pool_size=1)
    yield StoredProgress(application, lake)
    await application.dispose()
    await lake.dispose()


async def test_whole_is_what_the_slowest_partition_has_applied(
    lending: Lending, progress: StoredProgress
) -> None:
    async with lending.application.connect() as owner:
        await owner.execute("UPDATE replication.relay SET position_major = 20, sent = $1::jsonb", SENT)
        await owner.execute(
            "INSERT INTO replication.sink_offset (topic, partition, position_major) VALUES "
            "('lake.credit.party', 0, 20), ('lake.credit.application', 1, 11)"
        )
        behind = await progress.applied()
        await owner.execute("UPDATE replication.sink_offset SET position_major = 18 WHERE partition = 1")
        whole = await progress.applied()
        await owner.execute(
            "INSERT INTO replication.stopped_table (table_name, kind, reason, command, since) "
            "VALUES ('credit.party', 'schema', 'r', 'c', '2026-11-30T10:00:00Z')"
        )
        await owner.execute(
            "INSERT INTO replication.verified_through (incarnation, position_major, position_minor, verified_at) "
            "VALUES (gen_random_uuid(), 7, 0, '2026-11-30T11:00:00Z')"
        )
        stopped = await progress.applied()
        await owner.execute("DELETE FROM replication.stopped_table")

    assert behind == (Position(11), None, None)
    assert whole == (Position(20), None, None)
    assert stopped == (
        Position(20),
        datetime(2026, 11, 30, 10, tzinfo=UTC),
        datetime(2026, 11, 30, 11, tzinfo=UTC),
    )


async def test_the_oldest_change_beyond_a_position_is_the_journals(
    lending: Lending, progress: StoredProgress
) -> None:
    await lending.party(lending.user("maker"))
    async with lending.lake.connect() as owner:
        rows = await owner.fetch("SELECT position, captured_at FROM journal.change ORDER BY position")

    first = await progress.oldest_beyond(Position(0))
    last = await progress.oldest_beyond(Position(rows[-1]["position"] - 1))
    none = await progress.oldest_beyond(Position(rows[-1]["position"]))

    assert (first, last) == (
        rows[0]["captured_at"].replace(tzinfo=UTC),
        rows[-1]["captured_at"].replace(tzinfo=UTC),
    )
    assert none is None


async def test_answers_from_the_replica_say_how_old_they_are(lending: Lending) -> None:
    await lending.make_replica()
    headers = lending.user("auditor").headers
    async with asyncio.timeout(20):
        while (
            "Replica-Lag"
            not in (answer := await lending.search.get("/applications", headers=headers)).headers
        ):
            await asyncio.sleep(0.05)
    assert answer.status_code == 200
    assert float(answer.headers["Replica-Lag"]) >= 0
