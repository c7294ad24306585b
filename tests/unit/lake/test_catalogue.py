"""What the catalogue may say of captured tables: trusted, stopped by name, or refused."""

from __future__ import annotations

from typing import Any

import pytest

from services.lake.journal.catalogue import Catalogue, ForeignKey, LiveTable, live_table
from services.lake.journal.inspection import judge
from services.lake.journal.model import CapturedColumn, CapturedTable, ColumnType, TypeNotCaptured
from services.lake.journal.postgresql.catalogue import columns_of as postgresql_columns
from services.lake.journal.sqlserver.catalogue import columns_of as sqlserver_columns

ID = CapturedColumn("id", ColumnType.UUID, nullable=False)
NAME = CapturedColumn("name", ColumnType.TEXT, nullable=False, length=20)
THING = CapturedTable("credit", "thing", (ID, NAME), ("id",))


def live(definition: CapturedTable | None = THING, **changed: Any) -> Catalogue:
    sound: dict[str, Any] = {"refusal": None, "broken_capture": (), "other_triggers": ()}
    return Catalogue({"credit.thing": LiveTable(definition, **(sound | changed))}, ())


def stopped(catalogue: Catalogue) -> str | None:
    return judge({"credit.thing": THING}, catalogue, ()).stopped.get("credit.thing")


def test_a_table_that_is_as_it_was_captured_is_trusted() -> None:
    findings = judge({"credit.thing": THING}, live(), ())
    assert not findings.stopped
    assert findings.refused == ()


def test_the_order_of_columns_and_the_length_of_bytes_mean_nothing() -> None:
    digest = CapturedColumn("digest", ColumnType.BINARY, nullable=True, length=32)
    captured = CapturedTable("credit", "thing", (ID, digest, NAME), ("id",))
    unsized = CapturedColumn("digest", ColumnType.BINARY, nullable=True)
    found = live(CapturedTable("credit", "thing", (ID, NAME, unsized), ("id",)))
    assert not judge({"credit.thing": captured}, found, ()).stopped


@pytest.mark.parametrize(
    ("columns", "named"),
    [
        ((ID,), "name"),
        ((ID, NAME, CapturedColumn("more", ColumnType.INTEGER, nullable=True)), "more"),
        ((ID, CapturedColumn("name", ColumnType.TEXT, nullable=False, length=30)), "name"),
        ((ID, CapturedColumn("name", ColumnType.TEXT, nullable=True, length=20)), "name"),
        ((ID, CapturedColumn("called", ColumnType.TEXT, nullable=False, length=20)), "called, name"),
    ],
    ids=["dropped", "added", "widened", "nullable", "renamed"],
)
def test_a_table_altered_without_regenerating_capture_is_stopped(
    columns: tuple[CapturedColumn, ...], named: str
) -> None:
    altered = CapturedTable("credit", "thing", columns, ("id",))
    assert stopped(live(altered)) == f"altered without regenerating capture: {named}"


def test_another_key_a_lost_trigger_and_a_lost_table_are_stopped() -> None:
    assert stopped(live(CapturedTable("credit", "thing", (ID, NAME), ("name",)))) == (
        "its key is (name), captured is (id)"
    )
    assert stopped(live(broken_capture=("capture_update",))) == (
        "capture triggers missing or disabled: capture_update"
    )
    assert stopped(live(None, refusal="is unlogged")) == "is unlogged"
    assert stopped(Catalogue({}, ())) == "the table is gone, or this login may not see it"


def test_cascades_and_unknown_triggers_are_refused_unless_reviewed() -> None:
    catalogue = Catalogue(
        live(other_triggers=("audit", "known")).tables,
        (ForeignKey("fk_thing", "credit.thing", "credit.party"),),
    )
    cascade, trigger = judge({"credit.thing": THING}, catalogue, ("credit.thing.known",)).refused
    assert cascade.startswith("foreign key fk_thing of credit.thing to credit.party cascades")
    assert trigger.startswith("trigger credit.thing.audit is none of capture's")


def row(type_: str, **changed: Any) -> dict[str, Any]:
    """A row of either catalogue."""
    return {
        "table_name": "credit.thing",
        "name": "value",
        "type": type_,
        "nullable": True,
        "computed": 0,
        "max_length": 8,
        "precision": 0,
        "scale": 0,
        "built_in": True,
        "modifier": -1,
        "described": type_,
        "ambiguous": 0,
        "place_in_key": None,
    } | changed


SQLSERVER = [
    (row("bigint"), (ColumnType.BIGINT, None, None, None)),
    (row("int"), (ColumnType.INTEGER, None, None, None)),
    (row("smallint"), (ColumnType.SMALLINT, None, None, None)),
    (row("tinyint"), (ColumnType.SMALLINT, None, None, None)),
    (row("bit"), (ColumnType.BOOLEAN, None, None, None)),
    (row("decimal", precision=38, scale=38), (ColumnType.NUMERIC, 38, 38, None)),
    (row("money", precision=19, scale=4), (ColumnType.NUMERIC, 19, 4, None)),
    (row("smallmoney", precision=10, scale=4), (ColumnType.NUMERIC, 10, 4, None)),
    (row("float", precision=53), (ColumnType.DOUBLE, None, None, None)),
    (row("real", precision=24), (ColumnType.REAL, None, None, None)),
    (row("date"), (ColumnType.DATE, None, None, None)),
    (row("time", scale=6), (ColumnType.TIME, None, None, None)),
    (row("datetime", scale=3), (ColumnType.TIMESTAMP, 3, None, None)),
    (row("smalldatetime", scale=0), (ColumnType.TIMESTAMP, 0, None, None)),
    (row("datetime2", scale=6), (ColumnType.TIMESTAMP, None, None, None)),
    (row("datetimeoffset", scale=2), (ColumnType.TIMESTAMPTZ, 2, None, None)),
    (row("char", max_length=3), (ColumnType.CHAR, None, None, 3)),
    (row("nchar", max_length=6), (ColumnType.CHAR, None, None, 3)),
    (row("varchar", max_length=-1), (ColumnType.TEXT, None, None, None)),
    (row("nvarchar", max_length=-1), (ColumnType.TEXT, None, None, None)),
    (row("nvarchar", max_length=400), (ColumnType.TEXT, None, None, 200)),
    (row("xml", max_length=-1), (ColumnType.XML, None, None, None)),
    (row("varbinary", max_length=32), (ColumnType.BINARY, None, None, 32)),
    (row("binary", max_length=4), (ColumnType.BINARY, None, None, 4)),
    (row("timestamp"), (ColumnType.BINARY, None, None, 8)),
    (row("uniqueidentifier"), (ColumnType.UUID, None, None, None)),
]
POSTGRESQL = [
    (row("int8"), (ColumnType.BIGINT, None, None, None)),
    (row("numeric", modifier=(19 << 16 | 4) + 4), (ColumnType.NUMERIC, 19, 4, None)),
    (row("varchar", modifier=24), (ColumnType.TEXT, None, None, 20)),
    (row("bpchar", modifier=7), (ColumnType.CHAR, None, None, 3)),
    (row("timestamptz"), (ColumnType.TIMESTAMPTZ, None, None, None)),
    (row("timestamp", modifier=3), (ColumnType.TIMESTAMP, 3, None, None)),
    (row("time", modifier=6), (ColumnType.TIME, None, None, None)),
    (row("bytea"), (ColumnType.BINARY, None, None, None)),
]


@pytest.mark.parametrize(
    ("columns_of", "found", "described"),
    [(sqlserver_columns, *case) for case in SQLSERVER] + [(postgresql_columns, *case) for case in POSTGRESQL],
    ids=lambda value: value["type"] if isinstance(value, dict) else None,
)
def test_a_live_type_is_what_the_metadata_would_make_of_it(
    columns_of: Any, found: dict[str, Any], described: tuple[Any, ...]
) -> None:
    column, *offset = columns_of(found)
    assert (column.type, column.precision, column.scale, column.length) == described
    assert [made.name for made in offset] == (
        ["value_offset_minutes"] if column.type is ColumnType.TIMESTAMPTZ else []
    )


@pytest.mark.parametrize(
    ("columns_of", "found"),
    [
        (sqlserver_columns, row("datetime2", scale=7)),
        (sqlserver_columns, row("time", scale=7)),
        (sqlserver_columns, row("datetimeoffset", scale=7)),
        (sqlserver_columns, row("sql_variant")),
        (sqlserver_columns, row("text")),
        (sqlserver_columns, row("ntext")),
        (sqlserver_columns, row("image")),
        (sqlserver_columns, row("geography")),
        (sqlserver_columns, row("int", computed=1)),
        (postgresql_columns, row("numeric")),
        (postgresql_columns, row("numeric", modifier=(5 << 16 | 2046) + 4)),
        (postgresql_columns, row("jsonb")),
        (postgresql_columns, row("interval")),
        (postgresql_columns, row("text", built_in=False)),
        (postgresql_columns, row("int4", computed=True)),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else None,
)
def test_a_live_type_that_would_lose_something_is_refused_by_name(
    columns_of: Any, found: dict[str, Any]
) -> None:
    with pytest.raises(TypeNotCaptured, match=r"^credit\.thing\.value: "):
        list(columns_of(found))


def made_of(*rows: dict[str, Any]) -> LiveTable:
    return live_table(
        "credit.thing",
        rows,
        columns_of=sqlserver_columns,
        refusal=None,
        expected=("capture_thing_insert", "capture_thing_update"),
        triggers={"capture_thing_insert": True, "capture_thing_update": False, "audit": True},
    )


def test_a_live_table_is_put_together_in_the_order_of_its_key() -> None:
    found = made_of(
        row("int", name="a", place_in_key=2),
        row("varchar", name="b", place_in_key=1, max_length=8),
        row("int", name="c"),
    )
    assert found.definition is not None
    assert found.definition.key == ("b", "a")
    assert found.broken_capture == ("capture_thing_update",)
    assert found.other_triggers == ("audit",)


def test_a_live_key_that_calls_different_texts_equal_is_refused() -> None:
    found = made_of(row("varchar", name="a", place_in_key=1, ambiguous=1))
    assert found.definition is None
    assert found.refusal == (
        "key column a has a collation that calls different texts equal; use a binary one"
    )


def test_a_live_table_without_a_key_or_with_an_unknown_type_says_so() -> None:
    assert made_of(row("int")).refusal == "a captured table needs a primary key of its own columns"
    refusal = made_of(row("hierarchyid", place_in_key=1)).refusal
    assert refusal is not None
    assert refusal.startswith("credit.thing.value: hierarchyid cannot be replicated without loss")
