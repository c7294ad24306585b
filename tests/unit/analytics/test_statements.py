"""Conditions and parts as statements: bound values alone, and text that both engines can parse."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects import mssql, postgresql
from sqlglot import exp

from services.analytics.catalogue.columns import FACTS
from services.analytics.catalogue.conditions import (
    All,
    Comparison,
    Condition,
    IsNull,
    Kind,
    Not,
    OneOf,
    Parameter,
    comparisons,
)
from services.analytics.catalogue.conditions import Any as AnyOf
from services.analytics.catalogue.errors import UnknownMember
from services.analytics.catalogue.model import Catalogue, Kpi, Part, read_catalogue
from services.analytics.catalogue.parameters import PARAMETERS, Known, parameters_of
from services.analytics.catalogue.parsing import parse
from services.analytics.catalogue.statements import Slice, expression, fact, rows_of, total

DIALECTS: tuple[tuple[str, Any], ...] = (("postgres", postgresql.dialect()), ("tsql", mssql.dialect()))
CATALOGUE = read_catalogue()
GOLDEN = Path(__file__).parents[2] / "golden/kpi_rows.sql"
POINT: Known = {
    "as_of_date": date(2026, 8, 31),
    "grain": "month_end",
    "period_start": date(2026, 8, 1),
    "currency": "VND",
    "opened_on": date(2026, 7, 31),
    "from_bucket": "31-60",
    "to_bucket": "61-90",
    "cohort_month": date(2026, 1, 1),
    "months_on_book": 3,
}
LOANS = "dm.fact_loan_month"


def compiled(statement: Any, dialect: Any) -> Any:
    return statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})


def parsed(statement: Any, name: str, dialect: Any) -> exp.Expression:
    text = str(compiled(statement, dialect)).replace("%(", ":").replace(")s", "")
    (found,) = sqlglot.parse(text, read=name, error_level=sqlglot.ErrorLevel.RAISE)
    assert isinstance(found, exp.Select)
    return found


def parts(catalogue: Catalogue = CATALOGUE) -> Iterator[tuple[Kpi, str, Part]]:
    for kpi in catalogue.kpis.values():
        for name, part in kpi.parts.items():
            yield kpi, name, part


def slices(kpi: Kpi) -> Iterator[Slice]:
    """The whole of every dimension and a member of it."""
    known = parameters_of(kpi.source.table, POINT, "Asia/Ho_Chi_Minh")
    for dimension, how in kpi.dimensions.items():
        yield Slice(known, dimension)
        if how.column:
            yield Slice(known, dimension, f"{how.prefix}3")


@pytest.mark.parametrize(("name", "dialect"), DIALECTS)
def test_every_part_is_a_statement_of_both_engines(name: str, dialect: Any) -> None:
    seen: set[str] = set()
    for kpi, _, part in parts():
        for asked in slices(kpi):
            key = [_example(FACTS[part.table].columns[column]) for column in FACTS[part.table].key]
            statements = [rows_of(kpi, part, asked, (), 100), rows_of(kpi, part, asked, key, 100)]
            if part.adds_up:
                statements.append(total(kpi, part, asked))
            for statement in statements:
                if (text := str(compiled(statement, dialect))) in seen:
                    continue
                seen.add(text)
                tree = parsed(statement, name, dialect)
                # What a file says never becomes text of a statement: it holds no literal but our own 0, 1 and sizes.
                assert not [one.sql() for one in tree.find_all(exp.Literal) if one.is_string]
                tables = {f"{one.db}.{one.name}" for one in tree.find_all(exp.Table)}
                assert tables <= set(FACTS)


def _example(kind: Kind) -> str | date:
    return date(2026, 8, 31) if kind is Kind.DATE else "x"


def tsql() -> Iterator[str]:
    """The T-SQL of every total, under the parts that it is of, and of a next page of each fact's rows."""
    dialect = DIALECTS[1][1]
    by_text: dict[str, list[str]] = {}
    for kpi, name, part in parts():
        for asked in slices(kpi):
            if part.adds_up:
                text = str(compiled(total(kpi, part, asked), dialect))
                by_text.setdefault(text, []).append(f"{kpi.id} {name}, {asked.dimension} {asked.member}")
    for text, names in by_text.items():
        yield "".join(f"-- {name}\n" for name in dict.fromkeys(names)) + f"{text};\n"
    for name, part_name in (
        ("exposure", "numerator"),
        ("pull_through", "numerator"),
        ("booked_volume", "numerator"),
    ):
        kpi = CATALOGUE.kpis[name]
        part = kpi.parts[part_name]
        key = [_example(FACTS[part.table].columns[column]) for column in FACTS[part.table].key]
        page = rows_of(kpi, part, next(slices(kpi)), key, 100)
        yield f"-- a page of {name}\n{compiled(page, dialect)};\n"


def test_the_tsql_equals_its_golden_file() -> None:
    text = "".join(f"{statement}GO\n" for statement in tsql())
    if os.environ.get("GOLDEN_WRITE"):
        GOLDEN.write_text(text, encoding="utf-8")
    assert GOLDEN.read_text(encoding="utf-8") == text


@pytest.mark.parametrize(("name", "dialect"), DIALECTS)
def test_every_value_is_bound(name: str, dialect: Any) -> None:
    condition = parse("status = 'a''b' and (days_past_due > 30 or snapshot_date in (2026-01-31, :as_of))")
    rows = fact(LOANS, "behind")
    statement = sa.select(rows.c.loan_id).where(expression(condition, rows, {"as_of": date(2026, 8, 31)}))
    text = compiled(statement, dialect)
    assert sorted(map(str, text.params.values())) == ["2026-01-31", "2026-08-31", "30", "a'b"]
    assert "a'b" not in str(text)
    assert parsed(statement, name, dialect)


leaves: st.SearchStrategy[Condition] = st.one_of(
    st.builds(Comparison, st.just("status"), st.sampled_from(["=", "<>", "<", ">="]), st.text(max_size=5)),
    st.builds(
        OneOf, st.just("days_past_due"), st.lists(st.integers(0, 99), min_size=1, max_size=3).map(tuple)
    ),
    st.builds(IsNull, st.just("disbursed_on")),
)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(All, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(AnyOf, st.lists(inner, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=5,
)


def holds(tree: Condition, row: dict[str, Any]) -> bool:
    """What a condition says of a row, by Python."""
    match tree:
        case Comparison(column, compared, value):
            left: Any = row[column]
            found = {"=": left == value, "<>": left != value, "<": left < value, ">=": left >= value}
            return bool(found[compared])
        case OneOf(column, values):
            return row[column] in values
        case IsNull(column):
            return row[column] is None
        case Not(inner):
            return not holds(inner, row)
        case All(inner):
            return all(holds(one, row) for one in inner)
        case AnyOf(inner):
            return any(holds(one, row) for one in inner)
    raise AssertionError(tree)


@settings(max_examples=60, deadline=None)
@given(trees, st.text(max_size=3), st.integers(0, 99), st.none() | st.dates())
def test_a_condition_selects_the_rows_that_it_says(
    tree: Condition, status: str, days: int, disbursed: date | None
) -> None:
    # SQLite compares text byte by byte, as Python does by code point: the same order for UTF-8.
    row = {"status": status.replace("\x00", ""), "days_past_due": days, "disbursed_on": disbursed}
    rows = sa.select(
        *(sa.literal(value, fact(LOANS, "f").c[name].type).label(name) for name, value in row.items())
    )
    behind = rows.subquery("behind")
    for name, dialect in DIALECTS:
        parsed(sa.select(behind.c.status).where(expression(tree, behind, {})), name, dialect)
    with sa.create_engine("sqlite://").connect() as connection:
        found = connection.execute(sa.select(behind.c.status).where(expression(tree, behind, {}))).all()
    assert (len(found) == 1) == holds(tree, row)


def test_a_member_narrows_the_rows_of_a_part_that_is_split() -> None:
    bucket = CATALOGUE.kpis["dpd_bucket_share"]
    asked = Slice(parameters_of("ap.kpi", POINT, "UTC"), "bucket", ">90")
    assert bucket.numerator is not None
    assert ">90" in compiled(total(bucket, bucket.numerator, asked), postgresql.dialect()).params.values()
    assert (
        ">90" not in compiled(total(bucket, bucket.denominator, asked), postgresql.dialect()).params.values()
    )


def test_a_member_with_a_prefix_is_a_number_behind_it() -> None:
    loss = CATALOGUE.kpis["expected_loss"]
    known = parameters_of("ap.kpi", POINT, "UTC")
    text = compiled(
        total(loss, loss.denominator, Slice(known, "ifrs9_stage", "stage 2")), postgresql.dialect()
    )
    assert 2 in text.params.values()
    for member in ("2", "stage ", "stage x", "stage -1", "stage 99999999999", "stage ²"):
        with pytest.raises(UnknownMember):
            total(loss, loss.denominator, Slice(known, "ifrs9_stage", member))
    with pytest.raises(KeyError, match="country"):
        total(loss, loss.denominator, Slice(known, "country", "VN"))


def test_a_population_has_no_total() -> None:
    gini = CATALOGUE.kpis["gini"]
    with pytest.raises(ValueError, match="a population"):
        total(gini, gini.denominator, Slice(parameters_of("ap.kpi", POINT, "UTC")))


def test_an_instant_goes_to_both_engines_without_its_offset() -> None:
    rows = fact("dm.fact_decision", "behind")
    condition = parse("withdrawn_at >= :as_of_end")
    bound = expression(condition, rows, {"as_of_end": datetime(2026, 8, 31, 17, tzinfo=UTC)})
    for _, dialect in DIALECTS:
        process = bound.right.type.dialect_impl(dialect).bind_processor(dialect)  # type: ignore[attr-defined] # a comparison
        assert process(bound.right.value) == datetime(2026, 8, 31, 17)  # type: ignore[attr-defined]  # noqa: DTZ001


def test_every_parameter_is_used_by_some_condition() -> None:
    used = {
        value.name
        for kpi, _, part in parts()
        for _, _, condition in part.conditions()
        for value in _parameters(condition)
    }
    assert used == {name for known in PARAMETERS.values() for name in known}


def _parameters(condition: Condition) -> Iterator[Any]:
    return (value for _, value in comparisons(condition) if isinstance(value, Parameter))
