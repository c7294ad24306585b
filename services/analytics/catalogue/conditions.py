"""Conditions on the rows of a table, as the files of the catalogue write them.

A file never holds SQL. It holds a condition of this grammar, which becomes a tree, and then an expression with bound
values:

    condition  = all { "or" all }
    all        = one { "and" one }
    one        = "not" one | "(" condition ")" | column test
    test       = operator value | "in" "(" value { "," value } ")" | "is" [ "not" ] "null"
    operator   = "=" | "<>" | "<" | "<=" | ">" | ">="
    value      = text in quotes | number | date | ":" parameter

Text stands in single quotes, a quote within it is doubled. A date is 2026-01-31. A parameter is what is asked for,
such as :as_of or :currency (parameters.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Literal, TypeAlias

from services.analytics.catalogue.errors import InvalidCondition

Operator = Literal["=", "<>", "<", "<=", ">", ">="]


class Kind(StrEnum):
    """What the values of a column or parameter are."""

    TEXT = "text"
    INTEGER = "integer"
    DECIMAL = "decimal"
    DATE = "date"
    INSTANT = "instant"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value that is known when a question is asked."""

    name: str


Value: TypeAlias = str | int | Decimal | date | Parameter
"""A literal or a parameter. A date is no datetime."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A column compared with one value."""

    column: str
    operator: Operator
    value: Value


@dataclass(frozen=True, slots=True)
class OneOf:
    """A column that has one of some values."""

    column: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class IsNull:
    """A column without a value."""

    column: str


@dataclass(frozen=True, slots=True)
class IsNotNull:
    """A column with a value."""

    column: str


@dataclass(frozen=True, slots=True)
class Not:
    """What does not hold."""

    condition: Condition


@dataclass(frozen=True, slots=True)
class All:
    """Two or more conditions that hold together."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Any:
    """Two or more conditions of which one holds."""

    conditions: tuple[Condition, ...]


Condition: TypeAlias = Comparison | OneOf | IsNull | IsNotNull | Not | All | Any


def written(condition: Condition) -> str:
    """Write a condition as a file may hold it; parsing it gives the same tree."""
    match condition:
        case Comparison(column, operator, value):
            return f"{column} {operator} {_written_value(value)}"
        case OneOf(column, values):
            return f"{column} in ({', '.join(_written_value(value) for value in values)})"
        case IsNull(column):
            return f"{column} is null"
        case IsNotNull(column):
            return f"{column} is not null"
        case Not(inner):
            return f"not {_within(inner, All, Any)}"
        case All(conditions):
            return " and ".join(_within(one, All, Any) for one in conditions)
        case Any(conditions):
            # `and` binds closer, so that only another `or` needs parentheses.
            return " or ".join(_within(one, Any) for one in conditions)


def _within(condition: Condition, *enclosed: type) -> str:
    text = written(condition)
    return f"({text})" if isinstance(condition, enclosed) else text


def _written_value(value: Value) -> str:
    match value:
        case Parameter(name):
            return f":{name}"
        case str():
            return "'" + value.replace("'", "''") + "'"
        case date():
            return value.isoformat()
        case Decimal():
            return f"{value:f}"
        case int():
            return str(value)


def comparisons(condition: Condition) -> Iterator[tuple[str, Value | None]]:
    """Every column of a condition with each value that it is compared with; None where it is compared with none."""
    match condition:
        case Comparison(column, _, value):
            yield column, value
        case OneOf(column, values):
            for value in values:
                yield column, value
        case IsNull(column) | IsNotNull(column):
            yield column, None
        case Not(inner):
            yield from comparisons(inner)
        case All(conditions) | Any(conditions):
            for one in conditions:
                yield from comparisons(one)


def always(condition: Condition) -> tuple[Condition, ...]:
    """The conditions that hold of every row: the parts of an `and`, or the condition itself."""
    return condition.conditions if isinstance(condition, All) else (condition,)


def kind_of(value: str | int | Decimal | date) -> Kind:
    """What a literal is."""
    match value:
        case str():
            return Kind.TEXT
        case date():
            return Kind.DATE
        case int():
            return Kind.INTEGER
        case Decimal():
            return Kind.DECIMAL


def check_kinds(
    condition: Condition, table: str, columns: Mapping[str, Kind], parameters: Mapping[str, Kind]
) -> None:
    """Check a condition against the columns of `table` and the parameters there are.

    Raises:
        InvalidCondition: a column or parameter is unknown, or a value is of another kind than its column.
    """
    for column, value in comparisons(condition):
        if column not in columns:
            raise InvalidCondition(f"{table} has no column {column!r} for conditions")
        if value is None:
            continue
        if isinstance(value, Parameter):
            if value.name not in parameters:
                known = ", ".join(sorted(parameters))
                raise InvalidCondition(f"there is no parameter :{value.name}; there are: {known}")
            kind = parameters[value.name]
        else:
            kind = kind_of(value)
        if kind is not columns[column] and (kind, columns[column]) != (Kind.INTEGER, Kind.DECIMAL):
            raise InvalidCondition(
                f"{column} is of kind {columns[column]}, and {_written_value(value)} is of kind {kind}"
            )
