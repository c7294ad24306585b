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

# What a page says is in a file: `services/lake/database.py` `Lake.transaction`, or the same behind a link.
SYMBOL = re.compile(r"(?:`([\w/.-]+\.py)`|\]\(([\w/.-]+\.py)\))\s+`([A-Za-z_][\w.]*)`")

SYMBOL_BEFORE = re.compile(r"`([A-Za-z_][\w.]*)` \(`([\w/.-]+\.py)`\)")


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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_everything_a_page_names_in_a_file_is_in_it(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    said = [
        (ROOT / named if named else page.parent / linked, symbol)
        for named, linked, symbol in SYMBOL.findall(text)
    ]
    said += [(ROOT / named, symbol) for symbol, named in SYMBOL_BEFORE.findall(text)]
    missing = [
        f"{symbol} in {file.name}"
        for file, symbol in said
        for part in symbol.split(".")
        if not re.search(
            rf"(?:def|class) {part}\b|^\s*{part}\b", file.read_text(encoding="utf-8"), re.MULTILINE
        )
    ]
    assert missing == []


def test_a_name_that_is_nowhere_would_be_found() -> None:
    assert SYMBOL.findall("see `services/lake/database.py` `Lake.vanished`") == [
        ("services/lake/database.py", "", "Lake.vanished")
    ]
    assert SYMBOL_BEFORE.findall("`Vanished` (`services/lake/database.py`)") == [
        ("Vanished", "services/lake/database.py")
    ]
