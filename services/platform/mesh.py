"""The mesh's own processes: their migrations, and what each is given as its environment."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping

from services.platform.errors import PlatformError
from services.platform.settings import ROOT

# Which one-shot commands make a database what the services expect, by kind of database, in this order.
MIGRATIONS: Mapping[str, tuple[str, ...]] = {
    "lake": ("services.lake.main",),
    "application": ("services.auth.main", "services.search.main", "services.replicator.main"),
}
URL_VARIABLE = {"lake": "LAKE_URL", "application": "APPLICATION_URL"}
# What a process of ours takes over from the shell that started the platform.
INHERITED = ("COVERAGE_PROCESS_START", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "TMPDIR", "TZ")


def python(module: str, *arguments: str) -> tuple[str, ...]:
    """The command that runs a module of ours."""
    return (sys.executable, "-m", module, *arguments)


def inherited() -> dict[str, str]:
    """The part of this process's environment that ours get."""
    return {name: os.environ[name] for name in INHERITED if name in os.environ}


async def run_once(module: str, *arguments: str, environment: Mapping[str, str]) -> str:
    """Run a one-shot command of a service and return what it printed.

    Raises:
        PlatformError: it ended with a status other than 0; the message holds the end of its output.
    """
    process = await asyncio.create_subprocess_exec(
        *python(module, *arguments),
        cwd=ROOT,
        env=inherited() | dict(environment),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    said = output.decode(errors="replace").strip()
    if process.returncode:
        last = "\n".join(said.splitlines()[-15:])
        raise PlatformError(
            f"`{module} {' '.join(arguments)}` ended with status {process.returncode}:\n{last}"
        )
    return said


async def migrate(kind: str, owner_url: str) -> None:
    """Bring a database of `kind` (`lake` or `application`) to its newest schema.

    Raises:
        PlatformError: a migration failed.
    """
    for module in MIGRATIONS[kind]:
        await run_once(module, "migrate", environment={URL_VARIABLE[kind]: owner_url})
