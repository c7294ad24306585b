"""Load and build the warehouse on this machine without Airflow, for today or a past day."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

import yaml

from services.platform.components.airflow import BINARIES
from services.platform.components.command_environments import dbt_environment, loader_environment
from services.platform.components.mesh import inherited, python
from services.platform.errors import PlatformError
from services.platform.home import PRIVATE
from services.platform.platform import Platform
from services.platform.settings import ROOT

FIRST = "lake"
Tell = Callable[[str], None]


async def build_warehouse(platform: Platform, tell: Tell, *, as_of: date | None = None) -> None:
    """Load the lake's journal, then build the flows that depend on it, one after the other.

    Args:
        platform: a platform whose databases run.
        tell: called with one line for each step.
        as_of: the reporting date; by default today in the business time zone. All data of the lake is loaded for
            every date; the KPIs are those of this day.

    Raises:
        PlatformError: a step failed; the message holds the end of its output.
    """
    loader = loader_environment(platform.settings, platform.home)
    dbt = dbt_environment(platform.settings, platform.home)
    for name, flow in flows_of(platform).items():
        select = flow.get("select")
        tell(f"{name}: {'load' if select is None else 'build'}")
        if select is None:
            command = (*python("services.loader.main", "run", name, "--flows", str(platform.settings.flows)),)
            await _run(name, command, loader)
            continue
        variables = json.dumps({"as_of_date": as_of.isoformat()}) if as_of else "{}"
        command = (str(BINARIES / "python"), "dbt/build.py", "--select", select, "--vars", variables)
        await _run(name, command, dbt)
        if flow.get("publish"):
            tell(f"{name}: publish")
            await _run(name, python("services.analytics.main", "publish"), dbt)


def flows_of(platform: Platform) -> dict[str, Mapping[str, Any]]:
    """The lake's flow and those that follow from it, in their order: name to what its file says."""
    flows = {
        path.stem: yaml.safe_load(path.read_text(encoding="utf-8"))
        for path in sorted(platform.settings.flows.glob("*.yaml"))
    }
    ordered: dict[str, Mapping[str, Any]] = {}
    waiting = [FIRST]
    while waiting:
        name = waiting.pop(0)
        if name in ordered or name not in flows:
            continue
        ordered[name] = flows[name]
        waiting += [
            other for other, flow in flows.items() if name in flow.get("schedule", {}).get("after", ())
        ]
    return ordered


async def _run(name: str, command: tuple[str, ...], environment: Mapping[str, str]) -> None:
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        env=inherited() | dict(environment),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        umask=PRIVATE,
    )
    output, _ = await process.communicate()
    if process.returncode != 0:
        raise PlatformError(
            f"flow {name} failed with status {process.returncode}:\n{output.decode()[-4000:]}"
        )
