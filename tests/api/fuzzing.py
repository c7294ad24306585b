"""Schemathesis against services that listen on a port, each as somebody with one role."""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

from services.chassis.testing import TokenMaker
from services.chassis.web.http_server import BoundedProtocol
from services.lake.domain.roles import Role, scopes_of

ROOT = Path(__file__).parents[2]
API = ROOT / "docs" / "api"
SEED = int(os.environ.get("PROPERTY_SEED", random.randrange(2**32)))
DEADLINE = "#/components/parameters/X-Request-Timeout-Ms"


@asynccontextmanager
async def listening(app: FastAPI) -> AsyncIterator[str]:
    """The base URL of `app`, whose lifespan somebody else runs."""
    config = uvicorn.Config(app, port=0, http=BoundedProtocol, ws="none", lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    await serving


def strict(service: str) -> dict[str, Any]:
    """The document of a service without the answer that stands for every status: each must be declared."""
    document: dict[str, Any] = json.loads((API / f"{service}.openapi.json").read_text(encoding="utf-8"))
    for path in document["paths"].values():
        for operation in path.values():
            operation["responses"].pop("default", None)
            # A deadline of a millisecond is rightly answered by 504; tests/unit/chassis/test_deadlines.py has them.
            operation["parameters"] = [
                one for one in operation.get("parameters", ()) if one.get("$ref") != DEADLINE
            ]
    return document


@dataclass(frozen=True)
class Run:
    """What a run of schemathesis said."""

    status: int
    output: str

    @property
    def summary(self) -> str:
        """Its last lines."""
        return "\n".join(self.output.strip().splitlines()[-12:])


async def fuzz(
    service: str,
    base: str,
    folder: Path,
    *,
    headers: Mapping[str, str],
    number: int,
    examples: int,
    phases: str = "examples,coverage,fuzzing,stateful",
    known: Mapping[str, str] | None = None,
) -> Run:
    """Run every check over a service.

    Args:
        service: whose document it is.
        base: where it listens.
        folder: for the document and the reports.
        headers: who calls.
        number: the seed.
        examples: generated requests for each operation and phase.
        phases: which of schemathesis' phases.
        known: ids that exist, by the name of their parameter; by default ids are generated.
    """
    document = folder / f"{service}.json"
    document.write_text(json.dumps(strict(service)))
    config = folder / "schemathesis.toml"
    ids = "".join(f'"path.{name}" = "{value}"\n' for name, value in (known or {}).items())
    judged = (Path(__file__).parent / "schemathesis.toml").read_text()
    config.write_text(f"[parameters]\n{ids}\n{judged}")
    arguments = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(config)),
        *("run", str(document), "--url", base, "--checks", "all", "--phases", phases),
        *("--max-examples", str(examples), "--seed", str(number), "--no-color", "--workers", "1"),
        *("--generation-database", "none", "--continue-on-failure", "--request-timeout", "30"),
        *(part for name, value in headers.items() for part in ("--header", f"{name}: {value}")),
    ]
    process = await asyncio.create_subprocess_exec(
        *arguments,
        cwd=folder,
        env={**os.environ, "COLUMNS": "160"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return Run(process.returncode or 0, output.decode(errors="replace"))


async def check(
    service: str,
    base: str,
    folder: Path,
    *,
    tokens: TokenMaker,
    role: Role,
    examples: int,
    phases: str,
    known: Mapping[str, str] | None = None,
) -> None:
    """Run every check as somebody with a role, who has just logged in; everything that they find is a failure."""
    caller = tokens.headers(roles=[role], scopes=scopes_of([role]), auth_time=int(time.time()))
    print(f"PROPERTY_SEED={SEED}")

    run = await fuzz(
        service, base, folder, headers=caller, number=SEED, examples=examples, phases=phases, known=known
    )

    print(f"{service} as {role}:\n{run.summary}")
    assert run.status == 0, run.output
