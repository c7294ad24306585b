"""The words that a mistyped word may stand for."""

from __future__ import annotations

import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.search.spelling.domain import MOST_NEAR, Dictionary, typing_errors

NAMES = Dictionary(
    [
        "albrecht",
        "bauer",
        "brand",
        "brandt",
        "dietrich",
        "hoffmann",
        "kruger",
        "le",
        "muller",
        "nguyen",
        "schafer",
    ]
)
WORDS = st.text("abcde", min_size=1, max_size=9)


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("nguyne", ["nguyen"]),  # two neighbours exchanged are one error
        ("ngyen", ["nguyen"]),
        ("nguyeen", ["nguyen"]),
        ("mullar", ["muller"]),
        ("mulalr", []),  # two errors in a word of six letters
        ("albrehct", ["albrecht"]),
        ("allbrehct", ["albrecht"]),
        ("abrehct", []),  # seven letters, two errors
        ("brend", ["brand"]),
        ("brand", []),  # it and brandt begin with the word: found without a correction
        ("brnadt", ["brandt"]),
        ("la", []),  # too short
        ("lee", []),
        ("", []),
    ],
)
def test_a_word_with_few_typing_errors_is_recognised(word: str, meant: list[str]) -> None:
    assert NAMES.meant(word) == meant


def test_the_closest_words_come_first_and_no_more_than_some() -> None:
    near = Dictionary(
        f"schmidt{one}{other}" for one in string.ascii_lowercase for other in string.ascii_lowercase
    )
    meant = near.meant("schmidtäö")
    assert len(meant) == MOST_NEAR
    assert near.meant("schmitdaa")[0] == "schmidtaa"


def distance(one: str, other: str) -> int:
    """The optimal string alignment distance by its recurrence."""
    rows = [[i + j if not i or not j else 0 for j in range(len(other) + 1)] for i in range(len(one) + 1)]
    for i in range(1, len(one) + 1):
        for j in range(1, len(other) + 1):
            least = min(
                rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + (one[i - 1] != other[j - 1])
            )
            if i > 1 and j > 1 and one[i - 1] == other[j - 2] and one[i - 2] == other[j - 1]:
                least = min(least, rows[i - 2][j - 2] + 1)
            rows[i][j] = least
    return rows[-1][-1]


@given(st.lists(WORDS, max_size=10), WORDS)
def test_what_is_meant_is_what_the_definition_says(words: list[str], word: str) -> None:
    wanted = {
        other
        for other in words
        if typing_errors(word) and distance(word, other) <= typing_errors(word) and not other.startswith(word)
    }
    assert set(Dictionary(words).meant(word)) == wanted


def test_a_large_dictionary_gives_what_a_small_one_gives() -> None:
    chance = random.Random(14)
    words = {"".join(chance.choices("abcdefghij", k=chance.randint(3, 11))) for _ in range(5_000)}
    large = Dictionary(words)
    assert len(large) == len(words)
    for word in chance.sample(sorted(words), 20):
        typed = word[1] + word[0] + word[2:]
        near = {other for other in words if distance(typed, other) <= typing_errors(typed)}
        found = large.meant(typed)
        assert set(found) <= near
        assert len(found) == min(MOST_NEAR, sum(not other.startswith(typed) for other in near)) * bool(
            typing_errors(typed)
        )
