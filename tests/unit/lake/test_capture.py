"""From tables to capture: every type that can be carried without loss, and a refusal of every other."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mssql, postgresql

from services.lake.journal.capture import TypeNotCaptured, captured_table
from services.lake.journal.model import CapturedColumn, CapturedTable, ColumnType, Position
from services.lake.tables import CAPTURED
from services.lake.types import UtcDateTime, binary, code, day, long_text, money, rate, text


def table(type_: Any, **column: Any) -> sa.Table:
    return sa.Table(
        "thing",
        sa.MetaData(),
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("value", type_, **column),
        schema="credit",
    )


@pytest.mark.parametrize(
    ("type_", "captured"),
    [
        (sa.Uuid(), (ColumnType.UUID, None, None, None)),
        (mssql.UNIQUEIDENTIFIER(), (ColumnType.UUID, None, None, None)),
        (sa.Boolean(), (ColumnType.BOOLEAN, None, None, None)),
        (mssql.BIT(), (ColumnType.BOOLEAN, None, None, None)),
        (sa.SmallInteger(), (ColumnType.SMALLINT, None, None, None)),
        (mssql.TINYINT(), (ColumnType.SMALLINT, None, None, None)),
        (sa.Integer(), (ColumnType.INTEGER, None, None, None)),
        (sa.BigInteger(), (ColumnType.BIGINT, None, None, None)),
        (money(), (ColumnType.NUMERIC, 19, 4, None)),
        (rate(), (ColumnType.NUMERIC, 9, 6, None)),
        (mssql.MONEY(), (ColumnType.NUMERIC, 19, 4, None)),
        (sa.Numeric(38, 0), (ColumnType.NUMERIC, 38, 0, None)),
        (sa.Float(), (ColumnType.DOUBLE, None, None, None)),
        (day(), (ColumnType.DATE, None, None, None)),
        (UtcDateTime(), (ColumnType.TIMESTAMP, None, None, None)),
        (sa.DateTime(), (ColumnType.TIMESTAMP, None, None, None)),
        (mssql.DATETIME2(6), (ColumnType.TIMESTAMP, None, None, None)),
        (mssql.DATETIME2(2), (ColumnType.TIMESTAMP, 2, None, None)),
        (mssql.DATETIME(), (ColumnType.TIMESTAMP, 3, None, None)),
        (mssql.SMALLDATETIME(), (ColumnType.TIMESTAMP, 0, None, None)),
        (postgresql.TIMESTAMP(precision=3), (ColumnType.TIMESTAMP, 3, None, None)),
        (sa.Time(), (ColumnType.TIME, None, None, None)),
        (mssql.TIME(4), (ColumnType.TIME, 4, None, None)),
        (mssql.SMALLMONEY(), (ColumnType.NUMERIC, 10, 4, None)),
        (sa.REAL(), (ColumnType.REAL, None, None, None)),
        (sa.Float(24), (ColumnType.REAL, None, None, None)),
        (sa.Float(53), (ColumnType.DOUBLE, None, None, None)),
        (mssql.ROWVERSION(), (ColumnType.BINARY, None, None, 8)),
        (mssql.BINARY(4), (ColumnType.BINARY, None, None, 4)),
        (sa.CHAR(3), (ColumnType.CHAR, None, None, 3)),
        (sa.NCHAR(), (ColumnType.CHAR, None, None, 1)),
        (mssql.XML(), (ColumnType.XML, None, None, None)),
        (code(16), (ColumnType.TEXT, None, None, 16)),
        (text(200), (ColumnType.TEXT, None, None, 200)),
        (long_text(), (ColumnType.TEXT, None, None, None)),
        (binary(32), (ColumnType.BINARY, None, None, 32)),
    ],
    ids=repr,
)
def test_a_type_is_carried_as_what_it_holds(type_: Any, captured: tuple[Any, ...]) -> None:
    _, value = captured_table(table(type_)).columns
    assert (value.type, value.precision, value.scale, value.length) == captured


@pytest.mark.parametrize(
    "type_",
    [
        sa.Numeric(39, 2),
        sa.Numeric(),
        sa.Numeric(5, -2),
        sa.Numeric(3, 5),
        sa.Interval(),
        sa.JSON(),
        sa.Time(timezone=True),
        sa.Enum("a", "b", name="letter"),
        mssql.TIME(),
        mssql.TIME(7),
        mssql.DATETIME2(7),
        mssql.DATETIME2(),
        mssql.DATETIMEOFFSET(),
        mssql.DATETIMEOFFSET(7),
        mssql.SQL_VARIANT(),
        mssql.NTEXT(),
        mssql.IMAGE(),
        postgresql.CITEXT(),
        postgresql.JSONB(),
        postgresql.INET(),
        postgresql.MONEY(),
    ],
    ids=repr,
)
def test_a_type_that_would_lose_something_is_refused_by_table_and_column(type_: Any) -> None:
    with pytest.raises(TypeNotCaptured, match=r"^credit\.thing\.value: .* cannot be replicated without loss"):
        captured_table(table(type_))


@pytest.mark.parametrize(
    ("type_", "precision"),
    [(sa.DateTime(timezone=True), None), (mssql.DATETIMEOFFSET(6), None), (mssql.DATETIMEOFFSET(0), 0)],
)
def test_an_instant_with_an_offset_is_two_columns_of_the_replica(type_: Any, precision: int | None) -> None:
    captured = captured_table(table(type_, nullable=False))
    assert captured.columns[1:] == (
        CapturedColumn("value", ColumnType.TIMESTAMPTZ, nullable=False, precision=precision),
        CapturedColumn("value_offset_minutes", ColumnType.OFFSET, nullable=False),
    )
    assert captured.replica.columns[2].type is ColumnType.SMALLINT


def test_a_column_that_takes_the_name_of_an_offset_is_refused() -> None:
    made = table(sa.DateTime(timezone=True))
    made.append_column(sa.Column("value_offset_minutes", sa.Integer))
    with pytest.raises(ValueError, match=r"credit\.thing: two columns of one name"):
        captured_table(made)


@pytest.mark.parametrize("type_", [sa.Float(), sa.REAL()])
def test_a_key_that_equal_texts_do_not_tell_is_refused(type_: Any) -> None:
    with pytest.raises(ValueError, match=r"credit\.thing\.value: .* cannot be in the key"):
        captured_table(table(type_, primary_key=True))


def test_a_table_without_a_key_is_refused() -> None:
    with pytest.raises(ValueError, match=r"credit\.thing: a captured table needs a primary key"):
        captured_table(sa.Table("thing", sa.MetaData(), sa.Column("value", sa.Integer), schema="credit"))


@pytest.mark.parametrize("name", ["Value", "a value", "a'b", "9a", "x" * 64])
def test_a_name_that_would_need_quoting_is_refused(name: str) -> None:
    made = sa.Table("thing", sa.MetaData(), sa.Column(name, sa.Integer, primary_key=True), schema="credit")
    with pytest.raises(ValueError, match="is not a plain lower-case identifier"):
        captured_table(made)


@pytest.mark.parametrize("table", CAPTURED, ids=lambda table: table.name)
def test_a_definition_is_read_back_as_it_was_written(table: sa.Table) -> None:
    captured = captured_table(table)
    assert CapturedTable.from_json(captured.to_json()) == captured
    assert [column.name for column in captured.columns] == [column.name for column in table.columns]
    assert captured.key == tuple(column.name for column in table.primary_key.columns)


def test_a_fingerprint_changes_with_whatever_changes_the_images() -> None:
    made = [
        captured_table(table(sa.Integer)),
        captured_table(table(sa.BigInteger)),
        captured_table(table(sa.Integer, nullable=False)),
        captured_table(table(sa.Numeric(19, 4))),
        captured_table(table(sa.Numeric(19, 6))),
        captured_table(table(sa.Integer, primary_key=True)),
    ]
    assert len({one.fingerprint for one in made}) == len(made)
    assert made[0].fingerprint == captured_table(table(sa.Integer)).fingerprint


def test_columns_of_the_key_come_in_the_order_of_the_key() -> None:
    columns = (
        CapturedColumn("a", ColumnType.INTEGER, nullable=False),
        CapturedColumn("b", ColumnType.INTEGER, nullable=False),
    )
    assert [c.name for c in CapturedTable("credit", "thing", columns, ("b", "a")).key_columns] == ["b", "a"]


def test_a_position_is_read_back_and_ordered_as_numbers() -> None:
    assert Position.parse(str(Position(2**63 - 1, 7))) == Position(2**63 - 1, 7)
    assert sorted([Position(10, 0), Position(9, 5), Position(9, 10)]) == [
        Position(9, 5),
        Position(9, 10),
        Position(10, 0),
    ]
    for spoiled in ("", "1", "1.", ".1", "-1.0", "a.b", "1.0.0"):
        with pytest.raises(ValueError, match="is not a position"):
            Position.parse(spoiled)
