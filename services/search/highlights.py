"""Where the words of a search are in the values that its caller sees. Plain Python."""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.search.domain import id_prefix

FIELDS = ("borrower_name", "purpose")
"""The members of a found application that words are found in, besides the beginning of its id."""

_MARKS = range(0x300, 0x370)


@dataclass(frozen=True, slots=True)
class Highlight:
    """A part of a value: the characters from `start` up to but not including `end`, as Unicode counts them."""

    field: str
    start: int
    end: int


def normalise(value: str) -> tuple[str, list[int]]:
    """The text that words are compared with, and for each of its characters the index of its source in `value`.

    The same as `search.normalise` of the application database, except that separators stay one blank each.
    """
    made: list[str] = []
    sources: list[int] = []
    for index, character in enumerate(value):
        for part in unicodedata.normalize("NFKD", character):
            if ord(part) in _MARKS:
                continue
            lowered = "d" if part in "đĐ" else part.lower()
            for one in lowered if part.isalnum() else " ":
                made.append(one)
                sources.append(index)
    return "".join(made), sources


def words_of(texts: Sequence[str]) -> tuple[str, ...]:
    """The normalised words of a search, the longest first, so that it is the longest match that counts."""
    words = {word for text in texts for word in normalise(text)[0].split()}
    return tuple(sorted(words, key=lambda word: (-len(word), word)))


def highlights(row: Mapping[str, Any], texts: Sequence[str]) -> list[Highlight]:
    """Where the words of `texts` begin words of `row`, a found application as its caller sees it."""
    words = words_of(texts)
    found = [
        Highlight(field, start, end)
        for field in FIELDS
        if row[field] is not None
        for start, end in _matches(row[field], words)
    ]
    lengths = [
        len(prefix) for text in texts if (prefix := id_prefix(text)) and str(row["id"]).startswith(prefix)
    ]
    return [Highlight("id", 0, max(lengths)), *found] if lengths else found


def _matches(value: str, words: Sequence[str]) -> Iterator[tuple[int, int]]:
    text, sources = normalise(value)
    for at in range(len(text)):
        if text[at] == " " or (at and text[at - 1] != " "):
            continue
        word = next((one for one in words if text.startswith(one, at)), None)
        if word is not None:
            behind = at + len(word)
            end = sources[behind - 1] + 1
            # Marks that are characters of their own belong to the letter before them.
            while end < len(value) and ord(value[end]) in _MARKS:
                end += 1
            yield sources[at], end
