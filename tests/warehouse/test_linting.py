"""What was clean is not linted again; what is not clean, or has changed, always is."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from tests.warehouse.linting import CONFIG, key_of, lint

GOOD = "select 1 as one\n"
BAD = "SELECT 1 as one\n"


async def test_only_a_clean_text_is_remembered(tmp_path: Path) -> None:
    model, clean = tmp_path / "model.sql", tmp_path / "clean"
    model.write_text(BAD)
    for _ in range(2):
        assert "model.sql" in await lint([model], "postgres", clean)
    assert not clean.exists()
    model.write_text(GOOD)
    assert await lint([model], "postgres", clean) == ""
    (known,) = clean.iterdir()
    # By another dialect it is another question.
    assert await lint([model], "tsql", clean) == ""
    assert len(list(clean.iterdir())) == 2
    model.write_text(BAD)
    assert "model.sql" in await lint([model], "postgres", clean)
    # A text that is known is not read again: even where the marker is wrong.
    known.rename(clean / key_of(version("sqlfluff"), "postgres", CONFIG.read_text(), BAD))
    assert await lint([model], "postgres", clean) == ""
