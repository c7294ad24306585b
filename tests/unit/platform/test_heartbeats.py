"""Airflow's processes are ready by a heartbeat of their own, not by that of the process before."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import pytest

from services.platform.components.airflow import HEARTBEAT_SECONDS, beats
from services.platform.errors import NotReadyYet
from services.platform.settings import PlatformSettings
from tests.integration.replicator.pipeline import free_port

Say = Callable[[float | None], None]


@pytest.fixture
async def health() -> AsyncIterator[tuple[PlatformSettings, Say]]:
    """A page as Airflow's, with the heartbeat that a test says."""
    settings = PlatformSettings(airflow_port=free_port())
    said: dict[str, str | None] = {"latest_scheduler_heartbeat": None}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = json.dumps({"scheduler": said}).encode()
        writer.write(
            b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
        )
        writer.close()

    def say(at: float | None) -> None:
        said["latest_scheduler_heartbeat"] = (
            None if at is None else datetime.fromtimestamp(at, UTC).isoformat()
        )

    server = await asyncio.start_server(serve, "127.0.0.1", settings.airflow_port)
    yield settings, say
    server.close()


async def test_a_heartbeat_from_before_the_start_is_the_old_process_s(
    health: tuple[PlatformSettings, Say],
) -> None:
    settings, say = health
    say(time.time() - 1)
    await beats(settings, "scheduler", since=time.time() - 10)
    with pytest.raises(NotReadyYet, match="since it was started"):
        await beats(settings, "scheduler", since=time.time())


async def test_a_heartbeat_must_be_fresh(health: tuple[PlatformSettings, Say]) -> None:
    settings, say = health
    with pytest.raises(NotReadyYet, match="no heartbeat of the scheduler yet"):
        await beats(settings, "scheduler", since=0)
    say(time.time() - HEARTBEAT_SECONDS - 5)
    with pytest.raises(NotReadyYet, match=r"for 3\d s|for [4-9]\d s"):
        await beats(settings, "scheduler", since=0)


async def test_without_an_answer_nothing_is_ready() -> None:
    with pytest.raises(NotReadyYet, match="Airflow's API does not answer"):
        await beats(PlatformSettings(airflow_port=free_port()), "scheduler", since=0)
