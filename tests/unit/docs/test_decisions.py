"""Every decision record has the form that the index promises."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from tests.scripts import load_script

ROOT = Path(__file__).parents[3]
RIGHT = """# 7. Images are text

Accepted · Change capture · 2026-11-21

## Context

a

## Alternatives

b

## Decision

c

## Consequences

d
"""


@pytest.fixture(scope="module")
def records() -> ModuleType:
    return load_script(ROOT / "docs/records.py")


@pytest.mark.parametrize(
    "path", sorted((ROOT / "docs/decisions").glob("[0-9]*.md")), ids=lambda path: path.stem
)
def test_a_record_has_the_form(records: ModuleType, path: Path) -> None:
    assert records.read_record(path).title


def test_superseded_records_name_a_current_one(records: ModuleType) -> None:
    found = {record.number: record for record in records.read_records()}
    assert {17: 130, 36: 130, 80: 130, 81: 130, 33: 131}.items() <= {
        number: record.successor for number, record in found.items()
    }.items()


def test_no_two_records_have_one_number(records: ModuleType, tmp_path: Path) -> None:
    for name in ("0007-a.md", "0007-b.md"):
        (tmp_path / name).write_text(RIGHT)
    with pytest.raises(ValueError, match=r"0007-b\.md: 0007-a\.md has this number"):
        records.read_records(tmp_path)


def test_no_two_current_records_have_one_title(records: ModuleType) -> None:
    titles = [record.title for record in records.read_records() if record.successor is None]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        (RIGHT.replace("Accepted · Change capture · 2026-11-21\n\n", ""), "begin with"),
        (RIGHT.replace("2026-11-21", "yesterday"), "begin with"),
        (RIGHT.replace("Change capture", "Miscellany"), "is no area"),
        (RIGHT.replace("# 7.", "# 8."), "number in the title"),
        (RIGHT.replace("## Alternatives\n\nb\n\n", ""), "sections"),
        (RIGHT.replace("Accepted", "Superseded by [9](0010-other.md)"), "leads to"),
    ],
)
def test_another_form_is_refused(records: ModuleType, tmp_path: Path, wrong: str, complaint: str) -> None:
    (tmp_path / "0007-images.md").write_text(RIGHT, encoding="utf-8")
    assert records.read_record(tmp_path / "0007-images.md").number == 7
    (tmp_path / "0007-images.md").write_text(wrong, encoding="utf-8")
    with pytest.raises(ValueError, match=complaint):
        records.read_record(tmp_path / "0007-images.md")


def test_a_successor_that_is_superseded_itself_is_refused(records: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "0007-images.md").write_text(
        RIGHT.replace("Accepted", "Superseded by [8](0008-b.md)"), encoding="utf-8"
    )
    (tmp_path / "0008-b.md").write_text(
        RIGHT.replace("# 7.", "# 8.").replace("Accepted", "Superseded by [7](0007-images.md)"),
        encoding="utf-8",
    )
    with pytest.raises(ValueError, match="not a current record"):
        records.read_records(tmp_path)
