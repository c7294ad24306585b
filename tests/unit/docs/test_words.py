"""Documents and sources use the standard words: none of those in the left column of CONTRIBUTING.md's table."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.docs.words import found, prose_of_python

ROOT = Path(__file__).parents[3]
# CONTRIBUTING.md holds the table itself.
PAGES = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")} - {ROOT / "CONTRIBUTING.md"})
FOLDERS = ("airflow", "dbt", "deploy", "docs", "observability", "services", "tests")
KINDS = {".py", ".sql", ".yaml", ".yml"}
GENERATED = {"dbt_packages", "logs", "target", "__pycache__"}
EXCEPTIONS = {
    "tests/unit/docs": "the list itself, and its examples",
}
"""Files or folders that keep their words, with the reason."""


def _sources() -> list[Path]:
    found_files = (
        path
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.suffix in KINDS and not GENERATED & set(path.relative_to(ROOT).parts)
    )
    return sorted(path for path in (ROOT / "Makefile", *found_files) if not _excepted(path))


def _excepted(path: Path) -> bool:
    name = path.relative_to(ROOT).as_posix()
    return any(name == exception or name.startswith(f"{exception}/") for exception in EXCEPTIONS)


SOURCES = _sources()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_uses_the_standard_words(page: Path) -> None:
    assert found(page.read_text(encoding="utf-8")) == []


def test_sources_use_the_standard_words() -> None:
    avoided = {}
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        avoided[str(path.relative_to(ROOT))] = found(prose_of_python(text) if path.suffix == ".py" else text)
    assert {name: words for name, words in avoided.items() if words} == {}


def test_all_kinds_of_sources_are_read() -> None:
    assert {path.suffix for path in SOURCES} == {*KINDS, ""}
    assert len(SOURCES) > 500


@pytest.mark.parametrize("exception", EXCEPTIONS)
def test_an_exception_exists(exception: str) -> None:
    assert (ROOT / exception).exists()


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("The table is made anew.", 1),
        ("It waits so long.", 1),
        ("It waits so long as it gets on.", 0),
        ("It takes up the rest.", 1),
        ("It takes up to 5 s.", 0),
        ("[a loan](0047-loans-are-made-anew-not-patched.md)", 0),
        ("`made anew`", 0),
    ],
)
def test_words_are_found_in_prose_and_not_in_names(text: str, count: int) -> None:
    assert len(found(text)) == count


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("x = 1  # Begins anew.\n", 1),
        ('"""Begins anew."""\n', 1),
        ('print("begins anew")\n', 1),
        ('print(f"{1} begins anew")\n', 1),
        ("begins_anew = anew(1)\n", 0),
    ],
)
def test_words_are_found_in_the_prose_of_python(source: str, count: int) -> None:
    assert len(found(prose_of_python(source))) == count
