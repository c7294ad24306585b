"""The whole platform: ready, seeded, and ready again after all processes were killed."""

from __future__ import annotations

import asyncio
import os
import signal

import httpx

from services.platform.components.mesh import passwords
from services.platform.platform import Platform
from services.platform.users import USERS


async def unready(platform: Platform) -> list[str]:
    return [status.name for status in await platform.status() if status.required and not status.ready]


async def test_everything_is_ready(running_platform: Platform) -> None:
    assert await unready(running_platform) == []


async def test_every_seeded_user_can_log_in(running_platform: Platform) -> None:
    known = passwords(running_platform.home)
    assert known.keys() == USERS.keys()
    async with httpx.AsyncClient(base_url=running_platform.settings.http("auth")) as client:
        for username, (_, role) in USERS.items():
            response = await client.post("/token", data={"username": username, "password": known[username]})
            assert response.status_code == 200, (username, response.text)
            assert response.json()["roles"] == [role]


async def test_a_second_start_does_no_step_again(running_platform: Platform) -> None:
    # The first may have something to do: the platform is shared with tests that give it other flows.
    await running_platform.up()
    told: dict[str, list[str]] = {}
    await running_platform.up(on_change=lambda name, what: told.setdefault(name, []).append(what))
    steps = [name for name in told if name.endswith("-schema") or name in ("samples", "users")]
    assert len(steps) == 10
    assert all("nothing to do" in told[step] for step in steps)
    assert all(whats[-1] == "ready" or whats[-1].startswith("not available") for whats in told.values())


async def test_everything_comes_back_after_kill_9(running_platform: Platform) -> None:
    before = {name: info.pid for name, info in running_platform.supervisor.all().items() if info.pid}
    assert len(before) >= 10
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    for _ in range(240):
        await asyncio.sleep(0.5)
        after = {name: info.pid for name, info in running_platform.supervisor.all().items()}
        if all(after[name] not in (0, pid) for name, pid in before.items()) and not await unready(
            running_platform
        ):
            return
    raise AssertionError(f"not ready again: {await unready(running_platform)}")
