"""An import whose worker is killed again and again."""

from __future__ import annotations

import asyncio
import os
import random
import sys
from pathlib import Path

from tests.integration.intake.importing import (
    SampleFile,
    assert_named,
    ended,
    made_in,
    rows_of_import,
    send,
)
from tests.integration.lending import Lending

ROOT = Path(__file__).parents[3]
LEASE_SECONDS = 1.0
_LINE = "SELECT line FROM intake.import_file"
_CLAIM = "SELECT next_attempt_at FROM intake.import_file"


async def import_with_kills(lending: Lending, folder: Path, file: SampleFile, kills: int) -> None:
    """Import `file` by processes of which `kills` are killed; what it has become is the same."""
    seed = int(os.environ.get("PROPERTY_SEED", random.randrange(2**32)))
    print(f"PROPERTY_SEED={seed}")
    chance = random.Random(seed)
    maker, lake = lending.user("maker"), lending.lake
    sent = await send(lending, maker, file.content)
    assert sent.status_code == 202, sent.text
    path = sent.headers["location"]
    lines = []
    async with lake.connect() as connection:
        for number in range(kills):
            # In turns before its first commit and behind one.
            query, longest = (_CLAIM, 0.7) if number % 2 == 0 else (_LINE, 0.2)
            before = await connection.fetchrow(query)
            process = await _start(lake.url("intake"), folder.as_uri())
            try:
                async with asyncio.timeout(300):
                    while await connection.fetchrow(query) == before:
                        assert process.returncode is None
                        await asyncio.sleep(0.01)
                await asyncio.sleep(chance.random() * longest)
            finally:
                process.kill()
                await process.wait()
            lines.append(await connection.fetchval(_LINE))
    assert kills < 2 or lines[-1] > 0
    print(f"killed at {lines} of {file.rows} lines")
    view = (await lending.intake.get(path, headers=maker.headers)).json()
    assert view["ended_at"] is None, "it has ended before it was killed so often"
    process = await _start(lake.url("intake"), folder.as_uri())
    try:
        view = await ended(lending, maker, path)
    finally:
        process.kill()
        await process.wait()
    assert (view["state"], view["rows"]) == ("done", file.rows)
    assert (view["made"], view["repeated"], view["rejected"]) == (file.good, 0, len(file.faults))
    assert_named(await rows_of_import(lending, maker, path), file.faults)
    assert set((await made_in(lake)).values()) == {file.good}
    made = await rows_of_import(lending, maker, path, "made")
    assert [one["line"] for one in made] == [n for n in range(1, file.rows + 1) if n not in file.faults]


async def _start(url: str, folder: str) -> asyncio.subprocess.Process:
    inherited = {name: os.environ[name] for name in ("PATH", "COVERAGE_PROCESS_START") if name in os.environ}
    module = "tests.integration.intake.import_process"
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", module, url, folder, str(LEASE_SECONDS)),
        cwd=ROOT,
        env=inherited,
        stdout=asyncio.subprocess.DEVNULL,
    )
