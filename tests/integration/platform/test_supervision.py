"""A killed process is restarted, a process that cannot start says why, and no secret is visible."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import asyncpg
import psutil
import pytest

from services.platform.components.component import Component, Program, Tell
from services.platform.components.postgres import Postgres
from services.platform.errors import NotAvailableError, NotReadyYet, PlatformError
from services.platform.home import LOGINS, Home
from services.platform.platform import Platform
from services.platform.settings import HOST, PlatformSettings
from services.platform.supervision import ProcessInfo, Supervisor
from tests.conftest import beside_others


@pytest.fixture
async def own(tmp_path: Path) -> AsyncIterator[Platform]:
    """A platform for one test to maltreat; its PostgreSQL is up."""
    platform = Platform(beside_others(tmp_path / "var"))
    await platform.up(["databases"])
    yield platform
    await platform.reset()


async def eventually(condition: Callable[[], bool]) -> None:
    for _ in range(300):
        if await asyncio.to_thread(condition):
            return
        await asyncio.sleep(0.1)
    raise AssertionError("it never became true")


async def execute(platform: Platform, statement: str) -> object:
    url = platform.database_url("lake", "creditmesh").replace("+asyncpg", "")
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def test_a_killed_process_comes_back(own: Platform) -> None:
    before = own.supervisor.all()["postgres"].pid
    os.kill(before, signal.SIGKILL)
    await eventually(lambda: own.supervisor.all()["postgres"].pid not in (0, before))
    await own.up(["databases"])
    assert await execute(own, "SELECT 1") == 1


async def test_a_program_that_was_restarted_since_it_was_looked_at_is_started(own: Platform) -> None:
    class Late(Supervisor):
        """Sees every program ended, as it was a moment ago."""

        def all(self) -> dict[str, ProcessInfo]:
            return {name: replace(info, state="EXITED") for name, info in super().all().items()}

    program = own.components["postgres"].program()
    assert program is not None
    before = own.supervisor.all()["postgres"].pid
    Late(own.home).run(program)
    assert own.supervisor.all()["postgres"].pid == before


async def test_a_killed_supervisor_is_replaced_and_its_orphans_with_it(own: Platform) -> None:
    await execute(own, "CREATE TABLE kept AS SELECT 42 AS answer")
    orphan = psutil.Process(own.supervisor.all()["postgres"].pid)
    supervisor = own.supervisor.pid
    assert supervisor is not None
    os.kill(supervisor, signal.SIGKILL)
    await eventually(lambda: not psutil.pid_exists(supervisor) or own.supervisor.pid is None)
    assert [process.pid for process in own.supervisor.orphans()] == [orphan.pid]
    await own.up(["databases"])
    assert not orphan.is_running()
    assert own.supervisor.orphans() == []
    assert await execute(own, "SELECT answer FROM kept") == 42


async def test_down_leaves_no_process_and_keeps_the_data(own: Platform) -> None:
    await execute(own, "CREATE TABLE kept AS SELECT 42 AS answer")
    processes = psutil.Process(own.supervisor.pid).children(recursive=True)
    await own.down()
    assert not [process for process in processes if process.is_running()]
    assert own.supervisor.pid is None
    await own.up(["databases"])
    assert await execute(own, "SELECT answer FROM kept") == 42


async def test_no_secret_is_in_any_command_line(own: Platform) -> None:
    secrets = {own.home.database_password(login) for login in ("creditmesh", *LOGINS)}
    processes = [
        psutil.Process(own.supervisor.pid),
        *psutil.Process(own.supervisor.pid).children(recursive=True),
    ]
    lines = [" ".join(process.cmdline()) for process in processes]
    logs = [path.read_text() for path in own.home.logs.iterdir()]
    assert not [text for text in lines + logs if any(secret in text for secret in secrets)]


async def test_nobody_else_reads_data_logs_or_secrets(own: Platform) -> None:
    root = own.home.root
    open_to_others = [
        str(path.relative_to(root))
        for path in (root, *root.rglob("*"))
        if not path.is_symlink() and path.stat().st_mode & 0o066
    ]
    assert open_to_others == []
    # A folder from before everything was private is closed by the next command.
    own.home.logs.chmod(0o755)
    await own.up(["databases"])
    assert own.home.logs.stat().st_mode & 0o077 == 0


async def test_status_tells_what_runs(own: Platform) -> None:
    rows = {status.name: status for status in await own.status()}
    postgres, kafka = rows["postgres"], rows["kafka"]
    assert postgres.ready
    assert postgres.memory is not None
    assert postgres.memory > 2**20
    assert (kafka.state, kafka.ready, kafka.pid) == ("STOPPED", False, None)


async def test_a_taken_port_is_named(tmp_path: Path) -> None:
    platform = Platform(beside_others(tmp_path / "var"))
    with (
        socket.create_server((HOST, platform.settings.postgres_port)),
        pytest.raises(PlatformError) as raised,
    ):
        await platform.up(["postgres"])
    await platform.reset()
    message = str(raised.value)
    assert str(platform.settings.postgres_port) in message
    assert "CREDITMESH_POSTGRES_PORT" in message
    assert f"process {os.getpid()}" in message


async def test_a_long_path_has_its_socket_elsewhere(tmp_path: Path) -> None:
    platform = Platform(beside_others(tmp_path / ("long" * 25) / "var"))
    await platform.up(["postgres"])
    assert platform.supervisor.pid is not None
    await platform.reset()


class Broken(Component):
    """A program that ends at once."""

    name = "broken"

    def program(self) -> Program:
        return Program(self.name, (sys.executable, "-c", "print('no such setting'); exit(2)"), Path("/"))

    async def ready(self) -> None:
        raise ConnectionRefusedError


async def test_a_program_that_cannot_start_shows_its_last_words(tmp_path: Path) -> None:
    def compose(settings: PlatformSettings, home: Home) -> list[Component]:
        return [Broken(settings, home)]

    platform = Platform(beside_others(tmp_path / "var"), compose)
    with pytest.raises(PlatformError, match="no such setting"):
        await platform.up()
    await platform.reset()
    assert not platform.home.root.exists()


async def test_a_state_folder_removed_under_it_is_made_anew(own: Platform) -> None:
    processes = [psutil.Process(own.supervisor.pid), psutil.Process(own.supervisor.all()["postgres"].pid)]
    shutil.rmtree(own.home.root)
    await own.up(["databases"])
    assert not [process for process in processes if process.is_running()]
    assert await execute(own, "SELECT 1") == 1


class Unobtainable(Component):
    """What this machine does not have, and the platform can do without."""

    name = "unobtainable"
    required = False

    async def prepare(self, tell: Tell) -> None:
        tell("looking for it")
        raise NotAvailableError("not for this machine")

    def program(self) -> Program:
        raise AssertionError("it is never started")


async def test_the_rest_runs_without_what_cannot_be_had(tmp_path: Path) -> None:
    def compose(settings: PlatformSettings, home: Home) -> list[Component]:
        return [Unobtainable(settings, home), Postgres(settings, home)]

    told: dict[str, str] = {}
    platform = Platform(beside_others(tmp_path / "var"), compose)
    await platform.up(on_change=told.__setitem__)
    await platform.reset()
    assert told == {"unobtainable": "not available: not for this machine", "postgres": "ready"}


class Slow(Component):
    """A program that takes long to start; what it does meanwhile is a test's choice."""

    name = "slow"
    script: str

    def program(self) -> Program:
        file = self.home.run / "slow.py"
        file.write_text(f"import sys, time\n{self.script}\ntime.sleep(600)\n")
        return Program(self.name, (sys.executable, "-u", str(file), str(self.home.run / "up")), Path("/"))

    async def ready(self) -> None:
        if not (self.home.run / "up").exists():
            raise NotReadyYet("it has not said so")


def started_by(tmp_path: Path, script: str) -> Platform:
    """A platform of one slow program that gives up after three seconds without movement."""
    settings = beside_others(tmp_path / "var").model_copy(update={"start_timeout": 3.0})

    def compose(settings: PlatformSettings, home: Home) -> list[Component]:
        slow = Slow(settings, home)
        slow.script = script
        return [slow]

    return Platform(settings, compose)


UP = "open(sys.argv[1], 'w')"
TALKS = f"for n in range(16):\n    print('phase ' + chr(97 + n))\n    time.sleep(0.5)\n{UP}"
COMPUTES = f"until = time.time() + 8\nwhile time.time() < until:\n    pass\n{UP}"
SILENT = "print('waiting for the moon')"
REPEATS = (
    "for n in range(600):\n    print(f'no answer after {n} s: waiting for the moon')\n    time.sleep(0.5)"
)


@pytest.mark.parametrize("script", [TALKS, COMPUTES], ids=["says what it does", "computes"])
async def test_what_gets_on_is_waited_for_longer_than_any_clock(
    tmp_path: Path, script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.platform.movement.WINDOW_SECONDS", 1.0)
    told: list[str] = []
    platform = started_by(tmp_path, script)
    await platform.up(on_change=lambda _, what: told.append(what))
    await platform.reset()
    assert told[-1] == "ready"
    assert "not ready yet: it has not said so" in told


@pytest.mark.parametrize("script", [SILENT, REPEATS], ids=["silent", "says the same again and again"])
async def test_what_does_not_get_on_fails_with_its_last_words(tmp_path: Path, script: str) -> None:
    platform = started_by(tmp_path, script)
    with pytest.raises(PlatformError, match="has done nothing for ") as failed:
        await platform.up()
    await platform.reset()
    assert "it has not said so" in str(failed.value)
    assert "waiting for the moon" in str(failed.value)


class Dying(Component):
    """A program that answers, and dies again and again."""

    name = "dying"

    def program(self) -> Program:
        file = self.home.run / "dying.py"
        file.write_text(
            """import sys, time\nprint('{"level": "error", "event": "JournalReplaced"}')\n"""
            "time.sleep(1.5)\nsys.exit(1)\n"
        )
        return Program(self.name, (sys.executable, "-u", str(file)), Path("/"))


async def test_a_process_that_dies_again_and_again_is_never_ready(tmp_path: Path) -> None:
    def compose(settings: PlatformSettings, home: Home) -> list[Component]:
        return [Dying(settings, home)]

    platform = Platform(beside_others(tmp_path / "var"), compose)
    await platform.up()
    await eventually(lambda: platform.supervisor.unexpected_ends("dying", 60) >= 2)
    for _ in range(20):
        [status] = await platform.status()
        assert not status.ready
        assert "JournalReplaced" in status.detail
        await asyncio.sleep(0.2)
    await platform.reset()
