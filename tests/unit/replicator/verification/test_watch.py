"""The verifier's process ends when it is told to, whatever it is reading."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import SecretStr

from services.replicator.settings import VerifierSettings
from services.replicator.verification import process as watch

URL = SecretStr("postgresql+asyncpg://nobody@localhost/none")


async def test_a_verification_is_given_up_when_the_process_shall_end(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, ended = asyncio.Event(), asyncio.Event()

    async def reads_for_ever(*_: Any, **__: Any) -> None:
        reading.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    monkeypatch.setattr(watch, "verify_once", reads_for_ever)
    settings = VerifierSettings(lake_url=URL, application_url=URL, http_port=0)
    lake: Any = None
    stop = asyncio.Event()
    verifying = asyncio.create_task(watch.verify_continuously(lake, settings, stop))
    await asyncio.wait_for(reading.wait(), 5)
    stop.set()
    await asyncio.wait_for(verifying, 5)
    assert ended.is_set()
