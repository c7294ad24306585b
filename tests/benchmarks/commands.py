"""Commands that are measured as their callers run them."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from tests.conftest import Database

ROOT = Path(__file__).parents[2]


async def timed(*command: str, **environment: str) -> tuple[float, dict[str, Any]]:
    """Run a command to its end; give its seconds, and the JSON of its last line."""
    started = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, said = await process.communicate()
    seconds = time.perf_counter() - started
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}:\n{output.decode()[-4000:]}\n{said.decode()[-4000:]}")
    found: dict[str, Any] = json.loads(output.splitlines()[-1])
    return seconds, found


async def run_loader(lake: Database, warehouse: Database) -> tuple[float, int]:
    """Load what is new, as Airflow does; give seconds and rows."""
    seconds, found = await timed(
        *(sys.executable, "-m", "services.loader.main", "run", "lake"),
        LAKE_URL=lake.url("loader"),
        WAREHOUSE_URL=warehouse.url("loader"),
    )
    return seconds, int(found["rows"])
