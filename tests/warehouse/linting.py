"""sqlfluff over all models as dbt compiled them, by the rules of dbt/.sqlfluff."""

import asyncio
import sys
from pathlib import Path

from services.platform.settings import ROOT


def compiled_models(folder: Path) -> dict[str, Path]:
    """Give the models under a folder that dbt compiled into, by name.

    Tests of data and of code lie beside them, in folders called like their files of properties.
    """
    found = [path for path in folder.rglob("*.sql") if all(one.suffix != ".yml" for one in path.parents)]
    assert {path.stem for path in found} == {path.stem for path in (ROOT / "dbt" / "models").rglob("*.sql")}
    return {path.stem: path for path in found}


async def complaints(models: Path, dialect: str) -> str:
    """Lint every model under a folder of compiled models.

    Args:
        models: folder `compiled/<project>/models` of dbt's target folder.
        dialect: as sqlfluff calls it, `postgres` or `tsql`.

    Returns:
        What sqlfluff says; empty when it finds nothing.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sqlfluff", "lint", "--processes", "2", "--dialect", dialect),
        *("--config", str(ROOT / "dbt" / ".sqlfluff")),
        *map(str, compiled_models(models).values()),
        cwd=models,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return said.decode() if process.returncode else ""
