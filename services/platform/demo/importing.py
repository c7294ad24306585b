"""An import by `creditmesh import`, as a partner's clerk does it: fifty applications, one of them with a fault."""

from __future__ import annotations

import asyncio
import json
import os
import random
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from services.lake.samples.german_credit import sample_split
from services.lake.samples.people import person
from services.lake.samples.reference import CURRENCY
from services.lake.samples.rows import product_of
from services.platform.components.mesh import passwords
from services.platform.errors import PlatformError
from services.platform.platform import Platform
from services.platform.settings import ROOT

SERVICES = ("auth", "intake", "approval", "search")
MAKER = "maker3"
ROWS = 50
FAULTY = 17
"""The line whose amount is none."""
FIRST_NUMBER = 2_001
"""The other people of the samples and of the demo have the numbers before."""
REJECTED = 1
"""The status of the command when rows were rejected."""


async def show_import(platform: Platform, console: Console) -> None:
    """Import a file, and print what the command says of it. A second time nothing is made.

    Raises:
        PlatformError: the command ended in another way than with one rejected row.
    """
    with TemporaryDirectory(prefix="creditmesh-") as made:
        folder = Path(made)
        terminal = _Terminal(platform, folder / "config")
        await terminal.log_in(MAKER)
        file = folder / "partner.ndjson"
        file.write_text(
            "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows()), encoding="utf-8"
        )
        console.print(f"creditmesh import {file.name} --watch, {ROWS} applications with one faulty line:")
        said = await terminal.run("import", str(file), "--watch", status=REJECTED)
        console.print("\n".join(f"  {line}" for line in said.splitlines()), markup=False, highlight=False)


def rows() -> list[dict[str, Any]]:
    """The rows of the file: always the same."""
    chance = random.Random(FIRST_NUMBER)  # noqa: S311 - always the same people
    _, rest = sample_split()
    found = []
    for index, sample in enumerate(rest[:ROWS]):
        number = FIRST_NUMBER + index
        # The day of the data: a birth date that moved with the calendar would make another row of it.
        one = person(chance, number, sample.age_years, datetime(2026, 1, 5, tzinfo=UTC).date())
        found.append(
            {
                "external_ref": f"partner-{number}",
                "party": {
                    "kind": "person",
                    "full_name": one.full_name,
                    "birth_date": one.birth_date.isoformat(),
                    "national_id": one.national_id,
                    "email": one.email,
                    "phone": one.phone,
                },
                "application": {
                    "product_code": product_of(sample.purpose),
                    "amount": "a lot" if index + 1 == FAULTY else f"{sample.amount:.2f}",
                    "currency": CURRENCY,
                    "term_months": sample.term_months,
                    "purpose": sample.purpose,
                    "channel": "partner",
                    "profile": dict(sample.profile),
                },
            }
        )
    return found


class _Terminal:
    """`creditmesh` with a configuration folder of its own."""

    def __init__(self, platform: Platform, config: Path) -> None:
        self._platform = platform
        self._environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            "CREDITMESH_CONFIG": str(config),
            # A keyring that fails is none: the session is kept in a file.
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
            "COLUMNS": "160",
        }

    async def log_in(self, username: str) -> None:
        settings = self._platform.settings
        urls = [part for one in SERVICES for part in (f"--{one}", settings.http(one))]
        if settings.certificates is not None:
            urls += ["--authority", str(settings.certificates.authority)]
        await self.run("profiles", "set", "local", *urls)
        password = passwords(self._platform.home)[username]
        await self.run("login", username, "--password-stdin", stdin=f"{password}\n")

    async def run(self, *arguments: str, stdin: str = "", status: int = 0) -> str:
        process = await asyncio.create_subprocess_exec(
            str(ROOT / "creditmesh"),
            *arguments,
            env=self._environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate(stdin.encode())
        if process.returncode != status:
            raise PlatformError(
                f"creditmesh {arguments[0]} ended with status {process.returncode}:\n{output.decode()}"
            )
        return output.decode().strip()
