"""The terminal output: the platform's start, its status, its addresses."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from services.platform.components.airflow import USER
from services.platform.components.airflow import logins_file as airflow_logins
from services.platform.components.mesh import logins_file
from services.platform.components.prometheus import page
from services.platform.platform import OnChange, Platform, Status

# In a file or a pipe there is no width to keep to, and a broken path cannot be copied.
console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)


class Progress:
    """The live table of what is starting; without a terminal, a line for every change."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._rows: dict[str, tuple[str, float]] = {}
        self._spinner = Spinner("dots")

    def change(self, name: str, what: str) -> None:
        """A component does something else now."""
        seconds = time.monotonic() - self._began
        self._rows[name] = (what, seconds)
        if not console.is_terminal and what != "waiting":
            console.print(f"{seconds:6.1f} s  {name:<15} {what}")
            sys.stdout.flush()

    def __rich__(self) -> Table:
        """The table as it is now; asked for by rich at every refresh."""
        table = Table(box=None, pad_edge=False)
        for title in ("", "component", "", "since"):
            table.add_column(title)
        for name, (what, seconds) in self._rows.items():
            table.add_row(self._mark(what), name, Text(what, overflow="ellipsis"), f"{seconds:.1f} s")
        return table

    def _mark(self, what: str) -> Text | Spinner:
        if what == "ready":
            return Text("✓", style="green")
        if what.startswith("not available"):
            return Text("x", style="yellow")
        return Text(".", style="dim") if what == "waiting" else self._spinner


@contextmanager
def progress() -> Iterator[OnChange]:
    """Show the components that are starting; returns the function to call with every change."""
    shown = Progress()
    if not console.is_terminal:
        yield shown.change
        return
    with Live(shown, console=console, refresh_per_second=8):
        yield shown.change


def addresses(platform: Platform) -> Table:
    """Where everything is."""
    settings = platform.settings
    table = Table(box=None, pad_edge=False)
    table.add_column("what")
    table.add_column("where")
    if "dashboard" in platform.components:
        table.add_row(
            "dashboard",
            f"{settings.http('dashboard')} (users maker1, officer1, senior1, committee1, auditor; passwords below)",
        )
    for name in ("auth", "intake", "approval", "search", "analytics", "lineage"):
        if name in platform.components:
            table.add_row(f"{name} API", f"{settings.http(name)}/docs")
    table.add_row("replication", f"{settings.http('relay')}/status")
    table.add_row("traces", f"{settings.http('zipkin')}/zipkin/")
    table.add_row("Prometheus", page(settings))
    if settings.airflow:
        table.add_row(
            "Airflow",
            f"{settings.http('airflow')} (user {USER}, password in {airflow_logins(platform.home)})",
        )
    table.add_row(
        "PostgreSQL", f"127.0.0.1:{settings.postgres_port} (databases lake, application, warehouse)"
    )
    table.add_row("Kafka", settings.kafka_bootstrap)
    table.add_row("users, passwords", str(logins_file(platform.home)))
    table.add_row("logs", str(platform.home.logs))
    return table


def standing(statuses: Sequence[Status]) -> Table:
    """How every process stands."""
    table = Table(box=None, pad_edge=False)
    for title in ("process", "state", "pid", "up", "memory", "ready"):
        table.add_column(title, justify="right" if title in ("pid", "up", "memory") else "left")
    for status in statuses:
        table.add_row(
            status.name,
            status.state.lower(),
            str(status.pid or ""),
            "" if status.uptime is None else _duration(status.uptime),
            "" if status.memory is None else f"{status.memory / 2**20:.0f} MiB",
            Text("yes", style="green") if status.ready else Text(f"no {status.detail}".strip(), style="red"),
        )
    total = sum(status.memory or 0 for status in statuses)
    table.add_row("", "", "", "", f"{total / 2**20:.0f} MiB", "")
    return table


def _duration(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{left:02}"
