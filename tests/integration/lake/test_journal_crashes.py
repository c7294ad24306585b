"""The journal's property holds though its server crashes again and again under writers and readers."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
from collections.abc import AsyncIterator

import psutil
import pytest

from services.lake.database import Lake
from services.lake.journal.reader import JournalReader
from services.platform.platform import Platform
from tests.conftest import Database, beside_others, migrated
from tests.integration.lake.journal_property import check, new_seed

CRASHES = 8


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    """A PostgreSQL of this module's own, which its supervisor starts again when it is gone."""
    platform = Platform(beside_others(tmp_path_factory.mktemp("crashes")))
    await platform.up(["databases"])
    yield platform
    await platform.reset()


@pytest.fixture
async def lake(server: Platform) -> AsyncIterator[Database]:
    """A lake on that server."""
    async with migrated(server, "lake") as database:
        yield database


async def crash(server: Platform, chance: random.Random) -> None:
    """Kill the postmaster, or a child of it, on which it ends all others, or have it end without a checkpoint."""
    postmaster = psutil.Process((await asyncio.to_thread(server.supervisor.all))["postgres"].pid)
    with contextlib.suppress(psutil.NoSuchProcess):
        match chance.choice(("postmaster", "child", "immediate")):
            case "postmaster":
                postmaster.kill()
            case "child":
                chance.choice(postmaster.children()).kill()
            case _:
                postmaster.send_signal(signal.SIGQUIT)


async def test_what_is_delivered_is_what_was_committed_though_the_server_crashes(
    server: Platform, lake: Database
) -> None:
    opened = Lake.open(lake.url("relay"), service="test-reader", pool_size=2)

    async def meanwhile(chance: random.Random) -> None:
        for _ in range(CRASHES):
            await asyncio.sleep(chance.uniform(0.2, 2))
            await crash(server, chance)
            await server.up(["postgres"])
        await asyncio.sleep(1)

    unknown = await check(lake, JournalReader(opened), new_seed(), meanwhile)
    await opened.dispose()
    assert unknown > 0, "no crash hit a transaction"
