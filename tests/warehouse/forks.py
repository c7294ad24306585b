"""Runs dbt in children of tests/warehouse/fork_server.py instead of in new processes."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from services.platform.settings import ROOT

PYTHON = ROOT / ".venv-airflow" / "bin" / "python"


@dataclass
class Child:
    """A running script: the part of asyncio's Process that the tests use."""

    pid: int
    stdout: asyncio.StreamReader
    _answers: asyncio.StreamReader
    _connection: asyncio.StreamWriter
    returncode: int | None = None

    async def wait(self) -> int:
        """Wait until it has ended; its exit status, negative for a signal."""
        if self.returncode is None:
            self.returncode = int(await self._answers.readline())
            self._connection.close()
        return self.returncode

    async def communicate(self) -> tuple[bytes, None]:
        """Wait until it has ended; what it wrote to stdout and stderr."""
        output = await self.stdout.read()
        await self.wait()
        return output, None


@dataclass(frozen=True)
class Forks:
    """A running fork server."""

    address: Path

    @classmethod
    @asynccontextmanager
    async def started(cls, folder: Path) -> AsyncIterator[Self]:
        """Start a server whose socket is in `folder`, and end it behind the block."""
        address = folder / "forks"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(address))
            listener.listen()
            server = await asyncio.create_subprocess_exec(
                *(str(PYTHON), str(Path(__file__).with_name("fork_server.py")), str(listener.fileno())),
                stdin=subprocess.PIPE,
                cwd=ROOT,
                pass_fds=[listener.fileno()],
            )
        yield cls(address)
        assert server.stdin is not None
        server.stdin.close()
        assert await server.wait() == 0

    async def start(self, command: Sequence[str], environment: Mapping[str, str]) -> Child:
        """Run a Python script in the repository's folder, with these variables and no others."""
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(self.address))
        reading, writing = os.pipe()
        request = json.dumps(
            {"command": list(command), "folder": str(ROOT), "environment": dict(environment)}
        )
        socket.send_fds(connection, [request.encode() + b"\n"], [writing])
        os.close(writing)
        answers, writer = await asyncio.open_unix_connection(sock=connection)
        stdout = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stdout), os.fdopen(reading, "rb")
        )
        return Child(int(await answers.readline()), stdout, answers, writer)
