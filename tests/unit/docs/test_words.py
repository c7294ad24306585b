"""The documents use the standard words: the left column of the table in CONTRIBUTING.md does not occur in them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
# CONTRIBUTING.md holds the table itself.
PAGES = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")} - {ROOT / "CONTRIBUTING.md"})
# By the words that are avoided: those to use.
WORDS = {
    r"anew": "again, rebuilt, recreated, recomputed",
    r"pass(?:es)? by (?:itself|themselves)": "transient",
    r"so (?:many|long)\b(?! as)": "at most N, for N seconds",
    r"(?:is|are|was|were) held up": "waits for",
    r"(?:is|are) behind what": "lags, is below",
    r"sort(?:s|ed|ing)? out": "parse",
    r"tak(?:es?|en|ing) up|took up": "adopt",
    r"look(?:s|ed|ing)? after": "supervise",
    r"give(?:s|n)? way|giving way": "yields, is rolled back",
    r"go(?:es)? on by (?:itself|themselves)": "resumes without help",
    r"stands? still": "does not rise, does not change",
    r"time and again": "again and again, every N seconds",
    r"for want of": "because … is missing",
    r"whence|hence|thereof|wherein|lest|ere": "from where, therefore, of it, in which, so that … not, before",
}
ADDRESS = re.compile(r"\]\([^)]*\)|`[^`\n]*`|^```.*?^```", re.DOTALL | re.MULTILINE)
"""Names of files and of code keep their words."""


def found(text: str) -> list[str]:
    """Each avoided word of a page, with the words to use."""
    prose = ADDRESS.sub(" ", text)
    return [
        f"{match[0]!r}: write {better}"
        for avoided, better in WORDS.items()
        for match in re.finditer(rf"\b(?:{avoided})\b", prose, re.IGNORECASE)
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_uses_the_standard_words(page: Path) -> None:
    assert found(page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("The table is made anew.", 1),
        ("It waits so long.", 1),
        ("It waits so long as it gets on.", 0),
        ("[a loan](0047-loans-are-made-anew-not-patched.md)", 0),
        ("`made anew`", 0),
    ],
)
def test_words_are_found_in_prose_and_not_in_names(text: str, count: int) -> None:
    assert len(found(text)) == count
