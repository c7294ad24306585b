"""Values of requests: one spelling each, and what they are stored as."""

# ruff: noqa: RUF001 - characters that look like others are what this is about

from __future__ import annotations

import json
import sys
import unicodedata
from datetime import date
from decimal import Decimal
from typing import Annotated, Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from services.chassis.characters import line, lines, utf16_length
from services.chassis.web.input.json_body import InvalidJson, parse_json
from services.chassis.web.input.strict import (
    Amount,
    AmountOrZero,
    Day,
    Flag,
    FlagText,
    Identifier,
    Instant,
    Label,
    Name,
    Reference,
    Remark,
    Whole,
    WholeText,
    Words,
    reference_key,
)

NAME = TypeAdapter(Annotated[str, Name(200)])
LABEL = TypeAdapter(Annotated[str, Label(64)])
REMARK = TypeAdapter(Annotated[str, Remark(1000)])
REFERENCE = TypeAdapter(Annotated[str, Reference(32)])
WORDS = TypeAdapter(Annotated[str, Words(100)])


def refuses(adapter: TypeAdapter[Any], value: object) -> bool:
    try:
        adapter.validate_python(value)
    except ValidationError:
        return True
    return False


@pytest.mark.parametrize(
    ("type_", "taken", "refused"),
    [
        (
            Day,
            ["2026-01-31", "2024-02-29", "0001-01-01"],
            [0, 1795910400, "0", "1795910400", 0.0, True, "2026-02-30", "20260131", "2026-1-1", " 2026-01-31",
             "2026-01-31T00:00:00", "2026-01-31\n", "2026-W05-6", "2026-031", "\u0662\u0660\u0662\u0666-01-31", "", []],
        ),
        (
            Instant,
            ["2026-01-31T09:30:00Z", "2026-01-31T09:30+05:45", "2026-01-31T09:30:00.123456-12:00"],
            [0, "0", "1795910400", "2026-01-31", "2026-01-31T09:30:00", "2026-01-31 09:30:00Z", "2026-01-31T24:00:00Z",
             "2026-01-31T09:30:00+99:00", "1899-12-31T00:00:00Z", "0001-01-01T00:00:00+14:00",
             "9999-12-31T23:59:59-14:00", "now"],
        ),
        (Flag, [True, False], ["true", "false", 1, 0, 1.0, "yes", "", None, Decimal(1)]),
        (FlagText, ["true", "false"], ["True", "1", "0", "yes", "on", "t", "", " true"]),
        (Whole, [0, -5, 10**8], ["1", 1.0, Decimal("1.0"), True, False, None, "\uff11"]),
        (WholeText, ["0", "17"], ["+1", "-1", "01", " 1", "1 ", "1_0", "1.0", "1e1", "\uff11", "", "1" * 10]),
        (
            Identifier,
            ["0197a2a0-0000-7000-8000-00000000dead", "0197A2A0-0000-7000-8000-00000000DEAD"],
            ["0197a2a0000070008000-00000000dead", "{0197a2a0-0000-7000-8000-00000000dead}", 5, "x",
             "urn:uuid:0197a2a0-0000-7000-8000-00000000dead", "0197a2a0000070008000000000000dead", b"0123456789abcdef"],
        ),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)  # fmt: skip
def test_a_value_has_one_spelling(type_: Any, taken: list[object], refused: list[object]) -> None:
    adapter = TypeAdapter(type_)
    for value in taken:
        assert not refuses(adapter, value), value
    for value in refused:
        assert refuses(adapter, value), value


AMOUNTS = [
    ("1200.50", "1200.5000"),
    ("0.0001", "0.0001"),
    ("999999999999999.9999", "999999999999999.9999"),
    (5, "5.0000"),
]
NO_AMOUNTS = [
    "", " ", "1 ", " 1", "+1", "-1", "\u22121", "1e3", "1E3", "1.", ".5", "01", "00.5", "1,5", "1.000,00", "1'000",
    "1_000",
    "0x10", "NaN", "nan", "Infinity", "-Infinity", "inf", "\uff11", "\u0661", "1\u00a0000", "\u00bd", "1.00001",
    "1" * 16,
    "1000000000000000", "1.5\n", "$1", True, False, None, [], {}, 1.5, float("nan"), float("inf"), -5, 10**15,
]  # fmt: skip


@pytest.mark.parametrize(("value", "stored"), AMOUNTS)
def test_an_amount_is_exact(value: object, stored: str) -> None:
    assert str(TypeAdapter(Amount).validate_python(value)) == stored


@pytest.mark.parametrize("value", [*NO_AMOUNTS, "0", "0.0", "0.0000", 0])
def test_what_is_no_amount_is_refused(value: object) -> None:
    assert refuses(TypeAdapter(Amount), value)
    assert refuses(TypeAdapter(AmountOrZero), value) or not value or Decimal(str(value)) == 0


@pytest.mark.parametrize(
    ("literal", "stored"),
    [
        ("1169.5", "1169.5000"),
        ("1169.00", "1169.0000"),
        ("0.1", "0.1000"),
        ("1200", "1200.0000"),
        # A float would have lost what is wrong with these.
        ("1169.50000000000000001", None),
        ("0.10000000000000000555", None),
        ("1e3", None),
        ("1.5E2", None),
        ("1e-2", None),
        ("-0.0", None),
        ("1e400", None),
        ("123456789012345678901234567890", None),
    ],
)
def test_a_json_number_is_taken_as_it_is_written(literal: str, stored: str | None) -> None:
    try:
        value = parse_json(literal.encode())
        found = str(TypeAdapter(Amount).validate_python(value))
    except (ValueError, InvalidJson):
        found = None
    assert found == stored


INVISIBLE = [
    "\u200b", "\u200c", "\u200d", "\u200e", "\u2060", "\u2061", "\ufeff", "\u00ad", "\u034f", "\u061c", "\u115f",
    "\u1160",
    "\u17b4", "\u180e", "\u2800", "\u3164", "\uffa0", "\ufe0f", "\ufe00", "\U000e0100", "\U000e0020", "\U000e0001",
    "\U0001d173", "\u2028", "\u2029", "\u0085", "\u0000", "\u001b", "\u007f", "\n", "\t", "\r",
]  # fmt: skip
BIDI = [chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200F)]
UNASSIGNED = ["\ue000", "\uffff", "\ufdd0", "\U000f0000", "\u0378", "\ud800", "\udfff"]


@pytest.mark.parametrize("character", [*INVISIBLE, *BIDI, *UNASSIGNED], ids=lambda one: f"U+{ord(one):04X}")
@pytest.mark.parametrize(
    "adapter", [NAME, LABEL, WORDS, REFERENCE], ids=["name", "label", "words", "reference"]
)
def test_what_nobody_sees_is_refused_in_a_line(adapter: TypeAdapter[Any], character: str) -> None:
    assert refuses(adapter, f"An{character}na")
    # At its ends too: trimming is for blanks.
    assert refuses(adapter, f"{character}Anna")
    assert refuses(adapter, f"Anna{character}")
    if adapter is not WORDS:
        assert refuses(adapter, character)


@pytest.mark.parametrize(
    "character", [*BIDI, *UNASSIGNED, "\u200b", "\u0000", "\u001b"], ids=lambda one: f"U+{ord(one):04X}"
)
def test_what_nobody_sees_is_refused_in_a_remark(character: str) -> None:
    assert refuses(REMARK, f"a{character}b")


@pytest.mark.parametrize(
    "text", ["", " ", "\u00a0", "\u3000", "12", "--", "!", "\U0001f600", "\u0301", "a" + "\u0301" * 6]
)
def test_a_name_has_a_letter_and_no_tower_of_marks(text: str) -> None:
    assert refuses(NAME, text)


@pytest.mark.parametrize(
    "text",
    [
        "Nguyễn Thị Ánh Tuyết", "Jean-Luc O’Neill", "Łukasz Żak", "Çağrı", "李小龍", "葛\U000e0100城", "김철수",
        "محمد بن سلمان", "علی\u200cرضا", "शर्मा", "क्\u200dष", "สมชาย", "Ἀριστοτέλης", "Ødegård", "D'Arcy 3rd",
        "X Æ A-12",
    ],
)  # fmt: skip
def test_names_of_people_are_taken_as_they_are(text: str) -> None:
    assert NAME.validate_python(text) == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("  Trần\u00a0Thị \u3000 Bình ", "Trần Thị Bình"),
        (unicodedata.normalize("NFD", "Nguyễn Ánh"), "Nguyễn Ánh"),
        ("\u212bngström", "Ångström"),
    ],
)
def test_a_name_is_normalised(text: str, stored: str) -> None:
    assert NAME.validate_python(text) == stored
    assert line(stored) == stored


def test_a_text_fits_the_columns_of_both_engines() -> None:
    assert not refuses(NAME, "x" * 200)
    assert refuses(NAME, "x" * 201)
    # Two places each on SQL Server.
    assert not refuses(NAME, "\U00010400" * 100)
    assert refuses(NAME, "\U00010400" * 101)
    # Three characters when composed as Unicode prescribes.
    assert refuses(NAME, "\ufb2c" * 70)


def test_a_remark_keeps_its_lines() -> None:
    assert REMARK.validate_python(" one \r\n\r\ntwo\n\n") == "one\n\ntwo"
    assert REMARK.validate_python("") == ""
    assert lines("a\nb") == "a\nb"


@pytest.mark.parametrize(
    ("number", "stored", "key"),
    [
        ("sample-000001", "SAMPLE-000001", "SAMPLE000001"),
        ("\uff21\uff22 123/4.5", "AB 123/4.5", "AB12345"),
        (" 123  456 ", "123 456", "123456"),
        ("ΑΒ 123456", "ΑΒ 123456", "ΑΒ123456"),
    ],
)
def test_a_reference_has_a_key_without_case_width_and_separators(number: str, stored: str, key: str) -> None:
    assert REFERENCE.validate_python(number) == stored
    assert reference_key(number) == reference_key(stored) == key


@pytest.mark.parametrize("number", ["", "-", " . / ", "12#4", "\u0661\u0662", "a_b", "<b>", "1" * 33])
def test_what_is_no_reference_is_refused(number: str) -> None:
    assert refuses(REFERENCE, number)


CHARACTERS = st.text(st.characters(), max_size=40)


@given(CHARACTERS)
def test_what_is_taken_is_normalised_for_good_and_can_be_stored(text: str) -> None:
    for adapter, longest in ((NAME, 200), (LABEL, 64), (REMARK, 1000), (WORDS, 100), (REFERENCE, 32)):
        if refuses(adapter, text):
            continue
        stored = adapter.validate_python(text)
        assert adapter.validate_python(stored) == stored
        assert stored == unicodedata.normalize("NFC", stored).strip()
        assert utf16_length(stored) <= longest
        assert "\u0000" not in stored
        stored.encode()


def test_every_category_of_unicode_is_taken_or_refused_on_purpose() -> None:
    refused = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    blank = 0
    for code in range(sys.maxunicode + 1):
        one = chr(code)
        category = unicodedata.category(one)
        if category in refused or unicodedata.normalize("NFC", one) != one:
            continue
        blank += refuses(NAME, f"A{one}b")
    # The fillers, and the variation selectors, which stand on a Latin letter here.
    assert 256 < blank < 275


@pytest.mark.parametrize(
    "adapter", [TypeAdapter(Amount), TypeAdapter(AmountOrZero)], ids=["above 0", "from 0"]
)
@pytest.mark.parametrize("value", [*(value for value, _ in AMOUNTS), *NO_AMOUNTS, "0", "0.0", "0.0000"])
def test_the_schema_of_an_amount_takes_what_the_type_takes(adapter: TypeAdapter[Any], value: object) -> None:
    if isinstance(value, float) or value == "1.5\n":
        # No value of JSON, or a number that the parser gives exactly; and $ of Python is before a line feed too.
        return
    schema = jsonschema.Draft202012Validator(adapter.json_schema())
    assert schema.is_valid(json.loads(json.dumps(value))) != refuses(adapter, value)


@pytest.mark.parametrize("type_", [Day, Instant, Identifier])
@pytest.mark.parametrize("value", ["", "0", "2026-1-1", "now", 0, None, True, "\uff11"])
def test_the_schemas_refuse_what_the_types_refuse(type_: Any, value: object) -> None:
    adapter = TypeAdapter(type_)
    assert refuses(adapter, value)
    assert not jsonschema.Draft202012Validator(adapter.json_schema()).is_valid(value)


@pytest.mark.parametrize("adapter", [NAME, LABEL, REMARK, WORDS, REFERENCE])
def test_what_is_wrong_is_said_without_the_value(adapter: TypeAdapter[Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        adapter.validate_python("Secret\u202eName")
    assert "Secret" not in caught.value.errors(include_input=False)[0]["msg"]


def test_a_day_may_come_as_one() -> None:
    assert TypeAdapter(Day).validate_python(date(2026, 1, 31)) == date(2026, 1, 31)
