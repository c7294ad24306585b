"""The tables of the guides are what the code says, and a page with a wrong mark is refused."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.scripts import load_script

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    return load_script(ROOT / "docs/generate.py")


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the pages that have tables."""
    for folder in ("guides", "decisions"):
        shutil.copytree(ROOT / "docs" / folder, tmp_path / "docs" / folder)
    return tmp_path / "docs"


def test_the_tables_are_up_to_date_whatever_the_environment_says() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "docs/generate.py", "--check"],
        env=os.environ | {"CREDITMESH_AUTH_PORT": "18001", "CREDITMESH_HOME": "/elsewhere"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_table_changed_by_hand_is_found_and_written_back(
    generator: ModuleType, copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = copied / "guides/architecture.md"
    right = page.read_text(encoding="utf-8")
    page.write_text(right.replace("| 17105 |", "| 17999 |", 1), encoding="utf-8")
    assert generator.main(["--check"], copied) == 1
    assert "docs/guides/architecture.md" in capsys.readouterr().err
    assert generator.main([], copied) == 0
    assert page.read_text(encoding="utf-8") == right


@pytest.mark.parametrize(
    ("mark", "complaint"),
    [
        ("<!-- generated: nothing -->\n<!-- end -->", "nothing"),
        ("<!-- generated: ports -->\n", "without its"),
    ],
)
def test_a_wrong_mark_is_refused(
    generator: ModuleType, copied: Path, mark: str, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (copied / "guides/wrong.md").write_text(f"# Wrong\n\n{mark}\n", encoding="utf-8")
    assert generator.main(["--check"], copied) == 2
    said = capsys.readouterr().err
    assert "wrong.md" in said
    assert complaint in said


def test_a_table_that_no_page_shows_is_refused(
    generator: ModuleType, copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (copied / "guides/architecture.md").unlink()
    assert generator.main(["--check"], copied) == 2
    said = capsys.readouterr().err
    assert "no page shows" in said
    assert "processes" in said
