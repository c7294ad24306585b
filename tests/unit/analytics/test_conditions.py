"""The grammar of conditions: what it takes comes back the same, what it refuses is told with its position."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.analytics.catalogue.conditions import (
    All,
    Any,
    Comparison,
    Condition,
    IsNotNull,
    IsNull,
    Kind,
    Not,
    OneOf,
    Parameter,
    Value,
    check_kinds,
    comparisons,
    written,
)
from services.analytics.catalogue.errors import InvalidCondition
from services.analytics.catalogue.parsing import DEEPEST, LONGEST, WORDS, parse

COLUMNS = {
    "status": Kind.TEXT,
    "days": Kind.INTEGER,
    "amount": Kind.DECIMAL,
    "day": Kind.DATE,
    "at": Kind.INSTANT,
}

names = st.from_regex(r"[a-z][a-z0-9_]{0,10}", fullmatch=True).filter(lambda name: name not in WORDS)
texts = st.text(max_size=10).filter(str.isprintable)
values: st.SearchStrategy[Value] = st.one_of(
    texts,
    st.integers(-(10**15) + 1, 10**15 - 1),
    st.decimals(-(10**9), 10**9, places=3, allow_nan=False),
    st.dates(),
    st.builds(Parameter, names),
)
leaves = st.one_of(
    st.builds(Comparison, names, st.sampled_from(["=", "<>", "<", "<=", ">", ">="]), values),
    st.builds(OneOf, names, st.lists(values, min_size=1, max_size=3).map(tuple)),
    st.builds(IsNull, names),
    st.builds(IsNotNull, names),
)
trees: st.SearchStrategy[Condition] = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(All, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(Any, st.lists(inner, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=6,
)


@settings(deadline=None)
@given(trees)
def test_a_tree_written_and_parsed_is_the_same_tree(tree: Condition) -> None:
    assert parse(written(tree)) == tree


def test_and_binds_closer_than_or_and_not_closer_than_both() -> None:
    assert parse("not a = 1 and b = 2 or c = 3") == Any(
        (All((Not(Comparison("a", "=", 1)), Comparison("b", "=", 2))), Comparison("c", "=", 3))
    )
    assert parse("a = 1 and (b = 2 or c = 3)") == All(
        (Comparison("a", "=", 1), Any((Comparison("b", "=", 2), Comparison("c", "=", 3))))
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a = 'it''s'", "it's"),
        ("a = ''", ""),
        ("a = 'Hà Nội'", "Hà Nội"),
        ("a = -7", -7),
        ("a = 0.10", Decimal("0.10")),
        ("a = 2024-02-29", date(2024, 2, 29)),
        ("a = :as_of", Parameter("as_of")),
        ("a\n =  'and'", "and"),
    ],
)
def test_values(text: str, value: Value) -> None:
    assert parse(text) == Comparison("a", "=", value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "position 1: expected a column, 'not' or '(', found the end"),
        ("a", "position 2: expected =, <>, <, <=, >, >=, 'in' or 'is', found the end"),
        ("a =", "position 4: expected a text in quotes, a number, a date or a :parameter, found the end"),
        ("a = b", "position 5: expected a text in quotes, a number, a date or a :parameter, found 'b'"),
        ("a = 1 b = 2", "position 7: expected 'and', 'or' or the end, found 'b'"),
        ("a = 1 and", "position 10: expected a column, 'not' or '(', found the end"),
        ("(a = 1", "position 7: expected ')', found the end"),
        ("a = 1)", "position 6: expected 'and', 'or' or the end, found ')'"),
        ("a in ()", "position 7: expected a text in quotes, a number, a date or a :parameter, found ')'"),
        ("a in 1", "position 6: expected '(', found '1'"),
        ("a is 1", "position 6: expected 'null', found '1'"),
        ("a = 2026-02-30", "position 5: expected a day of the calendar, found '2026-02-30'"),
        ("a = 'x", "position 5: expected a column, a value, an operator or a parenthesis, found \"'x\""),
        ("a == 1", "position 4: expected a text in quotes, a number, a date or a :parameter, found '='"),
        ("a = 1; drop", "position 6: expected a column, a value, an operator or a parenthesis, found '; drop'"),
        ("a = 1 -- b", "position 7: expected a column, a value, an operator or a parenthesis, found '-- b'"),
        ("A = 1", "position 1: expected a column, a value, an operator or a parenthesis, found 'A = 1'"),
        ("a.b = 1", "position 2: expected a column, a value, an operator or a parenthesis, found '.b = 1'"),
        ("a = lower('x')", "position 5: expected a text in quotes, a number, a date or a :parameter, found 'lower'"),
        ("a = 1.23456", "position 5: expected a column, a value, an operator or a parenthesis, found '1.23456'"),
        ("a = 'x\x00'", "position 5: expected text of printable characters"),
        ("a = '\ud800'", "position 5: expected text of printable characters"),
        ("null = 1", "position 1: expected a column, 'not' or '(', found 'null'"),
    ],
)  # fmt: skip
def test_what_is_not_of_the_grammar_is_told_with_its_position(text: str, message: str) -> None:
    with pytest.raises(InvalidCondition) as raised:
        parse(text)
    assert str(raised.value) == message


@settings(deadline=None)
@given(st.text(alphabet="ab=<>():,'0123 andornotisull\n-.;", max_size=40))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        tree = parse(text)
    except InvalidCondition:
        return
    assert parse(written(tree)) == tree


def test_the_size_of_a_condition_is_limited() -> None:
    deepest = "(" * DEEPEST + "a = 1" + ")" * DEEPEST
    assert parse(deepest) == Comparison("a", "=", 1)
    with pytest.raises(InvalidCondition, match=f"position {DEEPEST + 4}: expected at most {DEEPEST} of"):
        parse(f"not {deepest}")
    with pytest.raises(InvalidCondition, match=f"at most {LONGEST} are read"):
        parse("a = 1 " + " " * LONGEST)


@pytest.mark.parametrize(
    "text", ["status = 'open'", "days > 30", "amount >= 1", "amount < 0.5", "day = 2026-01-31", "at >= :end"]
)
def test_a_value_of_the_columns_kind_fits(text: str) -> None:
    check_kinds(parse(text), "dm.fact", COLUMNS, {"end": Kind.INSTANT})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gone = 1", "dm.fact has no column 'gone' for conditions"),
        ("not (gone is null)", "dm.fact has no column 'gone' for conditions"),
        ("status = 1", "status is of kind text, and 1 is of kind integer"),
        ("days = 1.5", "days is of kind integer, and 1.5 is of kind decimal"),
        ("days in (1, 'x')", "days is of kind integer, and 'x' is of kind text"),
        ("day = 'today'", "day is of kind date, and 'today' is of kind text"),
        ("at > 2026-01-31", "at is of kind instant, and 2026-01-31 is of kind date"),
        ("day > :end", "day is of kind date, and :end is of kind instant"),
        ("day > :start", "there is no parameter :start; there are: end"),
    ],
)
def test_a_value_of_another_kind_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidCondition) as raised:
        check_kinds(parse(text), "dm.fact", COLUMNS, {"end": Kind.INSTANT})
    assert str(raised.value) == message


def test_every_column_of_a_tree_is_looked_at() -> None:
    tree = parse("a = 1 and (b is null or not c in (2, 3)) and d is not null")
    assert list(comparisons(tree)) == [("a", 1), ("b", None), ("c", 2), ("c", 3), ("d", None)]
