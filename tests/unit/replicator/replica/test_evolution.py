"""Two definitions of a table: what the replica follows by itself, and what stops it by name."""

from __future__ import annotations

from typing import Any

import pytest

from services.lake.journal.model import CapturedColumn, CapturedTable, ColumnType
from services.replicator.replica.evolution import accept, create_statement, evolve

ID = CapturedColumn("id", ColumnType.UUID, nullable=False)


def column(type_: ColumnType, name: str = "value", *, nullable: bool = True, **sizes: int) -> CapturedColumn:
    return CapturedColumn(name, type_, nullable, **sizes)


def table(*columns: CapturedColumn, key: tuple[str, ...] = ("id",)) -> CapturedTable:
    return CapturedTable("credit", "thing", (ID, *columns), key)


def test_nothing_happens_to_a_table_that_stays_as_it_is() -> None:
    same = table(column(ColumnType.TEXT, length=5))
    evolution = evolve(same, same)
    assert (evolution.follow, evolution.losses, evolution.key_changed) == ((), (), False)


@pytest.mark.parametrize("nullable", [True, False])
def test_an_added_column_is_added_nullable(nullable: bool) -> None:
    evolution = evolve(table(), table(column(ColumnType.NUMERIC, nullable=nullable, precision=19, scale=4)))
    assert evolution.losses == ()
    assert evolution.follow == ("ALTER TABLE credit.thing ADD COLUMN IF NOT EXISTS value numeric(19,4)",)


WIDENED = [
    (column(ColumnType.SMALLINT), column(ColumnType.INTEGER), "integer"),
    (column(ColumnType.INTEGER), column(ColumnType.BIGINT), "bigint"),
    (
        column(ColumnType.INTEGER),
        column(ColumnType.NUMERIC, precision=12, scale=2),
        "numeric(12,2)",
    ),
    (
        column(ColumnType.NUMERIC, precision=9, scale=2),
        column(ColumnType.NUMERIC, precision=12, scale=4),
        "numeric(12,4)",
    ),
    (column(ColumnType.REAL), column(ColumnType.DOUBLE), "double precision"),
    (column(ColumnType.DATE), column(ColumnType.TIMESTAMP), "timestamp"),
    (column(ColumnType.TEXT, length=5), column(ColumnType.TEXT, length=6), None),
    (column(ColumnType.TEXT, length=5), column(ColumnType.TEXT), None),
    (column(ColumnType.CHAR, length=5), column(ColumnType.TEXT, length=5), None),
    (column(ColumnType.BINARY, length=5), column(ColumnType.BINARY, length=9), None),
    (column(ColumnType.TIMESTAMP, precision=3), column(ColumnType.TIMESTAMP), None),
]


@pytest.mark.parametrize(("old", "new", "type_"), WIDENED)
def test_a_widened_column_is_followed_where_the_replica_knows_a_width(
    old: CapturedColumn, new: CapturedColumn, type_: str | None
) -> None:
    evolution = evolve(table(old), table(new))
    assert evolution.losses == ()
    assert evolution.follow == (
        () if type_ is None else (f"ALTER TABLE credit.thing ALTER COLUMN value TYPE {type_}",)
    )


@pytest.mark.parametrize(("new", "old", "_"), WIDENED)
def test_a_narrowed_column_stops_the_table_by_name(old: CapturedColumn, new: CapturedColumn, _: Any) -> None:
    [loss] = evolve(table(old), table(new)).losses
    assert loss.startswith("column value changes from ")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (column(ColumnType.BIGINT), column(ColumnType.NUMERIC, precision=18, scale=0)),
        (
            column(ColumnType.NUMERIC, precision=12, scale=2),
            column(ColumnType.NUMERIC, precision=12, scale=4),
        ),
        (column(ColumnType.TIMESTAMP), column(ColumnType.TIMESTAMPTZ)),
        (column(ColumnType.UUID), column(ColumnType.TEXT)),
    ],
)
def test_a_change_that_only_looks_wider_stops_the_table(old: CapturedColumn, new: CapturedColumn) -> None:
    assert evolve(table(old), table(new)).losses


def test_a_column_that_may_be_empty_from_now_on_may_be_so_in_the_replica() -> None:
    old, new = column(ColumnType.DATE, nullable=False), column(ColumnType.DATE)
    assert evolve(table(old), table(new)).follow == (
        "ALTER TABLE credit.thing ALTER COLUMN value DROP NOT NULL",
    )
    assert evolve(table(new), table(old)).follow == ()


def test_a_dropped_and_a_renamed_column_stop_the_table_and_are_accepted() -> None:
    old, new = (
        table(column(ColumnType.DATE), column(ColumnType.TEXT, "name")),
        table(column(ColumnType.TEXT, "called")),
    )
    assert evolve(old, new).losses == (
        "column value is gone (dropped or renamed)",
        "column name is gone (dropped or renamed)",
    )
    assert accept(old, new) == (
        "ALTER TABLE credit.thing ADD COLUMN IF NOT EXISTS called text",
        "ALTER TABLE credit.thing DROP COLUMN IF EXISTS value",
        "ALTER TABLE credit.thing DROP COLUMN IF EXISTS name",
    )


def test_an_accepted_narrowing_makes_the_column_anew() -> None:
    assert accept(table(column(ColumnType.BIGINT)), table(column(ColumnType.INTEGER))) == (
        "ALTER TABLE credit.thing DROP COLUMN IF EXISTS value",
        "ALTER TABLE credit.thing ADD COLUMN value integer",
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (column(ColumnType.INTEGER), column(ColumnType.BIGINT)),
        (column(ColumnType.TEXT, length=5), column(ColumnType.TEXT, length=9)),
    ],
)
def test_a_key_that_is_widened_and_reads_the_same_is_followed(
    old: CapturedColumn, new: CapturedColumn
) -> None:
    evolution = evolve(table(old, key=("value",)), table(new, key=("value",)))
    assert (evolution.losses, evolution.key_changed) == ((), False)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            table(column(ColumnType.NUMERIC, precision=9, scale=2), key=("value",)),
            table(column(ColumnType.NUMERIC, precision=12, scale=4), key=("value",)),
        ),
        (
            table(column(ColumnType.DATE), key=("value",)),
            table(column(ColumnType.TIMESTAMP), key=("value",)),
        ),
        (table(column(ColumnType.TEXT), key=("id", "value")), table(column(ColumnType.TEXT))),
        (
            table(column(ColumnType.TEXT), key=("id", "value")),
            table(column(ColumnType.TEXT), key=("value", "id")),
        ),
    ],
    ids=["another scale", "another type", "fewer columns", "another order"],
)
def test_rows_that_cannot_be_told_apart_as_before_stop_the_table(
    old: CapturedTable, new: CapturedTable
) -> None:
    evolution = evolve(old, new)
    assert evolution.key_changed
    assert "the key changes" in evolution.losses[-1]
    first, *_, last = accept(old, new)
    assert first == "TRUNCATE credit.thing"
    assert last == f"ALTER TABLE credit.thing ADD CONSTRAINT pk_thing PRIMARY KEY ({', '.join(new.key)})"


def test_a_table_is_made_with_its_key_alone() -> None:
    made = table(column(ColumnType.TEXT, nullable=False, length=5), column(ColumnType.DATE, "day"))
    assert create_statement(made) == (
        "CREATE TABLE IF NOT EXISTS credit.thing (\n"
        "    id uuid NOT NULL,\n"
        "    value text NOT NULL,\n"
        "    day date,\n"
        "    CONSTRAINT pk_thing PRIMARY KEY (id)\n"
        ")"
    )
