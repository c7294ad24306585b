"""The replicator's commands as an operator runs them: real processes, with the logins that the guide names."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass

from tests.integration.replicator.pipeline import ROOT, Pipeline


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    status: int
    output: str


async def command(
    pipeline: Pipeline, *arguments: str, lake: str = "verifier", application: str = "verifier"
) -> Ended:
    """Run `services.replicator.main` with `arguments`; `lake` and `application` are the logins."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.replicator.main",
        *arguments,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={
            **os.environ,
            "COLUMNS": "200",
            "LAKE_URL": pipeline.lake_url(lake),
            "APPLICATION_URL": pipeline.application_database.url(application),
        },
    )
    output, _ = await process.communicate()
    return Ended(process.returncode or 0, output.decode())
