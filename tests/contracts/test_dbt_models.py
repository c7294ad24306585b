"""Models written by hand read alike: imports first, then named steps, and at the end the rows of the last one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

MODELS = Path(__file__).parents[2] / "dbt" / "models"
FOLDERS = ("dm", "ap", "dw/business_vault")
WRITTEN = sorted(path for folder in FOLDERS for path in (MODELS / folder).glob("*.sql"))
IMPORT = re.compile(r"^(\w+) as \{\{ rows_of\(ref\('(\w+)'\)\) \}\},$")
CONFIG = re.compile(r"\{\{ config\(.*?\) \}\}\n", re.DOTALL)


def test_every_model_is_generated_or_looked_at_here() -> None:
    folders = {path.parent.relative_to(MODELS).as_posix() for path in MODELS.rglob("*.sql")}
    assert folders == {*FOLDERS, "ods", "dw/raw_vault"}
    assert len(WRITTEN) > 25


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.stem)
def test_a_model_imports_first_and_selects_from_final(path: Path) -> None:
    lines = CONFIG.sub("", path.read_text(encoding="utf-8")).splitlines()
    assert lines[-1] == "select * from final"
    assert lines.count("final as (") == 1
    found = {number: IMPORT.match(line) for number, line in enumerate(lines)}
    imports = {number: match.groups() for number, match in found.items() if match}
    assert imports
    assert all(name == model for name, model in imports.values())
    # Nothing else reads a relation, and no step stands before the last import.
    assert [number for number, line in enumerate(lines) if "ref(" in line and number not in imports] == []
    steps = [number for number, line in enumerate(lines) if re.search(r"\bas \($", line)]
    assert max(imports) < min(steps)
