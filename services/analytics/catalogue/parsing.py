"""Parses conditions by recursive descent; a fault is told with its position and what was expected there."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import cast

from services.analytics.catalogue.conditions import (
    All,
    Any,
    Comparison,
    Condition,
    IsNotNull,
    IsNull,
    Not,
    OneOf,
    Operator,
    Parameter,
    Value,
)
from services.analytics.catalogue.errors import InvalidCondition

LONGEST = 2_000
"""Characters of one condition."""
DEEPEST = 20
"""Parentheses and `not` within each other: far below where Python would stop with an error of its own."""
WORDS = frozenset({"and", "or", "not", "in", "is", "null"})

_TOKENS = re.compile(
    r"""(?P<space>\s+)
    | (?P<text>'(?:[^']|'')*')
    | (?P<date>\d{4}-\d{2}-\d{2}(?![\w.-]))
    | (?P<number>-?\d{1,15}(?:\.\d{1,4})?(?![\w.]))
    | (?P<parameter>:[a-z][a-z0-9_]{0,62}(?!\w))
    | (?P<name>[a-z][a-z0-9_]{0,62}(?!\w))
    | (?P<operator><>|<=|>=|=|<|>)
    | (?P<sign>[(),])""",
    re.VERBOSE | re.ASCII,
)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    position: int

    def told(self) -> str:
        return "the end" if self.kind == "end" else repr(self.text)


def parse(text: str) -> Condition:
    """Parse a condition.

    Raises:
        InvalidCondition: it is not of the grammar; positions count from 1.
    """
    if len(text) > LONGEST:
        raise InvalidCondition(f"it has {len(text)} characters; at most {LONGEST} are read")
    return _Parser(_tokens(text)).whole()


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    position = 0
    while position < len(text):
        match = _TOKENS.match(text, position)
        if match is None:
            raise InvalidCondition(
                f"position {position + 1}: expected a column, a value, an operator or a parenthesis, "
                f"found {text[position : position + 12]!r}"
            )
        kind, part = str(match.lastgroup), match.group()
        # What is written here goes to two databases and into messages: one line of text that both can hold.
        if kind == "text" and not part.isprintable():
            raise InvalidCondition(f"position {position + 1}: expected text of printable characters")
        if kind != "space":
            found.append(_Token("word" if part in WORDS else kind, part, position + 1))
        position = match.end()
    found.append(_Token("end", "", len(text) + 1))
    return found


class _Parser:
    """Reads tokens from the left, one function a rule of the grammar."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._next = 0
        self._depth = 0

    def whole(self) -> Condition:
        condition = self._any()
        if self._token.kind != "end":
            raise self._expected("'and', 'or' or the end")
        return condition

    @property
    def _token(self) -> _Token:
        return self._tokens[self._next]

    def _expected(self, what: str) -> InvalidCondition:
        return InvalidCondition(
            f"position {self._token.position}: expected {what}, found {self._token.told()}"
        )

    def _take(self) -> _Token:
        token = self._token
        self._next += 1
        return token

    def _taken(self, text: str) -> bool:
        if self._token.kind in {"word", "sign"} and self._token.text == text:
            self._next += 1
            return True
        return False

    def _require(self, text: str) -> None:
        if not self._taken(text):
            raise self._expected(repr(text))

    def _any(self) -> Condition:
        parts = self._joined("or", self._all)
        return parts[0] if len(parts) == 1 else Any(parts)

    def _all(self) -> Condition:
        parts = self._joined("and", self._one)
        return parts[0] if len(parts) == 1 else All(parts)

    def _joined(self, word: str, part: Callable[[], Condition]) -> tuple[Condition, ...]:
        found = [part()]
        while self._taken(word):
            found.append(part())
        return tuple(found)

    def _one(self) -> Condition:
        if self._token.text in {"not", "("} and self._token.kind != "text":
            self._depth += 1
            if self._depth > DEEPEST:
                raise InvalidCondition(
                    f"position {self._token.position}: expected at most {DEEPEST} of 'not' and '(' within each other"
                )
            condition = self._not() if self._taken("not") else self._enclosed()
            self._depth -= 1
            return condition
        if self._token.kind != "name":
            raise self._expected("a column, 'not' or '('")
        return self._test(self._take().text)

    def _not(self) -> Condition:
        return Not(self._one())

    def _enclosed(self) -> Condition:
        self._require("(")
        condition = self._any()
        self._require(")")
        return condition

    def _test(self, column: str) -> Condition:
        if self._token.kind == "operator":
            return Comparison(column, cast("Operator", self._take().text), self._value())
        if self._taken("in"):
            self._require("(")
            values = [self._value()]
            while self._taken(","):
                values.append(self._value())
            self._require(")")
            return OneOf(column, tuple(values))
        if self._taken("is"):
            negated = self._taken("not")
            self._require("null")
            return IsNotNull(column) if negated else IsNull(column)
        raise self._expected("=, <>, <, <=, >, >=, 'in' or 'is'")

    def _value(self) -> Value:
        token = self._token
        match token.kind:
            case "text":
                value: Value = token.text[1:-1].replace("''", "'")
            case "number":
                value = Decimal(token.text) if "." in token.text else int(token.text)
            case "date":
                try:
                    value = date.fromisoformat(token.text)
                except ValueError:
                    raise self._expected("a day of the calendar") from None
            case "parameter":
                value = Parameter(token.text[1:])
            case _:
                raise self._expected("a text in quotes, a number, a date or a :parameter")
        self._next += 1
        return value
