"""Runs Python scripts in children of a process that has already imported dbt, which takes seconds in a new process.

    python tests/warehouse/fork_server.py 3

The argument is the file descriptor of a Unix socket that listens. A client sends one JSON object a connection:
`command` (path of a script and its arguments), `folder` and `environment`; the descriptor that comes with it becomes
the script's stdout and stderr. The answers are two lines: the child's process id, and its status as `os.wait` has it.
The server ends when its stdin does.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import sys
from typing import Any

# What dbt/build.py and the script `dbt` import. Imported, not called: nothing of a run is left behind in the server.
IMPORTED = (
    "dbt.cli.main",
    "dbt.adapters.postgres",
    "dbt.adapters.sqlserver",
    "openlineage.client",
    "openlineage.common.provider.dbt",
    "openlineage.dbt",
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.sdk.trace.export",
)
LONGEST_REQUEST = 1 << 20


def become(command: list[str], folder: str, environment: dict[str, str], output: int) -> None:
    """Run a script as a new interpreter would; raises SystemExit or what the script raises."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for descriptor, taken in ((0, os.open(os.devnull, os.O_RDONLY)), (1, output), (2, output)):
        os.dup2(taken, descriptor)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = command
    sys.path[0] = os.path.dirname(command[0])  # noqa: PTH120 - pathlib is not needed for it
    runpy.run_path(command[0], run_name="__main__")


class Server:
    """Takes requests and tells when their processes have ended."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._clients: dict[int, socket.socket] = {}
        self._selector = selectors.DefaultSelector()

    def serve(self) -> tuple[Any, ...] | None:
        """Serve until stdin ends: None. In a child: what it has to become."""
        ended, wakeup = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wakeup)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for source in (self._listener, ended, 0):
            self._selector.register(source, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select():
                if key.fd == 0:
                    return None
                if key.fd == ended:
                    os.read(ended, 4096)
                    self._reap()
                elif (task := self._fork()) is not None:
                    signal.set_wakeup_fd(-1)
                    return task

    def _fork(self) -> tuple[Any, ...] | None:
        client, _ = self._listener.accept()
        request, (output, *_), _, _ = socket.recv_fds(client, LONGEST_REQUEST, 1)
        while not request.endswith(b"\n"):
            request += client.recv(LONGEST_REQUEST)
        task = json.loads(request)
        if child := os.fork():
            os.close(output)
            self._clients[child] = client
            client.sendall(f"{child}\n".encode())
            return None
        for inherited in (client, self._listener, *self._clients.values()):
            inherited.close()
        self._selector.close()
        return task["command"], task["folder"], task["environment"], output

    def _reap(self) -> None:
        while self._clients:
            child, status = os.waitpid(-1, os.WNOHANG)
            if not child:
                return
            with self._clients.pop(child) as client:
                client.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())


if __name__ == "__main__":
    for module in IMPORTED:
        importlib.import_module(module)
    # Children look for garbage among their own objects alone, and seldom: they end before it is much.
    gc.freeze()
    gc.set_threshold(100_000)
    if (wanted := Server(socket.socket(fileno=int(sys.argv[1]))).serve()) is not None:
        become(*wanted)
