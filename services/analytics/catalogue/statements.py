"""Statements on the rows behind a part of a KPI, for PostgreSQL and SQL Server; every value is bound."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any as Anything

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles

from services.analytics.catalogue import conditions
from services.analytics.catalogue.columns import FACTS
from services.analytics.catalogue.conditions import Condition, Kind, Parameter
from services.analytics.catalogue.errors import UnknownMember
from services.analytics.catalogue.model import WHOLE, Dimension, Kpi, Part
from services.analytics.catalogue.parameters import Known
from services.lake.types import UtcDateTime, code

_TYPES: Mapping[Kind, Anything] = {
    Kind.TEXT: code(64),
    Kind.INTEGER: sa.BigInteger(),
    Kind.DECIMAL: sa.Numeric(38, 10),
    Kind.DATE: sa.Date(),
    Kind.INSTANT: UtcDateTime(),
}
_APPLICATIONS = "dm.fact_decision"
_OPERATORS: Mapping[conditions.Operator, Callable[[Anything, Anything], sa.ColumnElement[bool]]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True)
class Slice:
    """What of a KPI is asked for: the parameters of its point, and the member of a dimension.

    `dimension` is one of the KPI's. `member` is `all` where the dimension does not narrow the rows.
    """

    parameters: Known
    dimension: str = WHOLE
    member: str = WHOLE


class days_between(sa.sql.functions.GenericFunction[int]):  # noqa: N801 - the name of a function of SQL
    """The days from one day to another."""

    type = sa.BigInteger()
    inherit_cache = True


@compiles(days_between)
def _days_on_postgresql(element: days_between, compiler: Anything, **options: Anything) -> str:
    first, second = (compiler.process(one, **options) for one in element.clauses)
    return f"CAST({second} - {first} AS BIGINT)"


@compiles(days_between, "mssql")
def _days_on_sqlserver(element: days_between, compiler: Anything, **options: Anything) -> str:
    first, second = (compiler.process(one, **options) for one in element.clauses)
    return f"CAST(DATEDIFF(day, {first}, {second}) AS BIGINT)"


def fact(name: str, alias: str) -> sa.FromClause:
    """A fact of FACTS as a table of SQLAlchemy, under an alias: a statement may have one twice."""
    schema, table = name.split(".")
    columns = [sa.column(column, _TYPES[kind]) for column, kind in FACTS[name].columns.items()]
    return sa.table(table, *columns, schema=schema).alias(alias)


def expression(condition: Condition, rows: sa.FromClause, parameters: Known) -> sa.ColumnElement[bool]:
    """Render a condition on the columns of `rows`, with bound values only.

    Raises:
        KeyError: a column or parameter is missing.
    """
    match condition:
        case conditions.Comparison(column, compared, value):
            return _OPERATORS[compared](rows.c[column], _bound(value, rows.c[column], parameters))
        case conditions.OneOf(column, values):
            return sa.or_(*(rows.c[column] == _bound(value, rows.c[column], parameters) for value in values))
        case conditions.IsNull(column):
            return rows.c[column].is_(None)
        case conditions.IsNotNull(column):
            return rows.c[column].is_not(None)
        case conditions.Not(inner):
            return sa.not_(expression(inner, rows, parameters).self_group())
        case conditions.All(parts):
            return sa.and_(*(expression(one, rows, parameters) for one in parts))
        case conditions.Any(parts):
            return sa.or_(*(expression(one, rows, parameters) for one in parts))


def _bound(
    value: conditions.Value | datetime, column: sa.ColumnElement[Anything], parameters: Known
) -> sa.BindParameter[Anything]:
    known = parameters[value.name] if isinstance(value, Parameter) else value
    return sa.bindparam(None, known, type_=column.type, unique=True)


def condition_of(kpi: Kpi, part: Part, rows: sa.FromClause, asked: Slice) -> sa.ColumnElement[bool]:
    """Which of `rows`, an alias of the part's table, are behind the part.

    Raises:
        KeyError: the KPI has no such dimension, or a parameter is missing.
        UnknownMember: the dimension can have no such member.
    """
    found = _condition(kpi, part, rows, asked)
    by = kpi.dimensions[asked.dimension].column
    if part.largest is None or by is None:
        return found
    # The places are given by sums of the same rows, so the same condition stands within once more.
    ranked = fact(part.table, "ranked")
    members = (
        sa.select(ranked.c[by])
        .where(_condition(kpi, part, ranked, asked))
        .group_by(ranked.c[by])
        .order_by(sa.func.sum(ranked.c[str(part.sum)]).desc(), ranked.c[by])
        .limit(part.largest)
    )
    return sa.and_(found, rows.c[by].in_(members))


def _condition(kpi: Kpi, part: Part, rows: sa.FromClause, asked: Slice) -> sa.ColumnElement[bool]:
    parts = [expression(part.where, rows, asked.parameters)]
    for place, one in enumerate(part.exists):
        other = fact(one.table, f"{rows.description}_{place}")
        parts.append(
            sa.exists().where(
                other.c[one.same] == rows.c[one.same], expression(one.where, other, asked.parameters)
            )
        )
    dimension = kpi.dimensions[asked.dimension]
    if part.split and dimension.column and asked.member != WHOLE:
        column = rows.c[dimension.column]
        parts.append(column == _member(asked.member, dimension, column))
    return sa.and_(*parts)


def _member(
    member: str, dimension: Dimension, column: sa.ColumnElement[Anything]
) -> sa.BindParameter[Anything]:
    value: str | int = member.removeprefix(dimension.prefix)
    if not member.startswith(dimension.prefix):
        raise UnknownMember(f"{member!r} does not begin with {dimension.prefix!r}")
    if isinstance(column.type, sa.BigInteger):
        if not re.fullmatch("[0-9]{1,9}", str(value)):
            raise UnknownMember(f"{member!r} does not end with a number of at most nine digits")
        value = int(value)
    return sa.bindparam(None, value, type_=column.type, unique=True)


def measure_of(part: Part, rows: sa.FromClause, parameters: Known) -> sa.ColumnElement[Anything]:
    """What `rows` add up to, as an aggregate; 0 without a row.

    Raises:
        ValueError: the part is a population, which adds up to nothing.
    """
    if part.count:
        return sa.func.count()
    if part.count_distinct:
        return sa.func.count(rows.c[part.count_distinct].distinct())
    if part.sum_of_days_since:
        as_of = sa.bindparam(None, parameters["as_of"], type_=sa.Date(), unique=True)
        return sa.func.coalesce(sa.func.sum(days_between(rows.c[part.sum_of_days_since], as_of)), 0)
    if part.sum is None:
        raise ValueError("the rows are a population and add up to nothing")
    amount: sa.ColumnElement[Anything] = rows.c[part.sum]
    if part.less is not None:
        amount = sa.case((expression(part.less, rows, parameters), -amount), else_=amount)
    total: sa.ColumnElement[Anything] = sa.func.sum(amount)
    if part.averaged_over:
        # Ten decimals before it is divided, so that T-SQL's quotient has nine; four afterwards, as ap stores it.
        of = sa.func.nullif(sa.func.count(rows.c[part.averaged_over].distinct()), 0)
        total = sa.cast(sa.cast(total, sa.Numeric(38, 10)) / of, sa.Numeric(38, 4))
    return sa.func.coalesce(total, 0)


def total(kpi: Kpi, part: Part, asked: Slice) -> sa.Select[tuple[Anything]]:
    """What the rows of a part add up to: one row with `total`, and with `row_count` how many there are."""
    rows = fact(part.table, "behind")
    return (
        sa.select(measure_of(part, rows, asked.parameters).label("total"), sa.func.count().label("row_count"))
        .select_from(rows)
        .where(condition_of(kpi, part, rows, asked))
    )


def rows_of(
    kpi: Kpi, part: Part, asked: Slice, after: Sequence[str | date], limit: int
) -> sa.Select[Anything]:
    """The rows of a part, by their key: its columns, then the columns of the key, each labelled `key_…`.

    Args:
        kpi: whose part it is.
        part: the part.
        asked: the point and the member.
        after: the values of the last row's key; empty for the first page.
        limit: at most this many rows.
    """
    rows = fact(part.table, "behind")
    key = FACTS[part.table].key
    shown = [_shown(name, rows) for name in part.columns]
    query = (
        sa.select(*shown, *(rows.c[name].label(f"key_{name}") for name in key))
        .where(condition_of(kpi, part, rows, asked))
        .order_by(*(rows.c[name] for name in key))
        .limit(limit)
    )
    return query.where(_behind(rows, key, after)) if after else query


def _shown(name: str, rows: sa.FromClause) -> sa.ColumnElement[Anything]:
    if name in rows.c:
        return rows.c[name]
    # What a row leads to: the application that it came from, where it is known.
    applications = fact(_APPLICATIONS, "applications")
    return (
        sa.select(applications.c[name])
        .where(applications.c.application_hk == rows.c.application_hk)
        .scalar_subquery()
        .label(name)
    )


def _behind(rows: sa.FromClause, key: Sequence[str], after: Sequence[str | date]) -> sa.ColumnElement[bool]:
    """Rows behind a key, as T-SQL can say it: it compares no tuples."""
    bound = [
        sa.bindparam(None, value, type_=rows.c[name].type, unique=True)
        for name, value in zip(key, after, strict=True)
    ]
    return sa.or_(
        *(
            sa.and_(*(rows.c[key[one]] == bound[one] for one in range(place)), rows.c[name] > bound[place])
            for place, name in enumerate(key)
        )
    )
