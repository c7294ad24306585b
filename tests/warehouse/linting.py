"""sqlfluff over all models as dbt compiled them, by the rules of dbt/.sqlfluff."""

import asyncio
import os
import sys
from collections.abc import Iterable, Sequence
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

from services.platform.settings import ROOT

CONFIG = ROOT / "dbt" / ".sqlfluff"
CLEAN = ROOT / ".tools" / "clean-sql"


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
    return await lint(list(compiled_models(models).values()), dialect)


async def lint(files: Sequence[Path], dialect: str, clean: Path = CLEAN) -> str:
    """Lint files, except those in which the same rules have found nothing before: all models take minutes.

    Args:
        files: in SQL.
        dialect: as sqlfluff calls it.
        clean: folder with an empty file for each text that was found clean, named by `key_of`.

    Returns:
        What sqlfluff says; empty when it finds nothing.
    """
    keys = {
        path: key_of(version("sqlfluff"), dialect, CONFIG.read_text(), path.read_text()) for path in files
    }
    unknown = {path: key for path, key in keys.items() if not (clean / key).exists()}
    if not unknown:
        return ""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sqlfluff", "lint", "--processes", "2", "--dialect", dialect),
        *("--config", str(CONFIG), *map(str, unknown)),
        # Not in the project, whose own configuration would be added.
        cwd=files[0].parent,
        # Nothing of ours runs in it, and measuring its coverage takes as long again.
        env={name: value for name, value in os.environ.items() if name != "COVERAGE_PROCESS_START"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    if process.returncode:
        return said.decode()
    remember(clean, unknown.values())
    return ""


def remember(clean: Path, keys: Iterable[str]) -> None:
    """Keep that these texts are clean."""
    clean.mkdir(parents=True, exist_ok=True)
    for key in keys:
        (clean / key).touch()


def key_of(*texts: str) -> str:
    """Name a text by all that decides what is found in it: sqlfluff's version, dialect, configuration, and itself."""
    return sha256("\0".join(texts).encode()).hexdigest()
