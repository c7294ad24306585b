"""Imports at length: a worker that is killed ten times."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from pydantic import SecretStr

from services.intake.imports.worker import ImportWorker
from tests.conftest import Database
from tests.integration.intake.importing import sample_file
from tests.integration.intake.killing import import_with_kills
from tests.integration.lending import OBJECT_KEY, Lending


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_case_19_a_worker_killed_ten_times_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, fresh_lake: Database, application: Database, tmp_path: Path
) -> None:
    async def nothing(_: ImportWorker) -> None:
        await asyncio.sleep(3600)

    # The process that takes the file: only those that are killed write its rows.
    monkeypatch.setattr(ImportWorker, "keep", nothing)
    stored = {"object_store_url": tmp_path.as_uri(), "object_store_keys": SecretStr(OBJECT_KEY)}
    async with Lending.over(fresh_lake, application, **stored) as lending:
        await import_with_kills(lending, tmp_path, sample_file(), kills=10)
