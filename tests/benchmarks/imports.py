"""How fast a history comes into the lake, through the captured tables: `python -m tests.benchmarks.imports`."""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

from rich.console import Console

from services.platform.platform import Platform
from tests.conftest import beside_others, migrated
from tests.integration.cli.test_import_history import counts, imported, journalled, large
from tests.unit.cli.sample_history import write

console = Console(highlight=False)


async def main(applications: int) -> None:
    """Write files of N booked applications, import them into a separate lake, and report the duration."""
    with tempfile.TemporaryDirectory() as folder:
        files = write(large(applications), Path(folder) / "files", ".ndjson")
        size = sum(path.stat().st_size for path in files.iterdir())
        console.print(f"{applications:,} applications in files of {size / 1e6:,.0f} MB")
        platform = Platform(beside_others(Path(folder) / "platform"))
        await platform.up(["databases"])
        try:
            async with migrated(platform, "lake") as lake:
                began = time.monotonic()
                ended = await imported(lake, files)
                seconds = time.monotonic() - began
                console.print(ended.output[-1200:], markup=False)
                rows = sum((await counts(lake)).values())
                console.print(
                    f"status {ended.status}: {rows:,} rows and {await journalled(lake):,} changes in the journal "
                    f"in {seconds:.1f} s, {rows / seconds:,.0f} rows a second, reading and checking included"
                )
                began = time.monotonic()
                await imported(lake, files)
                console.print(f"the same files again: {time.monotonic() - began:.1f} s")
        finally:
            await platform.reset()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--applications", type=int, default=100_000)
    asyncio.run(main(parser.parse_args().applications))
