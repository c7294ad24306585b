"""Scans of documents: only what a scanner found clean is given away, whatever goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.intake.documents.worker import DocumentWorker
from tests.conftest import Database
from tests.integration.clamd import INFECTED, FakeClamd
from tests.integration.gauges import gauge_becomes
from tests.integration.intake.files import PDF
from tests.integration.intake.filing import Filing
from tests.integration.lending import assert_problem


@pytest.fixture
async def scanning(fresh_lake: Database, application: Database, tmp_path: Path) -> AsyncIterator[Filing]:
    """As `filing`, with a scanner that is not there: only a test's own worker scans."""
    # No server listens at this port, and what fails is due again after seconds.
    async with Filing.over(fresh_lake, application, tmp_path, document_scanner="clamd://127.0.0.1:1") as made:
        yield made


async def test_case_18_infected_is_not_downloadable_and_clean_is(scanning: Filing) -> None:
    maker = scanning.lending.user("maker")
    application_id = await scanning.draft(maker)
    clean = (await scanning.add(maker, application_id)).json()["id"]
    infected = (await scanning.add(maker, application_id, PDF[:60] + INFECTED + PDF[60:])).json()["id"]
    assert_problem(await scanning.get(maker, f"/documents/{clean}/content"), 409)

    async with FakeClamd.running() as clamd:
        await _scan_all(scanning, scanning.worker(clamd.port))
    seen = {one: (await scanning.get(maker, f"/documents/{one}")).json() for one in (clean, infected)}
    assert [seen[one]["scan_state"] for one in (clean, infected)] == ["clean", "infected"]
    assert (seen[infected]["scanner"], seen[infected]["finding"]) == ("clamd", "Creditmesh.Test")
    assert seen[clean]["scan_note"] is None
    assert (await scanning.get(maker, f"/documents/{clean}/content")).content == PDF
    refused = assert_problem(await scanning.get(maker, f"/documents/{infected}/content"), 409)
    assert refused["scan_state"] == "infected"


async def _scan_all(filing: Filing, worker: DocumentWorker) -> None:
    """Scan what waits, also what the process's own worker has failed to scan and would try again later."""
    for _ in range(20):
        async with filing.lending.lake.connect() as connection:
            await connection.execute(
                "UPDATE intake.document_scan SET next_attempt_at = now() AT TIME ZONE 'utc' - interval '1 s' "
                "WHERE state IN ('waiting', 'failed')"
            )
        await worker.scan_due()
        open_states = await filing.rows(
            "SELECT 1 FROM intake.document_scan WHERE state IN ('waiting', 'failed')"
        )
        if not open_states:
            return
        await asyncio.sleep(0.1)
    raise AssertionError("not all was scanned")


async def test_a_scanner_that_fails_never_makes_a_document_clean(scanning: Filing) -> None:
    maker = scanning.lending.user("maker")
    application_id = await scanning.draft(maker)
    document_id = (await scanning.add(maker, application_id)).json()["id"]

    async def state() -> dict[str, Any]:
        (row,) = await scanning.rows("SELECT * FROM intake.document_scan")
        return row

    # The process's own worker asks a scanner that is not there.
    for _ in range(100):
        if (await state())["state"] == "failed":
            break
        await asyncio.sleep(0.1)
    row = await state()
    assert (row["state"], row["scanner"], row["scanned_at"]) == ("failed", "clamd", None)
    assert row["attempts"] == 1
    assert row["next_attempt_at"] is not None
    refused = assert_problem(await scanning.get(maker, f"/documents/{document_id}/content"), 409)
    assert refused["scan_state"] == "failed"
    await gauge_becomes("credit_document_scans_failed", 1)
    # Nothing is due before its time; then it is tried again.
    async with FakeClamd.running(lambda _: b"stream: no memory ERROR\0") as clamd:
        assert await scanning.worker(clamd.port).scan_due() == 0
    async with FakeClamd.running() as clamd:
        await _scan_all(scanning, scanning.worker(clamd.port))
    assert (await state())["state"] == "clean"
    await gauge_becomes("credit_document_scans_failed", 0)


async def test_two_workers_scan_a_document_once(scanning: Filing) -> None:
    maker = scanning.lending.user("maker")
    application_id = await scanning.draft(maker)
    async with FakeClamd.running() as clamd:
        for _ in range(3):
            await scanning.add(maker, application_id)
        workers = [scanning.worker(clamd.port) for _ in range(2)]
        await asyncio.sleep(0.5)
        async with scanning.lending.lake.connect() as connection:
            await connection.execute(
                "UPDATE intake.document_scan SET state = 'waiting', "
                "next_attempt_at = now() AT TIME ZONE 'utc' - interval '1 s'"
            )
        await asyncio.gather(*(worker.scan_due() for worker in workers))
        assert 1 <= len(clamd.scanned) <= 3
    states = await scanning.rows("SELECT state FROM intake.document_scan")
    assert len(states) == 3


async def test_an_object_that_was_changed_is_not_given_away(scanning: Filing) -> None:
    maker = scanning.lending.user("maker")
    application_id = await scanning.draft(maker)
    document_id = (await scanning.add(maker, application_id)).json()["id"]
    async with FakeClamd.running() as clamd:
        await _scan_all(scanning, scanning.worker(clamd.port))
        (file,) = scanning.files
        stored = file.read_bytes()
        file.write_bytes(stored[:-1] + bytes([stored[-1] ^ 1]))
        assert_problem(await scanning.get(maker, f"/documents/{document_id}/content"), 500)
        file.unlink()
        assert_problem(await scanning.get(maker, f"/documents/{document_id}/content"), 500)


async def test_documents_from_before_the_scanner_are_scanned(scanning: Filing) -> None:
    maker = scanning.lending.user("maker")
    application_id = await scanning.draft(maker)
    await scanning.add(maker, application_id, PDF[:60] + INFECTED + PDF[60:])
    async with scanning.lending.lake.connect() as connection:
        await connection.execute(
            "UPDATE intake.document_scan SET state = 'clean', scanner = 'none', next_attempt_at = NULL"
        )
    async with FakeClamd.running() as clamd:
        worker = scanning.worker(clamd.port)
        assert await worker.scan_the_unscanned() == 1
        await _scan_all(scanning, worker)
    assert [row["state"] for row in await scanning.rows("SELECT state FROM intake.document_scan")] == [
        "infected"
    ]
