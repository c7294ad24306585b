"""What intake does beside its requests goes on whatever happens, and never holds its end up."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from services.chassis.objects.local import LocalObjects
from services.chassis.testing import TokenMaker, span_recorder
from services.intake import main
from services.intake.bureau import worker as bureau
from services.intake.bureau.adapters import HttpBureau, SimulatedBureau
from services.intake.bureau.repository import BureauRepository
from services.intake.bureau.worker import BureauWorker
from services.intake.documents import worker as documents
from services.intake.documents.repository import DocumentRepository
from services.intake.documents.scanners import Clamd
from services.intake.documents.worker import DocumentWorker
from services.intake.settings import IntakeSettings
from services.intake.upkeep import pause_after
from services.lake.database import Lake

PERSONAL = "Nguyễn Văn Đạt"


class Failing:
    """Does what a worker does in a round: fails at first in a way that nobody foresaw, then ends the test."""

    def __init__(self) -> None:
        self.rounds = 0
        self.again = asyncio.Event()

    async def __call__(self) -> int:
        self.rounds += 1
        if self.rounds == 1:
            raise ValueError(PERSONAL)
        self.again.set()
        return 0


@pytest.mark.parametrize(
    ("method", "event"),
    [
        ("sweep", "objects could not be swept"),
        ("scan_due", "documents could not be scanned"),
        ("ask_due", "the bureau could not be asked"),
    ],
)
async def test_a_worker_goes_on_after_a_failure_and_logs_its_name_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, method: str, event: str
) -> None:
    for module, name in ((documents, "POLL"), (documents, "SWEEP"), (bureau, "POLL")):
        monkeypatch.setattr(module, f"{name}_SECONDS", 0.01)
    lake, failing = cast("Lake", None), Failing()
    worker: BureauWorker | DocumentWorker
    if method == "ask_due":
        worker = BureauWorker(lake, BureauRepository(), SimulatedBureau("key"))
    else:
        scanner = Clamd(("127.0.0.1", 1), seconds=1)
        worker = DocumentWorker(lake, DocumentRepository(), LocalObjects(tmp_path), scanner)
        for other in ("sweep", "scan_due", "scan_the_unscanned"):
            monkeypatch.setattr(worker, other, nothing)
    # What it counts is in the lake, and there is none.
    monkeypatch.setattr(worker, "measure", nothing)
    monkeypatch.setattr(worker, method, failing)
    with capture_logs() as logs:
        keeping = asyncio.create_task(worker.keep())
        async with asyncio.timeout(5):
            await failing.again.wait()
        keeping.cancel()
        await asyncio.wait([keeping])
    assert [line for line in logs if line["log_level"] == "error"] == [
        {"event": event, "error": "ValueError", "log_level": "error"}
    ]
    assert PERSONAL not in str(logs)


async def nothing() -> int:
    return 0


async def test_a_worker_that_failed_leaves_no_connection_open(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    closed: list[str] = []

    async def failed(_: Any) -> None:
        raise ValueError(PERSONAL)

    def closing(name: str) -> Any:
        async def close(_: Any) -> None:
            closed.append(name)

        return close

    monkeypatch.setattr(DocumentWorker, "keep", failed)
    monkeypatch.setattr(HttpBureau, "aclose", closing("bureau"))
    monkeypatch.setattr(Lake, "dispose", closing("lake"))
    settings = IntakeSettings(
        lake_url=SecretStr("postgresql+asyncpg://nobody@127.0.0.1:1/none"),
        http_port=0,
        auth_jwks_url="http://127.0.0.1:1/unused",
        person_tag_key=SecretStr("k" * 32),
        object_store_url=tmp_path.as_uri(),
        object_store_keys=SecretStr("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="),
        bureau="http",
        bureau_url="http://127.0.0.1:1/reports",
    )
    app = main.build(settings, span_recorder().telemetry, TokenMaker().verifier())
    async with app.router.lifespan_context(app):
        await asyncio.sleep(0.01)
    assert closed == ["bureau", "lake"]


def test_what_reads_whole_tables_rests_a_hundred_times_as_long() -> None:
    assert pause_after(0.1, 60) == 60
    assert pause_after(3, 60) == 300
