import unicodedata
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.search.highlights import Highlight, highlights, normalise

ROW: dict[str, Any] = {
    "id": UUID("0a1b2c3d-0000-4000-8000-000000000000"),
    "borrower_name": "Nguyễn Văn Đạt",
    "purpose": "car (new)",
}


def marked(value: str, *texts: str) -> list[str]:
    return [value[one.start : one.end] for one in highlights({**ROW, "borrower_name": value}, texts)]


@pytest.mark.parametrize(
    ("value", "texts", "parts"),
    [
        ("Nguyễn Văn Đạt", ("ngu",), ["Ngu"]),
        ("Nguyễn Văn Đạt", ("nguyen",), ["Nguyễn"]),
        ("Nguyễn Văn Đạt", ("NGUYỄN", "dat"), ["Nguyễn", "Đạt"]),
        ("Nguyễn Văn Đạt", ("guyen",), []),
        # The marks as characters of their own: they belong to the letter before them.
        (unicodedata.normalize("NFD", "Nguyễn Văn"), ("nguye",), [unicodedata.normalize("NFD", "Nguyễ")]),
        ("O'Brien & Sons", ("O'Brien",), ["O", "Brien"]),
        ("Anna An", ("an", "anna"), ["Anna", "An"]),
        ("ﬁne", ("f",), ["ﬁ"]),
        ("Straße 7", ("7",), ["7"]),
        ("x", ("&|!",), []),
        ("", ("a",), []),
    ],
)
def test_what_begins_with_a_word_is_marked(value: str, texts: tuple[str, ...], parts: list[str]) -> None:
    assert marked(value, *texts) == parts


def test_each_field_that_is_seen_is_marked() -> None:
    found = highlights(ROW, ("0a1b2", "car", "van"))
    assert found == [
        Highlight("id", 0, 5),
        Highlight("borrower_name", 7, 10),
        Highlight("purpose", 0, 3),
    ]


def test_a_hidden_name_is_not_marked() -> None:
    assert highlights({**ROW, "borrower_name": None}, ("nguyen",)) == []


@given(st.text(max_size=40), st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=4))
def test_parts_lie_within_the_value_in_order_and_begin_with_a_word(value: str, texts: list[str]) -> None:
    row = {**ROW, "borrower_name": value, "purpose": ""}
    behind = 0
    words = {word for text in texts for word in normalise(text)[0].split()}
    for one in highlights(row, texts):
        if one.field == "id":
            continue
        assert behind <= one.start < one.end <= len(value)
        behind = one.end - 1
        assert any(word in normalise(value[one.start : one.end])[0] for word in words)
