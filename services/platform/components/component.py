"""The components of the platform: each is a supervised program or a single step between programs."""

from __future__ import annotations

import shlex
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from re import search
from typing import Literal

from services.platform.errors import PlatformError
from services.platform.home import Home
from services.platform.settings import PlatformSettings

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Program:
    """A process that the supervisor keeps alive."""

    name: str
    command: tuple[str, ...]
    directory: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_signal: Literal["TERM", "INT"] = "TERM"
    stop_seconds: int = 15
    stop_group: bool = True

    def section(self, log: Path) -> str:
        """The supervisor's configuration of this program.

        Raises:
            PlatformError: a value holds characters that the configuration file cannot carry.
        """
        environment = ",".join(f"{name}={_quoted(value)}" for name, value in sorted(self.environment.items()))
        return "\n".join(
            (
                f"[program:{self.name}]",
                f"command={_plain(shlex.join(self.command))}",
                f"directory={_plain(str(self.directory))}",
                f"environment={environment}",
                "autostart=false",
                "autorestart=true",
                "startsecs=1",
                "startretries=1000000",
                f"stopsignal={self.stop_signal}",
                f"stopwaitsecs={self.stop_seconds}",
                f"stopasgroup={str(self.stop_group).lower()}",
                "killasgroup=true",
                "redirect_stderr=true",
                f"stdout_logfile={_plain(str(log))}",
                "stdout_logfile_maxbytes=20MB",
                "stdout_logfile_backups=2",
                "",
            )
        )


def _plain(value: str) -> str:
    if "\n" in value or search(r"\s[;#]", value):
        raise PlatformError(
            f"{value!r} holds a line break or a blank before ';' or '#', which the configuration of the "
            "supervisor cannot carry; choose another folder name"
        )
    return value.replace("%", "%%")


def _quoted(value: str) -> str:
    quote = '"' if '"' not in value else "'"
    if quote in value:
        raise PlatformError(f"{value!r} holds both kinds of quotes, which the supervisor cannot carry")
    return f"{quote}{_plain(value)}{quote}"


class Component(ABC):
    """One row of the platform: what it needs before it, how it is prepared and started, when it is ready."""

    name: str
    needs: tuple[str, ...] = ()
    """Components that must be ready before it is prepared."""
    beside: tuple[str, ...] = ()
    """Components that it needs at run time, but that may start at the same time."""
    ports: tuple[str, ...] = ()
    """Names of the settings whose ports it listens on."""
    required: bool = True
    """Whether the platform cannot run without it."""
    is_step: bool = False
    """Whether it is a step without a process: complete after its preparation."""

    def __init__(self, settings: PlatformSettings, home: Home) -> None:
        self.settings = settings
        self.home = home

    async def prepare(self, tell: Tell) -> None:  # noqa: B027 - most have nothing to prepare
        """Do the work that is due once, or before every start; calls `tell` with the progress.

        Raises:
            NotAvailableError: it is not available here, and not required.
            PlatformError: it failed.
        """

    @abstractmethod
    def program(self) -> Program | None:
        """The process to keep alive, or None for a step that is done when it is prepared."""

    async def ready(self) -> None:  # noqa: B027 - a step is ready when it is prepared
        """Return when it answers.

        Raises:
            NotReadyYet, OSError: it does not yet.
        """

    async def ready_since(self, started: float) -> None:
        """As `ready`, of the process that was started then (seconds since 1970).

        A source other than the process itself may still have the answer of its predecessor.
        """
        del started
        await self.ready()
