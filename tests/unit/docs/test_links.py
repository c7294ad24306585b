"""What the documentation links to and names exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)")
# A file or folder of the repository in code marks, such as `services/lake/domain/money.py`.
NAMED = re.compile(r"`((?:services|tests|docs|deploy|observability|dbt|airflow)/[\w./-]+)`")

# Folders that are there only after something ran.
WRITTEN_BY_RUNS = {"dbt/target"}


def targets(page: Path) -> Iterator[tuple[str, Path]]:
    """Every relative link and named file of a page: as written, and where it leads."""
    text = page.read_text(encoding="utf-8")
    for link in LINK.findall(text):
        if "://" not in link and not link.startswith("#"):
            yield link, page.parent / link.partition("#")[0]
    for name in NAMED.findall(text):
        if name not in WRITTEN_BY_RUNS:
            yield name, ROOT / name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_everything_a_page_points_to_exists(page: Path) -> None:
    assert [written for written, target in targets(page) if not target.exists()] == []
