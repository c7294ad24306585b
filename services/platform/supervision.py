"""The supervisor (supervisord): how programs are handed to it, and what it leaves when it is killed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ServerProxy

import psutil
from supervisor.xmlrpc import Faults, SupervisorTransport

from services.chassis.files import write_private
from services.platform.components.component import Program
from services.platform.errors import PlatformError
from services.platform.home import PRIVATE, Home

LINE_CHARACTERS = 300
SOCKET_PATH_LIMIT = 90  # the kernel's is about 104, and the supervisor appends its process id while it binds
GRACE_SECONDS = 10.0
START_SECONDS = 60.0
_ENDED = re.compile(r"^(?P<at>\S+ \S+),\d+ \w+ exited: (?P<name>\S+) \(", re.MULTILINE)
_LOG_BYTES = 64 * 1024
INHERITED = ("HOME", "JAVA_HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "LOGNAME", "PATH", "TMPDIR", "USER")
ALIVE = frozenset({"STARTING", "RUNNING", "BACKOFF", "STOPPING"})


@dataclass(frozen=True, slots=True)
class ProcessInfo:
    """What the supervisor says of one program; `started` and `stopped` are seconds since the epoch."""

    name: str
    state: str
    pid: int
    started: int
    stopped: int


class Supervisor:
    """One supervisord for one home. Its methods block; it is safe to call them from several threads."""

    def __init__(self, home: Home) -> None:
        self._home = home

    @property
    def pid(self) -> int | None:
        """Process id of the running supervisor, None when there is none."""
        if not self._home.run.exists() or not self._socket.exists():
            return None
        try:
            with self._calls() as supervisor:
                return int(supervisor.getPID())
        except (OSError, HTTPException):
            return None

    def start(self) -> None:
        """Start the supervisor unless it runs; before that, end what a killed one has left behind.

        Raises:
            PlatformError: it did not start.
        """
        if self.pid is not None:
            return
        self.end_orphans()
        (self._home.run / "programs").mkdir(mode=0o700, exist_ok=True)
        write_private(self._configuration_file, self._configuration())
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(self._configuration_file)]
        environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
        started = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, umask=PRIVATE
        )
        if started.returncode:
            raise PlatformError(
                f"the supervisor did not start: {started.stderr.strip() or started.stdout.strip()}"
            )
        deadline = time.monotonic() + START_SECONDS
        while self.pid is None:
            if time.monotonic() > deadline:
                log = self._home.logs / "supervisord.log"
                raise PlatformError(f"the supervisor does not answer on {self._socket}; see {log}")
            time.sleep(0.05)

    def shutdown(self) -> None:
        """Stop every program and the supervisor; end what a killed one has left behind."""
        pid = self.pid
        if pid is not None:
            supervisor = psutil.Process(pid)
            with self._calls() as calls:
                calls.shutdown()
            try:
                supervisor.wait(timeout=60)
            except psutil.TimeoutExpired:
                supervisor.kill()
        self.end_orphans()

    def discard_socket(self) -> None:
        """Remove the folder of a socket that lies outside the state folder."""
        if self._home.run.exists() and self._socket.parent != self._home.run:
            shutil.rmtree(self._socket.parent, ignore_errors=True)

    def run(self, program: Program) -> None:
        """Have the program running as configured; one that runs otherwise is restarted.

        Raises:
            PlatformError: its configuration cannot be carried, or it cannot be started.
        """
        section = program.section(self._home.logs / f"{program.name}.log")
        file = self._home.run / "programs" / f"{program.name}.conf"
        unchanged = file.exists() and file.read_text() == section
        known = self.all()
        if unchanged and program.name in known:
            if known[program.name].state in ALIVE - {"STOPPING"}:
                return
        else:
            write_private(file, section)
            with self._calls() as supervisor:
                supervisor.reloadConfig()
            if program.name in known:
                self.stop(program.name)
                with self._calls() as supervisor:
                    supervisor.removeProcessGroup(program.name)
            with self._calls() as supervisor:
                supervisor.addProcessGroup(program.name)
        try:
            with self._calls() as supervisor:
                supervisor.startProcess(program.name, False)
        except Fault as fault:
            # A program that had just ended may have been started again by the supervisor itself.
            if fault.faultCode != Faults.ALREADY_STARTED:
                raise PlatformError(f"{program.name} cannot be started: {fault.faultString}") from fault

    def stop(self, name: str) -> None:
        """Stop one program and wait for its end; nothing to do when it does not run."""
        info = self.all().get(name)
        if info is not None and info.state in ALIVE:
            with self._calls() as supervisor:
                supervisor.stopProcess(name, True)

    def all(self) -> dict[str, ProcessInfo]:
        """What the supervisor says of every program, by name; empty when it does not run."""
        if self.pid is None:
            return {}
        with self._calls() as supervisor:
            rows = supervisor.getAllProcessInfo()
        return {
            row["name"]: ProcessInfo(
                name=row["name"],
                state=row["statename"],
                pid=row["pid"],
                started=row["start"],
                stopped=row["stop"],
            )
            for row in rows
        }

    def unexpected_ends(self, name: str, seconds: float) -> int:
        """How often a program has ended by itself in the last `seconds`; it is started again each time."""
        log = self._home.logs / "supervisord.log"
        if not log.exists():
            return 0
        since = time.time() - seconds
        ends = _ENDED.finditer(_end_of(log, _LOG_BYTES))
        return sum(found["name"] == name and _seconds(found["at"]) >= since for found in ends)

    def orphans(self) -> list[psutil.Process]:
        """Processes of this home that no supervisor answers for: one that was killed left them behind.

        Or one whose socket is gone, because somebody removed the state folder under it; it comes first.
        """
        if self.pid is not None or not self._home.run.exists():
            return []
        # The supervisor gives every program its own address in a variable.
        address = f"unix://{self._socket}"
        supervisors, programs = [], []
        for process in psutil.process_iter():
            try:
                if str(self._configuration_file) in process.cmdline():
                    supervisors.append(process)
                elif process.environ().get("SUPERVISOR_SERVER_URL") == address:
                    programs.append(process)
            except (psutil.Error, OSError):
                continue  # gone, or somebody else's
        return supervisors + programs

    def end_orphans(self) -> None:
        """Stop the orphans, gently at first."""
        orphans = self.orphans()
        for process in orphans:
            _signal(process, "terminate")
        _, stubborn = psutil.wait_procs(orphans, timeout=GRACE_SECONDS)
        for process in stubborn:
            _signal(process, "kill")
        psutil.wait_procs(stubborn, timeout=GRACE_SECONDS)

    @property
    def _configuration_file(self) -> Path:
        return self._home.run / "supervisord.conf"

    @property
    def _socket(self) -> Path:
        """The supervisor's socket: in the state folder, or where that path is too long, in a private one."""
        path = self._home.run / "supervisor.sock"
        if len(str(path)) <= SOCKET_PATH_LIMIT:
            return path
        note = self._home.run / "socket_folder"
        if not note.exists():
            write_private(note, tempfile.mkdtemp(prefix="creditmesh-", dir="/tmp"))
        return Path(note.read_text()) / "supervisor.sock"

    def _configuration(self) -> str:
        run, logs = str(self._home.run).replace("%", "%%"), str(self._home.logs).replace("%", "%%")
        lines = [
            "[unix_http_server]",
            f"file={str(self._socket).replace('%', '%%')}",
            "chmod=0700",
            "[supervisord]",
            f"pidfile={run}/supervisord.pid",
            f"logfile={logs}/supervisord.log",
            f"directory={run}",
            "minfds=1024",
            # Data, logs and sockets of whatever runs are the account's alone.
            "umask=077",
            *(["user=root"] if os.geteuid() == 0 else []),
            "[rpcinterface:supervisor]",
            "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface",
            "[include]",
            "files = programs/*.conf",
        ]
        return "\n".join(lines) + "\n"

    @contextmanager
    def _calls(self) -> Iterator[Any]:
        """The supervisor's XML-RPC methods, which have no types."""
        transport = SupervisorTransport(None, None, f"unix://{self._socket}")
        with ServerProxy("http://127.0.0.1", transport=transport) as proxy:
            yield proxy.supervisor


def _signal(process: psutil.Process, how: str) -> None:
    try:
        getattr(process, how)()
    except psutil.NoSuchProcess:
        return


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log file."""
    if not log.exists():
        return "(no log)"
    return "\n".join(_end_of(log, 16384).splitlines()[-lines:])


def last_words(log: Path) -> str:
    """What a process has last said of an error, in one line; else its last line."""
    lines = [line for line in tail(log, 100).splitlines() if line.strip()]
    for line in reversed(lines):
        if line.startswith("{"):
            try:
                said = json.loads(line)
            except ValueError:
                continue
            if said.get("level") in {"error", "critical"}:
                return _first_line(said)
    return lines[-1].strip()[:LINE_CHARACTERS] if lines else "(no log)"


def _first_line(said: dict[str, Any]) -> str:
    raised = str(said.get("exception", "")).strip().splitlines()
    return f"{said.get('event', '')}{': ' + raised[-1] if raised else ''}"[:LINE_CHARACTERS]


def _end_of(log: Path, size: int) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - size))
        return file.read().decode(errors="replace")


def _seconds(at: str) -> float:
    return time.mktime(time.strptime(at, "%Y-%m-%d %H:%M:%S"))
